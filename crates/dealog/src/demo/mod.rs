//! The sample company of `dealog demo`: two years of deals that nobody ever had.
//!
//! A sample shows what figures look like, and it is the same everywhere: the same seed and date give the same log, to the
//! byte. So it is made in two steps. [`Sample::plan`] is pure: it tells all commands with the instants at which they are
//! handled. [`fill`] sends them in that order through the same handlers as everyone's commands, so that a sample cannot
//! hold what a company could not have done.
//!
//! A log that holds a part of a sample goes on with it: each command has a key of its own, and what the log remembers is
//! not sent again.

mod calendar;
pub(crate) mod command;
mod company;
mod customers;
mod deal;
mod dice;
mod fill;
mod people;
mod pipelines;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use dealog_commands::{CommandError, Meta, Request};
use dealog_domain::Command;
use dealog_events::{Actor, Invalid, ReadError, StreamId, TimeZone, Timestamp};
use dealog_store::StoreError;
use uuid::Uuid;

pub(crate) use fill::fill;

/// The namespace of all ids in samples. Another one would make another log of the same seed.
const NAMESPACE: Uuid = Uuid::from_u128(0x8a4e_19d3_6c27_5b0f_b1e8_4f72_93ad_c650);

/// Where the sample company is at home.
const TIME_ZONE: &str = "Europe/Riga";

/// The time zone of the sample company: "until today" means the day it is there.
pub(crate) fn time_zone() -> Result<TimeZone, DemoError> {
    Ok(TIME_ZONE.parse::<TimeZone>()?)
}

/// Which sample: all of it follows from these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Another seed, other deals.
    pub(crate) seed: u64,
    /// The day on which the two years end; its own events are not among them.
    pub(crate) until: NaiveDate,
    /// How much there is of it.
    pub(crate) size: Size,
}

/// How large a sample is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Deals that begin.
    pub(crate) deals: u32,
    /// Customers that become known.
    pub(crate) customers: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { deals: 5_000, customers: 300 }
    }
}

/// What came of filling a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filled {
    /// The day until which the sample goes. Another one than was asked for where the log held an older sample.
    pub(crate) until: NaiveDate,
    /// Events appended now.
    pub(crate) events: u64,
    /// Commands of the whole sample.
    pub(crate) commands: usize,
    /// Whether the log held the whole sample before.
    pub(crate) already_there: bool,
}

/// Why a log was not filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The log has other content.
    #[error(
        "the log holds a company of its own or a sample of another seed; name another folder or database for this sample"
    )]
    Occupied,
    /// A command was not carried out. Where the log was at fault, the next filling goes on from here.
    #[error("command {key} of the sample: {source}")]
    Command {
        /// Which one.
        key: String,
        /// Why.
        source: CommandError,
    },
    /// A command had nothing to do: a mistake in the plan.
    #[error("command {key} of the sample changes nothing; this is a mistake in Dealog, please report it")]
    Needless {
        /// Which one.
        key: String,
    },
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event in the log could not be interpreted.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The sample cannot be made: the date is too early, or there is a mistake in the plan.
    #[error("the sample cannot be made: {0}")]
    Plan(#[from] Invalid),
}

/// A command of the plan, with the instant at which it is handled.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What it is called within the sample, such as `deal:17:3`.
    pub(crate) name: String,
    /// When it is handled; its request says the same.
    pub(crate) now: Timestamp,
    /// The command.
    pub(crate) request: Request,
}

impl Sample {
    /// All commands in the order in which they are sent.
    pub(super) fn plan(&self) -> Result<Vec<Step>, DemoError> {
        let company = company::Company::new(*self)?;
        let mut steps = company.steps()?;
        for index in 0..self.size.deals {
            steps.extend(deal::steps(&company, index)?);
        }
        steps.retain(|step| step.now < company.calendar.end());
        // Stable: at the same instant the company goes before its deals, and each thing keeps its own order.
        steps.sort_by_key(|step| step.now);
        Ok(steps)
    }

    /// The id of the thing with this name.
    fn id(&self, name: &str) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{}:{name}", self.seed).as_bytes())
    }

    /// A command that is handled at `now` and happened then.
    fn step(&self, name: String, actor: Actor, now: Timestamp, stream: StreamId, command: Command) -> Step {
        let key = format!("demo:{}:{}:{name}", self.seed, self.until);
        let meta = Meta::keyed(actor, &key).handled_at(now);
        Step { name, now, request: Request { stream, command, meta } }
    }
}
