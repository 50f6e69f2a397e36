//! The one way from what was written to what it means.

use std::borrow::Cow;

use crate::{Event, Object, event_types};

/// An event type as it is written today.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// Dotted, past tense.
    pub name: &'static str,
    /// The version of `data` that is written today, from 1.
    pub schema: u16,
    /// The JSON Schema of `data`.
    pub json_schema: fn() -> schemars::Schema,
}

/// Why an event could not be interpreted.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A type this version does not know.
    #[error("event type `{0}` is not known to this version of Dealog; a newer version wrote it: upgrade")]
    UnknownType(String),
    /// A schema version this version does not know.
    #[error("`{event_type}` is known up to schema {known}, and this event has {found}: upgrade Dealog")]
    UnknownSchema {
        /// The type.
        event_type: String,
        /// The highest known version.
        known: u16,
        /// The version of this event.
        found: u16,
    },
    /// The data does not fit its type.
    #[error("the data of a `{event_type}` event does not fit its schema: {source}")]
    Data {
        /// The type.
        event_type: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// Data as written, in the present schema version of its type. The text is passed on as it is where it is current.
///
/// Every type is in its first version so far; the first one that changes its meaning gets its upcaster here, from each
/// version to the next.
pub fn upcast<'a>(event_type: &str, schema: u16, data: &'a Object) -> Result<(u16, Cow<'a, Object>), ReadError> {
    let known = event_types()
        .find(|known| known.name == event_type)
        .ok_or_else(|| ReadError::UnknownType(event_type.into()))?
        .schema;
    if schema == known {
        return Ok((known, Cow::Borrowed(data)));
    }
    Err(ReadError::UnknownSchema { event_type: event_type.into(), known, found: schema })
}

/// What the text of an event means today. There is no other way to read one.
pub fn interpret(event_type: &str, schema: u16, data: &Object) -> Result<Event, ReadError> {
    let (_, data) = upcast(event_type, schema, data)?;
    Event::from_json(event_type, &data)
}
