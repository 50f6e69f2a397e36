//! Command handlers: load, decide, append, and again where something else got in between.
//!
//! There is one path for all commands, [`Commands::execute`]. It never reads a read model: what a rule needs to know, it
//! takes from streams, and the append checks that those streams have not grown meanwhile. That check is what makes an
//! accepted command safe, so states may come from a cache. A refusal has no such check, and neither has "nothing to do":
//! both are decided again on what the log says before they are given as an answer.

mod handle;
mod identity;
mod state;

use std::sync::Arc;

use dealog_domain::{Command, Occurred, Rejection};
use dealog_events::{Actor, CommandId, Position, ReadError, StreamId, Timestamp, UserId, Version};
use dealog_store::{AppendError, Fingerprint, StoreError};
use uuid::Uuid;

pub use handle::Commands;
pub use identity::{command_id, fingerprint};

/// Where the time comes from. The system's clock in a server; a simulated one where history is made up.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| Timestamp::from(chrono::Utc::now()))
}

/// Named limits of command handling.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How often a command is decided before its stream is called contended.
    pub attempts_max: u32,
    /// Streams whose state is kept in memory.
    pub cached_streams_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts_max: 10, cached_streams_max: 20_000 }
    }
}

/// A command on its way to a stream.
#[derive(Debug, Clone)]
pub struct Request {
    /// The stream that it is for.
    pub stream: StreamId,
    /// What is asked for.
    pub command: Command,
    /// Who asks, and under which name.
    pub meta: Meta,
}

/// What surrounds a command.
#[derive(Debug, Clone)]
pub struct Meta {
    /// Who asks.
    pub actor: Actor,
    /// Its id: see [`command_id`], or a random one where the caller gave no idempotency key.
    pub command_id: CommandId,
    /// A hash of all that was asked for: see [`fingerprint`].
    pub fingerprint: Fingerprint,
    /// The whole piece of work it is part of.
    pub correlation_id: Uuid,
    /// The event that led to it.
    pub causation_id: Option<Uuid>,
    /// When it is handled, where history is made up; by the clock if absent.
    pub now: Option<Timestamp>,
    /// When it happened, as the caller says.
    pub occurred: Occurred,
    /// The versions that the caller saw. The command is refused if the stream is at none of them.
    pub if_match: Option<Vec<Version>>,
    /// The user whose deals alone the caller may work; none where the caller may work all.
    pub own_deals_of: Option<UserId>,
}

impl Meta {
    /// A command of `actor`'s that can be recognised by `key` when it comes again, and that happened when it was handled.
    pub fn keyed(actor: Actor, key: &str) -> Self {
        let command_id = command_id(actor, key);
        Self {
            actor,
            command_id,
            fingerprint: fingerprint(&[key.as_bytes()]),
            correlation_id: command_id.0,
            causation_id: None,
            now: None,
            occurred: Occurred::Now,
            if_match: None,
            own_deals_of: None,
        }
    }

    /// The same, handled at `now`, whatever the clock says.
    #[must_use]
    pub fn handled_at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// The same, having happened at another time.
    #[must_use]
    pub fn occurred(self, occurred: Occurred) -> Self {
        Self { occurred, ..self }
    }
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The stream.
    pub stream: StreamId,
    /// Its version after the command.
    pub version: Version,
    /// The position of its last event then: a query with this as `min_position` sees what the command did.
    pub position: Position,
    /// How many events were appended; none where all was already as the command asked.
    pub events: u32,
    /// Whether the command had been carried out before and this is what came of it then.
    pub replayed: bool,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The rules say no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The stream is not at the version that the caller saw.
    #[error("{stream} is at version {found}, which is not what you saw: read it again and decide anew")]
    Precondition {
        /// The stream.
        stream: StreamId,
        /// What it is.
        found: Version,
    },
    /// Others kept getting in between.
    #[error("{stream} was changed by others {attempts} times meanwhile; try again")]
    Contended {
        /// The stream.
        stream: StreamId,
        /// How often it was tried.
        attempts: u32,
    },
    /// The log refused the append.
    #[error(transparent)]
    Append(AppendError),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of a stream could not be interpreted.
    #[error("position {position}: {source}")]
    Unreadable {
        /// Where it stands.
        position: Position,
        /// Why.
        source: ReadError,
    },
    /// An event could not be written as JSON.
    #[error("an event could not be written as JSON: {0}")]
    Unwritable(String),
}
