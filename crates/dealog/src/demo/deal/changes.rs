//! What people change about a deal between its stages.

use chrono::{Days, NaiveDate};
use dealog_domain::{Patch, deal};
use dealog_events::{
    FieldValue, Invalid, Probability,
    pipeline::{ForecastCategory, RequiredField},
};

use super::{course::Course, lead::sources};
use crate::demo::pipelines::{CONTRACT_LENGTH, REGION, REGIONS};

const CONTRACT_MONTHS: [i64; 4] = [12, 24, 36, 60];

/// What a title gets added when the deal turns out otherwise.
const TITLE_ADDITIONS: [&str; 5] = ["phase 1", "revised scope", "two sites", "with training", "without installation"];

/// How often which change is made.
const CHANGES: [(Change, u32); 10] = [
    (Change::Amount, 28),
    (Change::ExpectedClose, 22),
    (Change::Probability, 14),
    (Change::Category, 6),
    (Change::Owner, 6),
    (Change::Title, 4),
    (Change::Customer, 8),
    (Change::Source, 3),
    (Change::Campaign, 3),
    (Change::Region, 6),
];

#[derive(Clone, Copy)]
enum Change {
    Amount,
    ExpectedClose,
    Probability,
    Category,
    Owner,
    Title,
    Customer,
    Source,
    Campaign,
    Region,
}

