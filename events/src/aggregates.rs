//! The list of aggregates. Their categories, the names of their streams and the enum of all events follow from it, so a
//! new aggregate is a module with its events and one line here.

use uuid::Uuid;

use crate::{
    CustomerId, DealId, Invalid, PipelineId, ReadError, TeamId, UserId, customer::CustomerEvent, deal::DealEvent,
    event::EventType, pipeline::PipelineEvent, settings::SettingsEvent, team::TeamEvent, text::shorten,
    user::UserEvent,
};

/// A line names the aggregate, the id of its streams, its category as it is written, and its events. An aggregate without
/// an id has a single stream.
macro_rules! aggregates {
    ($($(#[$doc:meta])* $aggregate:ident $(($id:ident: $Id:ty))? = $category:literal with $Event:ty;)+) => {
        /// The kind of thing that a stream is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category { $($(#[$doc])* $aggregate),+ }

        /// The name of a stream: `category-uuid`, or just the category if there is only one such stream.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum StreamId { $($(#[$doc])* $aggregate $(($Id))?),+ }

        /// What happened, in the present meaning of its type.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event { $($(#[$doc])* $aggregate($Event)),+ }

        impl Category {
            /// The category as names of streams and types of events begin with it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$aggregate => $category),+ }
            }
        }

        impl StreamId {
            /// The kind of thing that this stream is about.
            pub fn category(self) -> Category {
                match self { $(Self::$aggregate { .. } => Category::$aggregate),+ }
            }

            /// The id of what this stream is about, or none if there is only one such stream.
            pub fn id(self) -> Option<Uuid> {
                let id: &[Uuid] = match self { $(Self::$aggregate $(($id))? => &[$($id.0)?]),+ };
                id.first().copied()
            }
        }

        impl std::str::FromStr for StreamId {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let parts: &[&str] = match text.split_once('-') {
                    Some((category, id)) => &[category, id],
                    None => &[text],
                };
                match parts {
                    $([$category $(, $id)?] => Ok(Self::$aggregate $(($id.parse()?))?),)+
                    _ => Err(not_a_stream(text)),
                }
            }
        }

        impl Event {
            /// The type's name and the schema version that events are written in today.
            pub fn event_type(&self) -> (&'static str, u16) {
                match self { $(Self::$aggregate(event) => event.event_type()),+ }
            }

            /// The text to write: a JSON object.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$aggregate(event) => event.to_json()),+ }
            }

            /// Reads data in the present schema version of its type.
            pub(crate) fn from_json(event_type: &str, data: &str) -> Result<Self, ReadError> {
                match event_type.split_once('.').map(|(category, _)| category) {
                    $(Some($category) => <$Event>::from_json(event_type, data).map(Self::$aggregate),)+
                    _ => Err(ReadError::UnknownType(event_type.into())),
                }
            }

            /// The kind of stream that it belongs to.
            pub fn category(&self) -> Category {
                match self { $(Self::$aggregate(_) => Category::$aggregate),+ }
            }
        }

        /// Every event type with its present schema version and JSON Schema.
        pub fn event_types() -> impl Iterator<Item = &'static EventType> {
            [$(<$Event>::TYPES),+].into_iter().flatten()
        }

        $(impl From<$Event> for Event {
            fn from(event: $Event) -> Self {
                Self::$aggregate(event)
            }
        })+

        $($(impl From<$Id> for StreamId {
            fn from($id: $Id) -> Self {
                Self::$aggregate($id)
            }
        })?)+
    };
}

aggregates! {
    /// A deal.
    Deal(id: DealId) = "deal" with DealEvent;
    /// A pipeline.
    Pipeline(id: PipelineId) = "pipeline" with PipelineEvent;
    /// A customer.
    Customer(id: CustomerId) = "customer" with CustomerEvent;
    /// A user.
    User(id: UserId) = "user" with UserEvent;
    /// A team.
    Team(id: TeamId) = "team" with TeamEvent;
    /// The company's settings.
    Settings = "settings" with SettingsEvent;
}

fn not_a_stream(text: &str) -> Invalid {
    Invalid::new(format!(
        "`{}` is not a stream: expected a category and an id, such as deal-0192f3a4-5b6c-7d8e-9f00-112233445566, or \
         settings",
        shorten(text)
    ))
}
