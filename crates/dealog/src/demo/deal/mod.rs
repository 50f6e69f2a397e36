//! The course of one deal as a plan of timed commands: how it begins, how far it gets, how it ends, and what comes after.
//!
//! What becomes of a deal is drawn first, and then the way there. So the sample has the win rate that it should have, and
//! sellers, sources and sizes differ by as much as they should.

mod changes;
mod course;
mod lead;
mod path;

use std::collections::BTreeMap;

use dealog_domain::deal;
use dealog_events::{FieldValue, Invalid};

use self::{course::Course, lead::Lead};
use super::{
    Step,
    company::Company,
    dice::Dice,
    pipelines::{REGION, REGIONS},
};

/// Of 1,000 deals, those entered by mistake, those entered twice, and those that nobody looks after any more.
const MISTAKES_PER_MILLE: u32 = 12;
const DUPLICATES_PER_MILLE: u32 = 22;
const FORGOTTEN_PER_MILLE: u32 = 80;

/// What becomes of a deal.
enum Fate {
    /// Sold.
    Won,
    /// Not sold.
    Lost,
    /// It should not have been entered.
    Mistake,
    /// It repeats the deal with this number.
    Duplicate(u32),
    /// Nothing: it stays where it is, for long or for ever.
    Forgotten,
}

/// All commands of the deal number `index`.
pub(super) fn steps(company: &Company, index: u32) -> Result<Vec<Step>, Invalid> {
    let mut dice = Course::dice(company, index);
    let mut lead = Lead::new(company, index);
    let fate = if dice.per_mille(MISTAKES_PER_MILLE) {
        Fate::Mistake
    } else if let Some(repeated) = repeated(index, &mut dice) {
        Fate::Duplicate(original(company, repeated))
    } else if dice.per_mille(FORGOTTEN_PER_MILLE) {
        Fate::Forgotten
    } else if dice.percent(lead.win_percent) {
        Fate::Won
    } else {
        Fate::Lost
    };
    if let Fate::Duplicate(original) = fate {
        lead = lead.repeating(Lead::new(company, original));
    }
    let mut course = Course::new(company, index, lead, dice);
    course.begin()?;
    match fate {
        Fate::Won => course.go_and_win()?,
        Fate::Lost => course.go_and_lose()?,
        Fate::Mistake => course.turn_out_a_mistake()?,
        Fate::Duplicate(original) => course.turn_out_a_duplicate(original)?,
        Fate::Forgotten => course.go_and_be_forgotten()?,
    }
    Ok(course.steps())
}

/// The deal that the deal number `index` repeats, if it repeats one.
fn repeated(index: u32, dice: &mut Dice) -> Option<u32> {
    (index > 0 && dice.per_mille(DUPLICATES_PER_MILLE)).then(|| index - dice.within(1, index.min(80)))
}

/// This deal, or the first of those that it repeats: a duplicate is not one of a duplicate.
fn original(company: &Company, mut index: u32) -> u32 {
    loop {
        let mut dice = Course::dice(company, index);
        if dice.per_mille(MISTAKES_PER_MILLE) {
            return index;
        }
        match repeated(index, &mut dice) {
            Some(repeated) => index = repeated,
            None => return index,
        }
    }
}

impl Course<'_> {
    /// The first command. Not everything is known at the beginning.
    fn begin(&mut self) -> Result<(), Invalid> {
        let known = self.dice.percent(88);
        self.customer = self.lead.customer.as_ref().filter(|_| known).map(|party| party.id);
        if self.customer.is_none() {
            self.title = format!("{}, enquiry", self.lead.product);
        }
        self.owner = self.lead.owner;
        self.euros = if self.dice.percent(62) { Some(self.guess_euros()) } else { None };
        self.expected_close = if self.dice.percent(55) { Some(self.day_ahead(30, 100)) } else { None };
        self.region = if self.dice.percent(35) { self.dice.pick(&REGIONS).copied() } else { None };
        // Who calls already knowing what they want is past the first contact.
        self.stage = usize::from(self.dice.percent(8));

        let mut fields = BTreeMap::new();
        if let Some(region) = self.region {
            fields.insert(REGION.parse()?, FieldValue::Text(region.parse()?));
        }
        // Now and then a deal comes in that is nobody's yet.
        let unassigned = self.dice.percent(4);
        let create = deal::Create {
            title: self.title.parse()?,
            pipeline: self.funnel.id,
            stage: if self.stage > 0 { Some(self.funnel.stage(self.stage)?.slug.clone()) } else { None },
            customer: self.customer,
            owner: self.owner.filter(|_| !unassigned).map(|owner| owner.id),
            amount: self.euros.map(|euros| self.money(euros)).transpose()?,
            expected_close: self.expected_close,
            source: Some(self.source.parse()?),
            campaign: self.lead.campaign,
            fields,
        };
        let owner = if unassigned { self.owner.take() } else { None };
        self.enter(deal::Command::Create(create));
        (self.open, self.opened) = (true, self.at);
        if let Some(owner) = owner {
            if self.dice.percent(50) {
                self.wait_minutes(30, 600);
            } else {
                let days = self.dice.within(1, 12);
                self.wait_days(days);
            }
            let owner = self.company.people.takers(self.at).into_iter().find(|taker| taker.id == owner.id);
            self.assign(owner);
        }
        Ok(())
    }
}