impl Course<'_> {
    /// One change of those that people make. A change that would change nothing is left out.
    pub(super) fn make_some_change(&mut self) -> Result<(), Invalid> {
        // An opinion that is set down by hand is looked at again sooner than other things.
        if self.probability.is_some() && self.dice.percent(30) {
            return self.change_probability();
        }
        let drawn = self.dice.weighted(&CHANGES.map(|(_, weight)| weight));
        match CHANGES.get(drawn).map(|(change, _)| *change) {
            Some(Change::Amount) => self.change_amount()?,
            Some(Change::ExpectedClose) => self.change_expected_close(),
            Some(Change::Probability) => self.change_probability()?,
            Some(Change::Category) => self.change_category(),
            Some(Change::Owner) => self.change_owner(),
            Some(Change::Title) => self.change_title()?,
            Some(Change::Customer) => self.link_customer(),
            Some(Change::Source) => self.change_source()?,
            Some(Change::Campaign) => self.change_campaign(),
            Some(Change::Region) => self.set_region()?,
            None => {}
        }
        Ok(())
    }

    /// Someone enters what a stage asks for before the deal gets there.
    pub(super) fn fill_in(&mut self, required: &[RequiredField]) -> Result<(), Invalid> {
        let mut change = deal::Change::default();
        let mut missing = false;
        for field in required {
            match field {
                RequiredField::Amount if self.euros.is_none() => {
                    let euros = self.guess_euros();
                    self.euros = Some(euros);
                    change.amount = Patch::Set(self.money(euros)?);
                }
                RequiredField::ExpectedClose if self.expected_close.is_none() => {
                    let day = self.day_ahead(15, 50);
                    self.expected_close = Some(day);
                    change.expected_close = Patch::Set(day);
                }
                RequiredField::Customer if self.customer.is_none() => {
                    self.customer = self.lead.customer.as_ref().map(|party| party.id);
                    change.customer = self.customer.map_or(Patch::Keep, Patch::Set);
                }
                RequiredField::Custom(slug) if slug.as_str() == CONTRACT_LENGTH && self.contract_months.is_none() => {
                    let months = self.dice.pick(&CONTRACT_MONTHS).copied().unwrap_or(12);
                    self.contract_months = Some(months);
                    change.fields.insert(slug.clone(), Patch::Set(FieldValue::Integer(months)));
                }
                _ => continue,
            }
            missing = true;
        }
        if missing {
            self.change(change);
            self.let_it_rest(3);
        }
        Ok(())
    }

    /// Whether the deal has what a stage asks for.
    pub(super) fn has_all(&self, required: &[RequiredField]) -> bool {
        required.iter().all(|field| match field {
            RequiredField::Amount => self.euros.is_some(),
            RequiredField::ExpectedClose => self.expected_close.is_some(),
            RequiredField::Customer => self.customer.is_some(),
            RequiredField::Custom(_) => self.contract_months.is_some(),
            RequiredField::Owner | RequiredField::Source | RequiredField::Campaign => true,
        })
    }

    /// If the day on which the deal should have closed is past, it is put off; not by everyone.
    pub(super) fn put_off(&mut self) {
        let today = self.company.calendar.date_of(self.at);
        if self.expected_close.is_some_and(|day| day < today) && self.dice.percent(60) {
            self.change_expected_close();
            self.let_it_rest(6);
        }
    }

    /// What comes next comes on one of the next days, seldom within the hour.
    fn let_it_rest(&mut self, days_max: u32) {
        if self.dice.percent(85) {
            let days = self.dice.within(1, days_max);
            self.wait_days(days);
        } else {
            self.wait_minutes(2, 60);
        }
    }

    /// An amount near that of the lead, in steps of 50 euros.
    pub(super) fn guess_euros(&mut self) -> u32 {
        rounded(self.lead.euros * self.dice.within(80, 125) / 100)
    }

    /// A day so many days ahead.
    pub(super) fn day_ahead(&mut self, low: u32, high: u32) -> NaiveDate {
        let today = self.company.calendar.date_of(self.at);
        today.checked_add_days(Days::new(u64::from(self.dice.within(low, high)))).unwrap_or(today)
    }

    fn change_amount(&mut self) -> Result<(), Invalid> {
        let to = match self.euros {
            Some(euros) => rounded(euros * self.dice.within(75, 135) / 100),
            None => self.guess_euros(),
        };
        if self.euros != Some(to) {
            self.euros = Some(to);
            self.change(deal::Change { amount: Patch::Set(self.money(to)?), ..deal::Change::default() });
        }
        Ok(())
    }

    fn change_expected_close(&mut self) {
        // A day that nobody believes in any more is taken away, as long as no stage asks for one.
        if self.expected_close.is_some() && self.stage == 0 && self.dice.percent(25) {
            self.expected_close = None;
            self.change(deal::Change { expected_close: Patch::Clear, ..deal::Change::default() });
            return;
        }
        let day = self.day_ahead(10, 60);
        if self.expected_close != Some(day) {
            self.expected_close = Some(day);
            self.change(deal::Change { expected_close: Patch::Set(day), ..deal::Change::default() });
        }
    }

    fn change_probability(&mut self) -> Result<(), Invalid> {
        let probability = match self.probability {
            Some(_) if self.dice.percent(60) => None,
            _ => Some(self.believed_probability()?),
        };
        if self.probability != probability {
            self.probability = probability;
            let patch = match probability {
                Some(basis_points) => Patch::Set(Probability::from_basis_points(basis_points)?),
                None => Patch::Clear,
            };
            self.change(deal::Change { probability: patch, ..deal::Change::default() });
        }
        Ok(())
    }

    /// A seller's own opinion: up to 20 points beside the stage's chance, in steps of 5.
    fn believed_probability(&mut self) -> Result<u16, Invalid> {
        let usual = self.funnel.stage(self.stage)?.probability.basis_points();
        let beside = u16::try_from(self.dice.below(9) * 500).unwrap_or(0);
        Ok((usual + beside).saturating_sub(2_000).clamp(500, 9_500))
    }

    fn change_category(&mut self) {
        let all = [ForecastCategory::Omitted, ForecastCategory::BestCase, ForecastCategory::Commit];
        self.category = if self.category.is_some() { None } else { self.dice.pick(&all).copied() };
        let patch = self.category.map_or(Patch::Clear, Patch::Set);
        self.change(deal::Change { forecast_category: patch, ..deal::Change::default() });
    }

    fn change_owner(&mut self) {
        let takers = self.company.people.takers(self.at);
        let present = self.owner.map(|owner| owner.id);
        if let Some(taker) = self.dice.pick(&takers).copied().filter(|taker| Some(taker.id) != present) {
            self.change(deal::Change { owner: Patch::Set(taker.id), ..deal::Change::default() });
            // Only now: it was given away by the one who had it.
            self.owner = Some(taker);
        }
    }

    fn change_title(&mut self) -> Result<(), Invalid> {
        let addition = self.dice.pick(&TITLE_ADDITIONS).copied().unwrap_or_default();
        if !self.title.contains(addition) {
            self.title = format!("{}, {addition}", self.title);
            self.change(deal::Change { title: Patch::Set(self.title.parse()?), ..deal::Change::default() });
        }
        Ok(())
    }

    fn link_customer(&mut self) {
        let party = self.lead.customer.as_ref().map(|party| party.id);
        if let Some(customer) = party.filter(|_| self.customer.is_none()) {
            self.customer = party;
            self.change(deal::Change { customer: Patch::Set(customer), ..deal::Change::default() });
        }
    }

    fn change_source(&mut self) -> Result<(), Invalid> {
        let source = self.dice.pick(&sources()).copied().unwrap_or_default();
        if source != self.source {
            self.source = source;
            self.change(deal::Change { source: Patch::Set(source.parse()?), ..deal::Change::default() });
        }
        Ok(())
    }

    fn change_campaign(&mut self) {
        let campaigns = self.company.campaigns_at(self.lead.begins);
        let found = self.dice.pick(&campaigns).copied().filter(|campaign| Some(*campaign) != self.lead.campaign);
        if let Some(campaign) = found {
            self.lead.campaign = Some(campaign);
            self.change(deal::Change { campaign: Patch::Set(campaign), ..deal::Change::default() });
        }
    }

    fn set_region(&mut self) -> Result<(), Invalid> {
        if self.region.is_none() {
            let region = self.dice.pick(&REGIONS).copied().unwrap_or_default();
            self.region = Some(region);
            let value = Patch::Set(FieldValue::Text(region.parse()?));
            self.change(deal::Change { fields: [(REGION.parse()?, value)].into(), ..deal::Change::default() });
        }
        Ok(())
    }
}

/// In steps of 50 euros, and never nothing.
pub(super) fn rounded(euros: u32) -> u32 {
    (euros / 50).max(1) * 50
}
