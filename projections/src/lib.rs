//! Read models: what people look at, folded from the log.
//!
//! A projection is a name, a version, its tables and a fold. Its tables and its checkpoint change in one transaction, so
//! each event counts exactly once, whatever crashes. All of it can be thrown away and rebuilt.
//!
//! Each read model is one folder: its tables, its fold and its queries side by side. They are written once for both
//! databases, on sqlx's `Any` driver; see [`Database`] for what that asks of a table.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a room prints nothing")]

#[macro_use]
mod table;

mod damage;
mod database;
mod dialect;
mod image;
mod lock;
pub mod models;
mod postgres;
mod projection;
mod runtime;
mod verify;

use dealog_events::{Cursor, Position, ReadError};
use dealog_store::{StoreError, disk, is_away};
use uuid::Uuid;

pub use damage::put_aside_if_damaged;
pub use database::Database;
pub use dealog_followers::Status;
pub use dialect::Dialect;
pub use image::{Figures, FiguresError, ImageFollower, ImageLimits};
pub use projection::Projection;
pub use runtime::{Build, Checkpoint, Limits, ModelStatus, Standing, Stop, Watch, Worker, checkpoint, position_of};
pub use verify::{Verified, verify};

impl ProjectionError {
    /// Whether the database of the read models or of the log cannot do its work for now: the same question may be answered a
    /// little later.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(error) => is_away(error),
            Self::Store(error) => error.is_away(),
            Self::Connect { .. } | Self::Away(_) => true,
            _ => false,
        }
    }

    /// What a caller may be told: what a database says is for the log.
    pub fn in_words(&self) -> String {
        match self {
            Self::Database(error) if let Some(what) = disk(error) => format!("the disk of the read models {what}"),
            Self::Database(_) | Self::Connect { .. } if self.is_away() => {
                "the read models' database cannot do its work for now".into()
            }
            Self::Database(_) => "the read models' database failed, and the server's log says why".into(),
            Self::Store(StoreError::Damaged { .. }) => self.to_string(),
            Self::Store(error) => error.in_words().into(),
            _ => self.to_string(),
        }
    }
}

/// Why a projection could not go on, or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The database of the read models did not do what was asked.
    #[error("the read models' database: {0}")]
    Database(#[source] sqlx::Error),
    /// The database of the read models cannot be reached.
    #[error("the read models' database ({server}) cannot be used: {source}")]
    Connect {
        /// Where it should be.
        server: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// Texts of this database cannot hold all characters.
    #[error(
        "the read models' database has the encoding {0}: make one with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"
    )]
    Encoding(String),
    /// The schema of the read models belongs to another role, or others may make something in it. What they put there would run with
    /// the rights of this role.
    #[error(
        "the read models (schema {schema}) belong to role {owner}, or others may create something in them, and this is role {role}: \
         what others put there would run with the rights of {role}. Connect as {owner}, revoke CREATE on the schema from others, or drop it: \
         DROP SCHEMA {schema} CASCADE"
    )]
    NotOurs {
        /// The schema.
        schema: String,
        /// The role that it belongs to.
        owner: String,
        /// The role that this is.
        role: String,
    },
    /// Another worker has taken over.
    #[error("another worker keeps the read models up to date now")]
    LeaseLost,
    /// The worker panicked, which the log of the process tells of.
    #[error("the worker of the read models failed and was started again: the server's log says why")]
    WorkerFailed,
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
    /// The log has another event there than the one that was folded.
    #[error(
        "the read models have seen event {checkpoint}, and the log has {found} there: it was restored from a backup since, or is \
         another one: run `dealog rebuild`"
    )]
    OtherEvent {
        /// The checkpoint.
        checkpoint: Cursor,
        /// What is there.
        found: Cursor,
    },
    /// A model stopped, and others that a query joins with it have gone on.
    #[error("the read model {model} stopped before position {position}: {reason}")]
    ModelStopped {
        /// Which one.
        model: String,
        /// The event that it cannot apply.
        position: Position,
        /// Why not.
        reason: String,
    },
    /// Something is away, and whoever follows the log has already said what.
    #[error("{0}")]
    Away(String),
    /// Following the log is of no more use.
    #[error("{0}")]
    Ended(String),
    /// The tables were made by another version.
    #[error(
        "the tables of the read models have version {found}, and this dealog knows version {known}: use the dealog that \
         made them, or run `dealog rebuild` with this one"
    )]
    OtherVersion {
        /// Of the tables.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// Another process is making the tables.
    #[error("another process is making the read models anew: `dealog projections` says how far it is")]
    BeingBuilt,
    /// There are no tables that this version can ask.
    #[error(
        "the read models have not been made yet: `dealog work`, or `dealog serve` without --no-workers, makes them, and \
         /health/ready says how far that is"
    )]
    NotBuilt,
    /// The tables are earlier than what was asked for.
    #[error("the read models stand at position {position}, before {least}: ask again a little later")]
    Behind {
        /// Where they are.
        position: Position,
        /// What was asked for.
        least: Position,
    },
    /// A file that SQLite cannot read, or a stored value that no fold ever writes.
    #[error(
        "the read models are damaged ({0}): stop dealog and start it again, which makes those in a file anew; for those on a \
         server run `dealog rebuild` before"
    )]
    Damaged(String),
    /// The file of a build is damaged, and not that of the tables that are there.
    #[error("the read models that were being made are damaged ({0}): they are begun anew")]
    BuildDamaged(String),
    /// A damaged file that cannot be put aside.
    #[error(
        "views.db is damaged ({0}), and another process has it open: stop all that work on this folder, then start again"
    )]
    DamagedInUse(String),
}
