//! How a follower is doing.

use dealog_events::Position;

/// How a follower is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It has handled everything up to here.
    Following(Position),
    /// It has a long way to go before it is of use.
    CatchingUp {
        /// The last event that it has handled.
        position: Position,
        /// The end of the log when it looked last.
        head: Position,
    },
    /// Something that it needs is away, and it tries again.
    Waiting {
        /// The last event that it has handled.
        position: Position,
        /// What it waits for.
        reason: String,
    },
    /// It goes no further.
    Stopped {
        /// The last event that it has handled.
        position: Position,
        /// Why.
        reason: String,
    },
}

impl Status {
    /// The last event that it has handled.
    pub fn position(&self) -> Position {
        match self {
            Self::Following(position)
            | Self::CatchingUp { position, .. }
            | Self::Waiting { position, .. }
            | Self::Stopped { position, .. } => *position,
        }
    }

    /// Whether it has a long way to go.
    pub fn is_catching_up(&self) -> bool {
        matches!(self, Self::CatchingUp { .. })
    }

    /// Whether it goes no further.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped { .. })
    }

    /// Why it does not go on, if it does not.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Following(_) | Self::CatchingUp { .. } => None,
            Self::Waiting { reason, .. } | Self::Stopped { reason, .. } => Some(reason),
        }
    }
}
