//! The one way to follow the log.
//!
//! A [`Follower`] says where it is and handles what comes next. [`follow`] does the rest: it reads ahead, waits and is woken, tries
//! again when something is away, closes in on an event that cannot be handled, checks that the history which the follower has seen
//! is that of this log, and tells how it is doing as a [`Status`].
//!
//! Where only one of several processes may run a follower, the follower holds a [`Lease`]: see [`Turn`].

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a room prints nothing")]

mod follow;
mod history;
pub mod lease;
mod page;
pub mod process;
mod status;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use dealog_events::{Category, Cursor, Envelope, Position, ReadError};
use dealog_store::StoreError;

pub use follow::{Limits, advance, catch_up, follow};
pub use history::{OtherHistory, check};
pub use lease::{Lease, LeaseError};
pub use page::{Page, at};
pub use status::Status;

/// What follows the log. It lives on after each of these calls fails or is dropped half way, so none may leave it half changed.
#[async_trait]
pub trait Follower: Send {
    /// What it makes of an event before it handles it. The next events are read and prepared while these are handled.
    type Item: Send + 'static;

    /// Its name, in logs and metrics.
    fn name(&self) -> &'static str;

    /// The kinds of streams whose events it handles; empty means all. Rare events are then found by the index, without reading the
    /// rest. Its batches have gaps, and one may be empty, with a cursor that is further on.
    fn reads(&self) -> &'static [Category] {
        &[]
    }

    /// Whether it has more to do than what follows its cursor, such as to take others along that are behind it.
    fn has_more(&self) -> bool {
        false
    }

    /// Prepares an event.
    fn prepare(event: Envelope) -> Result<Self::Item, ReadError>;

    /// Whether it is this follower's turn, and where it goes on. Asked before each batch, so it should cost little where
    /// nothing has changed.
    async fn turn(&mut self) -> Result<Turn, Trouble>;

    /// Handles the next events of those that it [reads](Self::reads), and moves its cursor to `reached`: all of that or nothing.
    async fn handle(&mut self, items: Vec<Self::Item>, reached: Cursor) -> Result<(), Trouble>;

    /// Its cursor is of another history than this log's. Whoever can begin again does so here; by default, it stops.
    async fn begin_again(&mut self, found: &OtherHistory) -> Result<(), Trouble> {
        Err(Trouble::Ended(found.to_string()))
    }

    /// It stops at an event that it cannot handle, for good.
    async fn stopped(&mut self, _at: Position, _reason: &str) -> Result<(), Trouble> {
        Ok(())
    }

    /// It does nothing for a while, or ever: others may take their turn.
    async fn rest(&mut self) {}
}

/// Whether a follower may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It goes on behind this cursor. Where only one may, it holds the lease.
    Go(Cursor),
    /// The same, for now no further than this position.
    Until(Cursor, Position),
    /// Another one leads, and has come this far.
    Wait(Position),
}

/// Why a follower cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It cannot handle this event, nor will it be able to next time.
    #[error("position {position} cannot be handled: {reason}")]
    Poison {
        /// Where the event is.
        position: Position,
        /// Why not.
        reason: String,
    },
    /// It is not where it thought it was: another one leads, or has moved its cursor. It is asked for its turn at once.
    #[error("another one has moved its cursor")]
    Moved,
    /// It cannot go on for now. This is tried again.
    #[error("{0}")]
    Away(String),
    /// It cannot go on for good.
    #[error("{0}")]
    Ended(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { position, .. } => Self::Poison { position, reason: error.to_string() },
            error if error.is_damage() => Self::Ended(error.to_string()),
            error => {
                tracing::warn!(%error, "a follower cannot read the log");
                Self::Away(error.in_words().to_owned())
            }
        }
    }
}
