//! Command handlers: load, decide, append, and again where something else got in between.
//!
//! There is one path for all commands, [`Commands::execute`]. It never reads a read model: what a rule needs to know, it
//! takes from streams, and the append checks that those streams have not grown meanwhile. That check is what makes an
//! accepted command safe, so states may come from a cache. "Nothing to do" goes the same way, as an append without events, and
//! is remembered like any other outcome. A refusal has no such check: it is decided again on what the log says before it is
//! given as an answer, and it is not remembered.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a room prints nothing")]

mod handle;
mod identity;
mod state;

use std::sync::Arc;

use dealog_domain::{Command, Occurred, Rejection, Standing};
use dealog_events::{Actor, Cause, CommandId, Position, ReadError, StreamId, Timestamp, Version};
use dealog_store::{AppendError, Fingerprint, StoreError};

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
    /// Events of one stream, as the store has it.
    pub stream_events_max: u64,
    /// The last part of these, in percent, that is for managers and admins alone.
    pub stream_reserved_percent: u64,
    /// Days that everybody may date something back.
    pub backdate_days_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts_max: 10,
            cached_streams_max: 20_000,
            stream_events_max: dealog_store::Limits::default().stream_events_max,
            stream_reserved_percent: 1,
            backdate_days_max: 7,
        }
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
    /// Its id: see [`command_id`], or a random one where the caller gave no idempotency key.
    pub command_id: CommandId,
    /// A hash of all that was asked for: see [`fingerprint`].
    pub fingerprint: Fingerprint,
    /// Who caused it, and what led to it.
    pub cause: Cause,
    /// When it is handled, where history is made up; by the clock if absent.
    pub now: Option<Timestamp>,
    /// When it happened, as the caller says.
    pub occurred: Occurred,
    /// The versions that the caller saw. The command is refused if the stream is at none of them.
    pub if_match: Option<Vec<Version>>,
    /// What the caller may do where not everybody may.
    pub standing: Standing,
}

impl Meta {
    /// A command of `actor`'s that can be recognised by `key` when it comes again, and that happened when it was handled.
    pub fn keyed(actor: Actor, key: &str) -> Self {
        let command_id = command_id(actor, key);
        Self {
            command_id,
            fingerprint: fingerprint(&[key.as_bytes()]),
            cause: Cause::new(actor, command_id),
            now: None,
            occurred: Occurred::Now,
            if_match: None,
            standing: Standing::FULL,
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
    /// The position of the command's last event, or the end of the log where there was nothing to do: a query with this as
    /// `min_position` sees what the command did or found.
    pub position: Position,
    /// The command's id, as its events have it.
    pub command_id: CommandId,
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
    /// The stream has as many events as it may have.
    #[error(
        "{stream} has {version} events, and a stream has at most {max}: nothing more is appended to it until the limit \
         stream_events_max is raised in the server's settings"
    )]
    StreamFull {
        /// The stream.
        stream: StreamId,
        /// Its version.
        version: Version,
        /// The limit.
        max: u64,
    },
    /// The rest of a stream is not for everybody.
    #[error(
        "{stream} has {version} events, and a stream has at most {max}: the last {reserved} are for managers and admins. Ask \
         one of them, or have the limit stream_events_max raised in the server's settings"
    )]
    StreamReserved {
        /// The stream.
        stream: StreamId,
        /// Its version.
        version: Version,
        /// The limit.
        max: u64,
        /// What is kept back of it.
        reserved: u64,
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

impl CommandError {
    /// Whether it is a no to the state that the command was decided on, and may be another answer on a newer one.
    pub(crate) fn is_decided_on_a_state(&self) -> bool {
        matches!(
            self,
            Self::Rejected(_) | Self::Precondition { .. } | Self::StreamFull { .. } | Self::StreamReserved { .. }
        )
    }
}
