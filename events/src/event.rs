//! Every event there is, and the one door through which what was written becomes what it means.

use std::borrow::Cow;

use crate::{
    Category, customer::CustomerEvent, deal::DealEvent, pipeline::PipelineEvent, settings::SettingsEvent,
    team::TeamEvent, user::UserEvent,
};

/// What happened, in the present meaning of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// To a deal.
    Deal(DealEvent),
    /// To a pipeline.
    Pipeline(PipelineEvent),
    /// To a customer.
    Customer(CustomerEvent),
    /// To a user.
    User(UserEvent),
    /// To a team.
    Team(TeamEvent),
    /// To the company's settings.
    Settings(SettingsEvent),
}

macro_rules! category_of {
    ($($variant:ident($event:ty)),+) => {
        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })+

        impl Event {
            /// The type's name and the schema version that events are written in today.
            pub fn event_type(&self) -> (&'static str, u16) {
                match self { $(Self::$variant(event) => event.event_type()),+ }
            }

            /// The text to write: a JSON object.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$variant(event) => event.to_json()),+ }
            }

            /// What kind of stream it belongs to.
            pub fn category(&self) -> Category {
                match self { $(Self::$variant(_) => Category::$variant),+ }
            }
        }

        /// Every event type with its present schema version and JSON Schema.
        pub fn event_types() -> impl Iterator<Item = &'static EventType> {
            [$(<$event>::TYPES),+].into_iter().flatten()
        }
    };
}

category_of!(
    Deal(DealEvent),
    Pipeline(PipelineEvent),
    Customer(CustomerEvent),
    User(UserEvent),
    Team(TeamEvent),
    Settings(SettingsEvent)
);

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
pub fn upcast<'a>(event_type: &str, schema: u16, data: &'a str) -> Result<(u16, Cow<'a, str>), ReadError> {
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
pub fn interpret(event_type: &str, schema: u16, data: &str) -> Result<Event, ReadError> {
    let (_, data) = upcast(event_type, schema, data)?;
    // serde would also take the values of a struct's fields in an array.
    if !data.trim_start().starts_with('{') {
        let source = serde::de::Error::custom("expected a JSON object");
        return Err(ReadError::Data { event_type: event_type.into(), source });
    }
    match event_type.split_once('.').map(|(category, _)| category) {
        Some("deal") => DealEvent::from_json(event_type, &data).map(Event::Deal),
        Some("pipeline") => PipelineEvent::from_json(event_type, &data).map(Event::Pipeline),
        Some("customer") => CustomerEvent::from_json(event_type, &data).map(Event::Customer),
        Some("user") => UserEvent::from_json(event_type, &data).map(Event::User),
        Some("team") => TeamEvent::from_json(event_type, &data).map(Event::Team),
        Some("settings") => SettingsEvent::from_json(event_type, &data).map(Event::Settings),
        _ => Err(ReadError::UnknownType(event_type.into())),
    }
}
