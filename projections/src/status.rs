//! How a worker of this process is doing. What other processes can see of it is in `standing.rs`.

use dealog_events::Position;

/// How a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Following, and it has applied this position.
    Following(Position),
    /// Making tables that can be asked, or waiting for another process that does.
    Building {
        /// How far that has come.
        position: Position,
        /// The end of the log.
        head: Position,
    },
    /// Trying again and again, since its database or the log's does not answer; it says why.
    Waiting {
        /// The last position it applied.
        position: Position,
        /// What it waits for.
        reason: String,
    },
    /// Stopped at an event that it cannot apply; it says why.
    Stopped {
        /// The last position it applied.
        position: Position,
        /// Why it goes no further.
        reason: String,
    },
}

impl Status {
    /// The last position that was applied.
    pub fn position(&self) -> Position {
        match self {
            Self::Following(position)
            | Self::Building { position, .. }
            | Self::Waiting { position, .. }
            | Self::Stopped { position, .. } => *position,
        }
    }

    /// Whether there are no tables yet that can be asked.
    pub fn is_building(&self) -> bool {
        matches!(self, Self::Building { .. })
    }

    /// Why it does not go on, if it does not.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Following(_) | Self::Building { .. } => None,
            Self::Waiting { reason, .. } | Self::Stopped { reason, .. } => Some(reason),
        }
    }
}
