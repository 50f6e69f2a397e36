//! Why a question was not answered: because of what was asked, or because of who should answer.

use std::borrow::Cow;

use dealog_events::Position;
use dealog_figures::Unanswerable;
use dealog_projections::{FiguresError, ProjectionError};
use dealog_store::StoreError;

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question itself is wrong: asked again, it is still wrong.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// It was not answered this time.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// What is wrong with a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A parameter cannot be read.
    #[error("{message}")]
    Malformed {
        /// Which one.
        field: Cow<'static, str>,
        /// What would be right.
        message: String,
    },
    /// A parameter makes no sense here.
    #[error("{message}")]
    Field {
        /// Which one.
        field: Cow<'static, str>,
        /// What would be right.
        message: String,
    },
    /// It asks about what lies ahead.
    #[error("{message}")]
    InFuture {
        /// By which parameter.
        field: Cow<'static, str>,
        /// What would be right.
        message: String,
    },
    /// It names a position that the log does not have.
    #[error("{message}")]
    BeyondHead {
        /// By which parameter.
        field: Cow<'static, str>,
        /// What would be right.
        message: String,
    },
    /// It names a version that the stream does not have.
    #[error("{message}")]
    BeyondVersion {
        /// By which parameter.
        field: Cow<'static, str>,
        /// What would be right.
        message: String,
    },
    /// There are amounts that nothing converts.
    #[error("{message}")]
    NoRate {
        /// From which currency to which, on which day.
        message: String,
    },
}

impl Wrong {
    pub(crate) fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }
}

impl From<Unanswerable> for Wrong {
    fn from(error: Unanswerable) -> Self {
        match error {
            Unanswerable::Field { field, message } => Self::Field { field, message },
            Unanswerable::NoRate { .. } => Self::NoRate { message: error.to_string() },
        }
    }
}

/// Why a question that may be asked was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// What should answer has not come to `min_position` in time, or has not caught up with the log since it started.
    #[error("position {wanted} has not been reached yet: try again in a moment")]
    NotCaughtUp {
        /// What was waited for.
        wanted: Position,
    },
    /// The figures.
    #[error(transparent)]
    Figures(#[from] FiguresError),
    /// The read models.
    #[error(transparent)]
    Models(#[from] ProjectionError),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! failed {
    ($($error:ty),+) => {$(
        impl From<$error> for QueryError {
            fn from(error: $error) -> Self {
                Self::Failed(error.into())
            }
        }
    )+};
}

failed!(FiguresError, ProjectionError, StoreError);

impl From<Unanswerable> for QueryError {
    fn from(error: Unanswerable) -> Self {
        Self::Wrong(error.into())
    }
}
