//! The sample company: what its deals need to know of it, and how it came about.

use dealog_events::{CampaignId, Currency, Invalid, TimeZone, Timestamp};

use super::{
    Sample, Step, TIME_ZONE,
    calendar::{Calendar, minutes_later},
    customers::{self, Customer},
    people::People,
    pipelines::{self, Funnel},
};

/// On the first day, long before the first deal, everything is set up.
const FOUNDED_SECOND: u32 = 6 * 3_600;
/// Then the people are let in, and then the known customers are entered.
const PEOPLE_AFTER_MINUTES: u32 = 10;
const CUSTOMERS_AFTER_MINUTES: u32 = 60;

/// A campaign runs for half a year, and a new one begins every four months.
const CAMPAIGNS: u32 = 6;
const CAMPAIGN_EVERY_DAYS: u32 = 120;
const CAMPAIGN_DAYS: u32 = 180;

/// A company that never was.
pub(super) struct Company {
    pub(super) sample: Sample,
    pub(super) calendar: Calendar,
    pub(super) euro: Currency,
    pub(super) people: People,
    pub(super) new_business: Funnel,
    pub(super) renewals: Funnel,
    /// In the order in which they become known.
    customers: Vec<Customer>,
    zone: TimeZone,
    founded: Timestamp,
}

impl Company {
    pub(super) fn new(sample: Sample) -> Result<Self, Invalid> {
        let zone: TimeZone = TIME_ZONE.parse()?;
        let calendar = Calendar::until(sample.until, zone)?;
        let founded = calendar.at(calendar.day(0), FOUNDED_SECOND);
        Ok(Self {
            people: People::new(&sample, &calendar),
            new_business: pipelines::new_business(&sample)?,
            renewals: pipelines::renewals(&sample)?,
            customers: customers::customers(&sample, &calendar, minutes_later(founded, CUSTOMERS_AFTER_MINUTES)),
            euro: "EUR".parse()?,
            sample,
            calendar,
            zone,
            founded,
        })
    }

    /// Everything but the deals.
    pub(super) fn steps(&self) -> Result<Vec<Step>, Invalid> {
        let Self { sample, calendar, .. } = self;
        let funnels = [&self.new_business, &self.renewals];
        let mut steps = pipelines::steps(sample, calendar, funnels, self.euro, self.zone, self.founded)?;
        let people_come = minutes_later(self.founded, PEOPLE_AFTER_MINUTES);
        steps.extend(self.people.steps(sample, calendar, people_come)?);
        steps.extend(customers::steps(sample, calendar, &self.customers, self.people.manager)?);
        Ok(steps)
    }

    /// The customers that are known before `time`.
    pub(super) fn customers_before(&self, time: Timestamp) -> &[Customer] {
        let known = self.customers.partition_point(|customer| customer.since < time);
        self.customers.get(..known).unwrap_or(&[])
    }

    /// The campaigns that run at `time`.
    pub(super) fn campaigns_at(&self, time: Timestamp) -> Vec<CampaignId> {
        let day = self.calendar.index_of(time);
        let runs = |campaign: &u32| (0..CAMPAIGN_DAYS).contains(&day.wrapping_sub(campaign * CAMPAIGN_EVERY_DAYS));
        let id = |campaign| CampaignId(self.sample.id(&format!("campaign:{campaign}")));
        (0..CAMPAIGNS).filter(runs).map(id).collect()
    }

    /// The pipeline that is not `funnel`.
    pub(super) fn other(&self, funnel: &Funnel) -> &Funnel {
        if funnel.id == self.renewals.id { &self.new_business } else { &self.renewals }
    }
}
