//! The published contract of a Dealog log: the envelope every event travels in, each event type in each version it was
//! ever written in, and the one way to interpret what was written.
//!
//! Everything here is a value. A type that can be built is right: ids, money, probabilities, texts and times are checked
//! when they are parsed, so no later code checks them again. There is no I/O, no clock and no randomness.
//!
//! Services that follow a log need only this crate, or the JSON Schemas in `schemas/` that are generated from it.

#[macro_use]
mod macros;

mod aggregates;
mod cursor;
pub mod customer;
pub mod deal;
mod envelope;
mod event;
mod field;
mod ids;
mod money;
mod object;
mod personal;
pub mod pipeline;
pub mod settings;
mod stream;
pub mod team;
mod text;
mod time;
pub mod user;

pub use aggregates::{Category, Event, StreamId, event_types};
pub use cursor::Cursor;
pub use envelope::{Actor, Cause, CommandId, Envelope, Position, Version};
pub use event::{EventType, ReadError, interpret, upcast};
pub use field::{FieldText, FieldValue, Fields};
pub use ids::{CampaignId, CustomerId, DealId, PipelineId, TeamId, UserId};
#[cfg(feature = "openapi")]
pub use money::decimal_with_currency;
pub use money::{AMOUNT_MAX, Currency, Money, Probability};
pub use object::Object;
pub use personal::{Closed, Personal};
pub use text::{Email, Label, Note, Reason, Slug, Text, Title};
pub use time::{TimeZone, Timestamp, When, optional_day, parse_day};

/// Why a text is not a value of the wanted type. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
