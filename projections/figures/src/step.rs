//! What the memory image keeps of a deal: how it began, and each step since, in the order of the log.
//!
//! Within a deal, positions and times never run backwards. So what was true at an instant, or was known at a position, is a
//! beginning of its steps, and [`State::after`] them is the deal as of then.

use std::num::NonZeroU16;

use chrono::NaiveDate;
use dealog_events::{AMOUNT_MAX, DealId, pipeline::ForecastCategory};
use serde::{Deserialize, Serialize};

use crate::{names::Name, snapshot};

/// One thing that happened to a deal. 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When it happened, in microseconds UTC.
    pub at: i64,
    /// Its place in the log.
    pub position: u32,
    /// What happened.
    pub change: Change,
}

/// What a step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It moved to another stage of its pipeline.
    Moved(Entry),
    /// It was taken up again, in this stage.
    Reopened(Entry),
    /// It went to this stage of another pipeline.
    Transferred(Entry),
    /// It was won.
    Won,
    /// It was lost.
    Lost {
        /// Whether that counts. If not, the deal is in no figure but `excluded`.
        counted: bool,
        /// Why.
        reason: Name,
        /// Who won it instead.
        competitor: Option<Name>,
    },
    /// Someone else, or nobody, is responsible for it.
    Owner(Option<Name>),
    /// It is with another customer, or none.
    Customer(Option<Name>),
    /// It has another source, or none.
    Source(Option<Name>),
    /// It is ascribed to another campaign, or none.
    Campaign(Option<Name>),
    /// It is worth something else, or nobody knows what.
    Amount(Option<Amount>),
    /// It is expected to close on another day, or none.
    #[serde(with = "snapshot::day")]
    ExpectedClose(Option<NaiveDate>),
    /// It has a probability of its own in basis points, or its stage's again.
    Probability(Option<u16>),
    /// It has a forecast category of its own, or its stage's again.
    Category(Option<ForecastCategory>),
    /// A custom field (a name) has another value (a name too), or none.
    Field(Name, Option<Name>),
    /// It was closed at this instant, whatever the time of the step: said of the closing that follows, or of the one before.
    ClosedAt(Micros),
    /// The closing is credited to this owner, or nobody.
    ClosedBy(Option<Name>),
    /// It was won for another amount.
    ClosedFor(Amount),
    /// It was lost for another reason.
    LostBecause {
        /// Whether that counts.
        counted: bool,
        /// Why.
        reason: Name,
    },
    /// The steps at these positions were undone: from the first to the last.
    Undone(u32, u32),
}

impl Change {
    /// Whether it says something of other steps, and nothing of its own.
    pub(crate) fn is_of_others(&self) -> bool {
        matches!(
            self,
            Self::ClosedAt(_) | Self::ClosedBy(_) | Self::ClosedFor(_) | Self::LostBecause { .. } | Self::Undone(..)
        )
    }
}

/// An instant in microseconds UTC, kept in parts so that it fits into a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Micros([u16; 4]);

impl Micros {
    /// Of this instant.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each part keeps its 16 bits")]
    pub fn new(micros: i64) -> Self {
        Self([micros as u16, (micros >> 16) as u16, (micros >> 32) as u16, (micros >> 48) as u16])
    }

    /// The instant.
    pub fn get(self) -> i64 {
        let [lowest, low, high, highest] = self.0.map(u64::from);
        (highest << 48 | high << 32 | low << 16 | lowest).cast_signed()
    }
}

/// A stage that a deal entered, and the path that brought it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stage.
    pub stage: Name,
    /// The name of its path: all stages that it entered, including this one.
    pub path: Name,
}

/// How a deal was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Why.
    pub reason: Name,
    /// Who won it instead.
    pub competitor: Option<Name>,
}

/// An amount. With or without `Option`, it takes 8 bytes: 48 bits of minor units, enough for [`AMOUNT_MAX`], and its currency's
/// number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount([u16; 3], NonZeroU16);

const _: () = assert!(AMOUNT_MAX < 1 << 48);

impl Amount {
    /// Takes minor units, at most [`AMOUNT_MAX`], and a currency's number, from 0. There are fewer than 300 currencies.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each part keeps its 16 bits")]
    pub fn new(minor: i64, currency: u16) -> Self {
        let currency = NonZeroU16::MIN.saturating_add(currency);
        Self([minor as u16, (minor >> 16) as u16, (minor >> 32) as u16], currency)
    }

    /// Minor units.
    pub fn minor(self) -> i64 {
        let [low, middle, high] = self.0.map(i64::from);
        high << 32 | middle << 16 | low
    }

    /// The currency's number.
    pub fn currency(self) -> u16 {
        self.1.get() - 1
    }
}

/// Where a deal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It is being worked on.
    Open,
    /// It was sold.
    Won,
    /// It was not.
    Lost,
    /// It was lost for a reason that is not counted.
    Excluded,
}

/// A deal at one instant, as figures see it. 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    pub status: Status,
    /// The stage it is in, or was closed in. It belongs to one pipeline.
    pub stage: Name,
    /// The name of its path: all stages that it entered, in order.
    pub path: Name,
    /// When it entered that stage, or when it was closed if it is closed.
    pub since: i64,
    /// Who is responsible.
    pub owner: Option<Name>,
    /// To whom it is sold.
    pub customer: Option<Name>,
    /// Where it came from.
    pub source: Option<Name>,
    /// What brought it.
    pub campaign: Option<Name>,
    /// What it is worth.
    pub amount: Option<Amount>,
    /// When it is expected to close.
    #[serde(with = "snapshot::day")]
    pub expected_close: Option<NaiveDate>,
    /// Its own probability in basis points.
    pub probability: Option<u16>,
    /// Its own forecast category.
    pub category: Option<ForecastCategory>,
    /// How it was lost.
    pub loss: Option<Loss>,
}

