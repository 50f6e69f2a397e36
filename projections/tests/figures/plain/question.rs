//! A question, and which deals it is about.

use std::{cell::RefCell, collections::BTreeSet};

use dealog_events::{Currency, TimeZone, Timestamp, UserId};
use dealog_projections::{
    deals::query::{By, Filter, Range, When},
    figures::{DAY_MICROS, Seen, Total},
};

use super::{
    fold::{Attributes, Deal, Log, Pipeline, Status},
    groups::Key,
};
use crate::answers::{Answer, Question, Refused};

#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) log: &'a Log,
    /// The instant asked about.
    pub(crate) at: i64,
    pub(crate) zone: TimeZone,
    pub(super) currency: Option<Currency>,
    pub(super) filter: &'a Filter,
    /// Who is in the filter's team.
    pub(super) team: BTreeSet<UserId>,
    /// All deals and pipelines, whatever the filter.
    pub(super) all_deals: Vec<Deal>,
    pub(super) all_pipelines: Vec<Pipeline>,
    pub(super) by: Vec<By>,
    /// Only this group.
    pub(super) group: Option<Key>,
    /// The groups of what the question came across.
    pub(super) met: RefCell<BTreeSet<Key>>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(log: &'a Log, Question { scope, by, .. }: &'a Question) -> Self {
        let at = match scope.as_of {
            None => scope.now,
            Some(When::Instant(at)) => at,
            Some(When::Day(day)) => log.day_end(day),
        };
        let at = at.micros();
        let settings = log.settings(at);
        let team = scope.filter.team.map(|team| log.members(team, at)).unwrap_or_default();
        Self {
            log,
            at,
            zone: settings.zone,
            currency: settings.currency,
            filter: &scope.filter,
            team,
            all_deals: log.deals(at),
            all_pipelines: log.pipelines(at),
            by: by.by.into_iter().flatten().collect(),
            group: None,
            met: RefCell::default(),
        }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { position: self.log.position, as_of: Timestamp::from_micros(self.at).unwrap() }
    }

    pub(super) fn today(&self) -> chrono::NaiveDate {
        self.zone.day_of(Timestamp::from_micros(self.at).unwrap())
    }

    fn start(&self, when: When) -> i64 {
        match when {
            When::Instant(time) => time.micros(),
            When::Day(day) => self.zone.day_start(day).micros(),
        }
    }

    /// The bounds of a period; without them, the 365 days up to the instant asked about.
    pub(super) fn bounds(&self, period: &Range) -> Answer<(i64, i64)> {
        let to = period.to.map_or(self.at + 1, |to| self.start(to));
        let from = period.from.map_or(to - 365 * DAY_MICROS, |from| self.start(from));
        if from < to { Ok((from, to)) } else { Err(Refused) }
    }

    /// Whether the filter lets through a deal that was created then and is like this.
    pub(super) fn passes(&self, created: i64, attributes: &Attributes) -> bool {
        self.filter.pipeline.is_none_or(|pipeline| attributes.pipeline == pipeline)
            && self.passes_in_any_pipeline(created, attributes)
    }

    pub(super) fn passes_in_any_pipeline(&self, created: i64, attributes: &Attributes) -> bool {
        let Filter { pipeline: _, owner, team, customer, source, campaign, created: range, amount } = self.filter;
        let minor = attributes.amount.map(dealog_events::Money::minor);
        owner.is_none_or(|owner| attributes.owner == Some(owner))
            && team.is_none_or(|_| attributes.owner.is_some_and(|owner| self.team.contains(&owner)))
            && customer.is_none_or(|customer| attributes.customer == Some(customer))
            && source.as_ref().is_none_or(|source| attributes.source.as_ref() == Some(source))
            && campaign.is_none_or(|campaign| attributes.campaign == Some(campaign))
            && range.from.is_none_or(|from| created >= self.start(from))
            && range.to.is_none_or(|to| created < self.start(to))
            && amount.from.is_none_or(|from| minor.is_some_and(|minor| minor >= from))
            && amount.to.is_none_or(|to| minor.is_some_and(|minor| minor <= to))
    }

    /// The deals that the question is about, as they were. Months are those of closings, past or expected.
    pub(super) fn deals(&self) -> Vec<Deal> {
        self.deals_of_month(|deal| match &deal.closing {
            Some((at, _)) => Some(self.month(*at)),
            None => deal.attributes.expected_close.map(|day| day.format("%Y-%m").to_string()),
        })
    }

    pub(super) fn deals_of_month(&self, month: impl Fn(&Deal) -> Option<String>) -> Vec<Deal> {
        let mut deals = self.all_deals.clone();
        deals.retain(|deal| {
            self.passes(deal.created, deal.counted()) && self.in_group(deal.counted(), month(deal).as_deref())
        });
        deals
    }

    pub(super) fn open(&self) -> Vec<Deal> {
        self.deals().into_iter().filter(|deal| deal.status == Status::Open).collect()
    }

    pub(super) fn pipelines(&self) -> Vec<Pipeline> {
        let mut pipelines = self.all_pipelines.clone();
        pipelines.retain(|pipeline| self.filter.pipeline.is_none_or(|wanted| wanted == pipeline.id));
        pipelines
    }

    pub(super) fn currency(&self) -> Answer<Currency> {
        self.currency.ok_or(Refused)
    }

    /// The sum of the amounts; refused where one is in another currency.
    pub(super) fn sum<'d>(&self, deals: impl IntoIterator<Item = &'d Deal>) -> Answer<Total> {
        let currency = self.currency()?;
        let mut minor = 0;
        for amount in deals.into_iter().filter_map(|deal| deal.counted().amount) {
            if amount.currency() != currency {
                return Err(Refused);
            }
            minor += amount.minor();
        }
        Ok(Total { minor, currency })
    }
}
