//! What is appended, and what comes of it.

use super::{Cause, CommandId, Position, StoreError, StreamId, Timestamp, Version};

/// A hash of what a command asked for, so that its id cannot be used again for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// An event on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Dotted, past tense.
    pub event_type: &'static str,
    /// The schema version of `data`.
    pub schema: u16,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// A JSON object; kept to the byte.
    pub data: String,
}

/// The events of one command, for one stream. All of them are appended, or none. Without events it says that the command found
/// nothing to do: it is judged like any other, and its outcome remembered.
#[derive(Debug, Clone)]
pub struct Append {
    /// The command; remembered.
    pub command_id: CommandId,
    /// What the command asked for.
    pub fingerprint: Fingerprint,
    /// Who caused it, and what led to it.
    pub cause: Cause,
    /// The instant at the caller. Recorded is the later of this and the head's last, so time never runs backwards.
    pub now: Timestamp,
    /// The stream that grows.
    pub stream: StreamId,
    /// Its version when the rule was applied; zero for a new stream.
    pub expected: Version,
    /// Other streams that the rule read, with their versions then.
    pub unchanged: Vec<(StreamId, Version)>,
    /// What happened.
    pub events: Vec<NewEvent>,
}

/// The outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The stream of the command.
    pub stream: StreamId,
    /// Its version after the command.
    pub version: Version,
    /// The position of the command's last event; where there was nothing to do, the end of the log when that was found.
    pub position: Position,
    /// How many events the command appended: those at the positions up to `position`.
    pub events: u32,
    /// Whether the command had been appended before and this is its first outcome.
    pub replayed: bool,
    /// Whether the answer to its commit was lost, and the log was asked what became of it. Another process may have appended
    /// the command then, and have decided it on a later state.
    pub looked_up: bool,
}

/// What is kept of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The command.
    pub command_id: CommandId,
    /// What it asked for.
    pub fingerprint: Fingerprint,
    /// What came of it; `replayed` is true.
    pub outcome: Appended,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream is not at the version that the rule was applied to.
    #[error("{stream} is at version {found}, not {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version the append named.
        expected: Version,
        /// The version it has.
        found: Version,
    },
    /// The command id was used for something else before.
    #[error("command {0} was sent before and asked for something else")]
    FingerprintMismatch(CommandId),
    /// The queue is full. Nothing was queued; it may be tried again.
    #[error("too many commands are waiting; try again")]
    Overloaded,
    /// A limit is passed.
    #[error("{what}: {found}, and at most {max} are allowed")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
        /// What was asked for.
        found: u64,
    },
    /// The append contradicts itself or what the log promises; a mistake of the caller.
    #[error("not an append: {0}")]
    Malformed(String),
    /// The database failed and nothing of this append was written. The reason is in our own words, and the type sees to it:
    /// what a database says is for the log.
    #[error("nothing was written, send it again: {0}")]
    Unavailable(&'static str),
    /// The database failed at the commit and could not be asked what became of it. To send the same command again, with
    /// the same id, is safe.
    #[error("it is not known whether this was written, send it again with the same id: {0}")]
    InDoubt(&'static str),
    /// The log is damaged, so nothing was written, and nothing will be until it has been restored.
    #[error("nothing was written: {0}")]
    Damaged(&'static str),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