impl State {
    /// This state, changed by one step.
    pub fn apply(&mut self, step: &Step) {
        match step.change {
            Change::Moved(entry) | Change::Transferred(entry) | Change::Reopened(entry) => {
                (self.stage, self.path, self.since) = (entry.stage, entry.path, step.at);
                (self.status, self.loss) = (Status::Open, None);
            }
            Change::Won => (self.status, self.since) = (Status::Won, step.at),
            Change::Lost { counted, reason, competitor } => {
                self.status = if counted { Status::Lost } else { Status::Excluded };
                (self.since, self.loss) = (step.at, Some(Loss { reason, competitor }));
            }
            Change::Owner(owner) => self.owner = owner,
            Change::Customer(customer) => self.customer = customer,
            Change::Source(source) => self.source = source,
            Change::Campaign(campaign) => self.campaign = campaign,
            Change::Amount(amount) => self.amount = amount,
            Change::ExpectedClose(day) => self.expected_close = day,
            Change::Probability(probability) => self.probability = probability,
            Change::Category(category) => self.category = category,
            // Few questions are about fields: those look for the step. The others are carried out before steps are applied.
            Change::Field(..)
            | Change::ClosedAt(_)
            | Change::ClosedBy(_)
            | Change::ClosedFor(_)
            | Change::LostBecause { .. }
            | Change::Undone(..) => {}
        }
    }

    /// When it was closed; none while it is open.
    pub fn closed_at(&self) -> Option<i64> {
        (self.status != Status::Open).then_some(self.since)
    }

    /// What figures say of a deal after these steps, which [count](crate::counted::counted). An open deal is as it stands; a closed
    /// one as it was when it was closed, so the owner of then is credited.
    #[must_use]
    pub fn after(self, steps: &[Step]) -> Self {
        let mut replay = Replay::of(self);
        for step in steps {
            replay.apply(step);
        }
        *replay.state()
    }
}

/// A deal whose steps are applied one after another.
pub(crate) struct Replay {
    now: State,
    /// As it was when it was closed; none while it is open.
    closed: Option<State>,
}

impl Replay {
    /// A deal that began like this.
    pub(crate) fn of(first: State) -> Self {
        Self { now: first, closed: None }
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        self.now.apply(step);
        match step.change {
            Change::Won | Change::Lost { .. } => self.closed = Some(self.now),
            Change::Reopened(_) => self.closed = None,
            _ => {}
        }
    }

    /// What figures say of the deal by now.
    pub(crate) fn state(&self) -> &State {
        self.closed.as_ref().unwrap_or(&self.now)
    }
}

/// How a deal began. 64 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deal {
    /// Which one.
    pub id: DealId,
    /// Where the log says that it began.
    pub position: u32,
    /// When it was created.
    pub created_at: i64,
    /// Its first stage.
    pub stage: Name,
    /// The path that has this stage alone.
    pub path: Name,
    /// Who was responsible at first.
    pub owner: Option<Name>,
    /// To whom it was to be sold.
    pub customer: Option<Name>,
    /// Where it came from.
    pub source: Option<Name>,
    /// What brought it.
    pub campaign: Option<Name>,
    /// What it was worth.
    pub amount: Option<Amount>,
    /// When it was expected to close.
    #[serde(with = "snapshot::day")]
    pub expected_close: Option<NaiveDate>,
}

impl Deal {
    /// As it was created: open, with nothing of its own but what it was created with.
    pub fn begun(&self) -> State {
        State {
            status: Status::Open,
            stage: self.stage,
            path: self.path,
            since: self.created_at,
            owner: self.owner,
            customer: self.customer,
            source: self.source,
            campaign: self.campaign,
            amount: self.amount,
            expected_close: self.expected_close,
            probability: None,
            category: None,
            loss: None,
        }
    }
}

/// The value of a field after these steps; for a closed deal, its value at the closing.
pub(crate) fn field(steps: &[Step], closed: bool, field: Name) -> Option<Name> {
    let closing = |step: &Step| matches!(step.change, Change::Won | Change::Lost { .. });
    let end = if closed { steps.iter().rposition(closing).unwrap_or(steps.len()) } else { steps.len() };
    let value = |step: &Step| match step.change {
        Change::Field(found, value) if found == field => Some(value),
        _ => None,
    };
    steps.get(..end)?.iter().rev().find_map(value).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_24_bytes_and_a_deal_and_a_state_64_each() {
        assert_eq!(size_of::<Step>(), 24);
        assert_eq!(size_of::<Deal>(), 64);
        assert_eq!(size_of::<State>(), 64);
    }

    #[test]
    fn an_instant_is_what_was_put_into_it() {
        for micros in [0, 1, -1, 65_536, 1_767_225_600_000_000, i64::MIN, i64::MAX] {
            assert_eq!(Micros::new(micros).get(), micros);
        }
    }

    #[test]
    fn an_amount_is_what_was_put_into_it() {
        for minor in [0, 1, 65_535, 65_536, 120_000, AMOUNT_MAX] {
            let amount = Amount::new(minor, 77);
            assert_eq!((amount.minor(), amount.currency()), (minor, 77));
        }
    }
}
