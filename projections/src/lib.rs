//! Read models: what people look at, folded from the log.
//!
//! A projection is a name, a version, its tables and a fold. Its tables and its checkpoint change in one transaction, so
//! each event counts exactly once, whatever crashes. All of it can be thrown away and rebuilt.
//!
//! Each read model is one folder: its tables, its fold and its queries side by side. They are written once for both
//! databases, on sqlx's `Any` driver; see [`Database`] for what that asks of a table.

#[macro_use]
mod table;

mod checkpoint;
mod database;
pub mod deals;
pub mod figures;
mod worker;

use dealog_events::{Position, ReadError};
use dealog_store::StoreError;
use uuid::Uuid;

pub use checkpoint::{Checkpoint, checkpoint};
pub use database::Database;
pub use worker::{Limits, Projection, Status, Worker};

/// Why a projection could not go on, or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The database of the read models did not do what was asked.
    #[error("the read models' database: {0}")]
    Database(#[from] sqlx::Error),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event cannot be interpreted. It is not skipped: a version that can read it goes on from here.
    #[error("position {position} cannot be read: {source}")]
    Unreadable {
        /// Where it stands.
        position: Position,
        /// Why.
        source: ReadError,
    },
    /// An event that does not follow from those before it.
    #[error("position {position} cannot be applied: {reason}")]
    Unapplicable {
        /// Where it stands.
        position: Position,
        /// Why.
        reason: String,
    },
    /// The checkpoint was made on another log.
    #[error("the read models were folded from log {found}, and this is log {expected}: run `dealog rebuild`")]
    OtherLog {
        /// This log.
        expected: Uuid,
        /// The checkpoint's.
        found: Uuid,
    },
    /// The checkpoint lies beyond the end of the log.
    #[error("the read models have seen position {checkpoint}, and the log ends at {head}: run `dealog rebuild`")]
    BeyondHead {
        /// The checkpoint.
        checkpoint: Position,
        /// The end of the log.
        head: Position,
    },
    /// No worker has made the tables yet.
    #[error("the read models have not been made yet: start `dealog work`, or `dealog serve` without --no-workers")]
    NotBuilt,
    /// A stored value that no fold ever writes.
    #[error("the read models are damaged ({0}): run `dealog rebuild`")]
    Damaged(String),
    /// An amount in a currency that cannot be converted.
    #[error("there is no exchange rate from {from} to {to} on {day}")]
    NoRate {
        /// The amount's currency.
        from: String,
        /// The reporting currency.
        to: String,
        /// The local day of the instant asked about.
        day: chrono::NaiveDate,
    },
    /// An answer would have more groups than are allowed.
    #[error("the answer would have more than {max} groups: choose fewer deals with filters, or group by less")]
    TooManyGroups {
        /// Groups that are allowed.
        max: usize,
    },
    /// What a query asks for makes no sense.
    #[error("{message}")]
    Query {
        /// The parameter.
        field: &'static str,
        /// What is wrong with it and what would be right.
        message: String,
    },
}
