//! The rules' no, and what would have been allowed. Each aggregate has an enum of its own; here is what they share.

use dealog_events::{Slug, StreamId, Timestamp};

/// What kind of no it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the command is about does not exist.
    NotFound,
    /// It does not fit the present state; it might at another time.
    Conflict,
    /// It would never be right as it stands.
    Invalid,
    /// It is not for the one who asks.
    Forbidden,
}

/// What a rejection says to programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// A stable name.
    pub code: &'static str,
    /// What kind of no it is.
    pub kind: Kind,
    /// The field of the command that it is about, as it is called in JSON.
    pub field: Option<String>,
    /// What would have been allowed, if that is a list.
    pub allowed: Vec<String>,
    /// The fields that must be filled first.
    pub missing: Vec<String>,
}

impl Details {
    pub(crate) fn new(kind: Kind, code: &'static str) -> Self {
        Self { code, kind, field: None, allowed: Vec::new(), missing: Vec::new() }
    }

    pub(crate) fn field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    pub(crate) fn allowed<T: ToString>(self, allowed: &[T]) -> Self {
        Self { allowed: allowed.iter().map(ToString::to_string).collect(), ..self }
    }

    pub(crate) fn missing<T: ToString>(self, missing: &[T]) -> Self {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Self { field: missing.first().cloned(), missing, ..self }
    }
}

/// Why a command was refused, for a reason that aggregates have in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Common {
    /// No event of that stream.
    #[error("{0} does not exist")]
    NotFound(StreamId),
    /// The stream has begun already.
    #[error("{0} exists already")]
    AlreadyExists(StreamId),
    /// A command of one aggregate for a stream of another.
    #[error("this command is not for {0}")]
    WrongStream(StreamId),
    /// Something that the command names does not exist.
    #[error("{stream} does not exist")]
    UnknownReference {
        /// The field that names it.
        field: &'static str,
        /// What it names.
        stream: StreamId,
    },
    /// Longer ago than this caller may say.
    #[error(
        "{field} {time} lies too far back: up to {earliest} everybody may say when something happened, and before that \
         it takes the permission `backdate`: ask a manager"
    )]
    Backdated {
        /// The field it is in.
        field: &'static str,
        /// What was sent.
        time: Timestamp,
        /// The earliest instant that this caller may send.
        earliest: Timestamp,
    },
    /// Later than now.
    #[error("occurred_at {occurred_at} lies ahead of now, {now}")]
    InFuture {
        /// What was sent.
        occurred_at: Timestamp,
        /// This server's clock.
        now: Timestamp,
    },
    /// Earlier than what has already happened.
    #[error("occurred_at {occurred_at} lies before the last event of this stream, {last}")]
    BeforeLast {
        /// What was sent.
        occurred_at: Timestamp,
        /// The earliest instant allowed.
        last: Timestamp,
    },
    /// A field that the company has not defined.
    #[error("`{field}` is not a field of the company's; these are: {}", list(allowed))]
    UnknownField {
        /// What was sent.
        field: Slug,
        /// The fields that exist.
        allowed: Vec<Slug>,
    },
    /// A value that does not fit its field.
    #[error("the field `{field}` takes {expected}")]
    FieldValue {
        /// The field.
        field: Slug,
        /// What it takes.
        expected: String,
    },
    /// Null for something that always has a value.
    #[error("`{field}` always has a value: send one, or leave it out to keep the present one")]
    NeverEmpty {
        /// The field.
        field: &'static str,
    },
    /// The same name twice.
    #[error("`{slug}` is used twice, or was used before: a name is used once, for ever")]
    SlugTaken {
        /// The field it is in.
        field: &'static str,
        /// The name.
        slug: Slug,
    },
    /// A limit is passed.
    #[error("at most {max} {what}")]
    Limit {
        /// The field it is in.
        field: &'static str,
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl Common {
    pub(crate) fn details(&self) -> Details {
        match self {
            Self::NotFound(_) => Details::new(Kind::NotFound, "not_found"),
            Self::AlreadyExists(_) => Details::new(Kind::Conflict, "already_exists"),
            Self::WrongStream(_) => Details::new(Kind::Invalid, "wrong_stream"),
            Self::UnknownReference { field, .. } => Details::new(Kind::Invalid, "unknown_reference").field(*field),
            Self::Backdated { field, .. } => Details::new(Kind::Forbidden, "backdated").field(*field),
            Self::InFuture { .. } => Details::new(Kind::Invalid, "in_future").field("occurred_at"),
            Self::BeforeLast { .. } => Details::new(Kind::Invalid, "before_last").field("occurred_at"),
            Self::UnknownField { field, allowed } => {
                Details::new(Kind::Invalid, "unknown_field").field(format!("fields.{field}")).allowed(allowed)
            }
            Self::FieldValue { field, .. } => {
                Details::new(Kind::Invalid, "field_value").field(format!("fields.{field}"))
            }
            Self::NeverEmpty { field } => Details::new(Kind::Invalid, "never_empty").field(*field),
            Self::SlugTaken { field, .. } => Details::new(Kind::Invalid, "slug_taken").field(*field),
            Self::Limit { field, .. } => Details::new(Kind::Invalid, "limit").field(*field),
        }
    }
}

/// The items of a list, as a text names them.
pub(crate) fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "(none)".into();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
