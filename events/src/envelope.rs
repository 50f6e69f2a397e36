//! What surrounds every event.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    Event, Invalid, Object, ReadError, StreamId, Timestamp, UserId, ids::hyphenated, interpret, text::shorten, upcast,
};

macro_rules! counter {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name(pub u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);

            /// The next one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// The place of an event in the log: 1 is the first, none is missing, and the order is the order of commits. Zero
    /// stands for "before the first".
    Position
);
counter!(
    /// The place of an event in its stream: 1 is the first. Zero stands for "no such stream yet".
    Version
);

/// The command that an event came of: a name-based UUID of actor and idempotency key, or a random one where no key was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommandId(#[schemars(with = "String")] pub Uuid);

impl CommandId {
    /// The id of this command's event number `index`, from 0: a UUID of version 8, made of SHA-256, which PostgreSQL can
    /// make too and so demand.
    pub fn event_id(self, index: usize) -> Uuid {
        let mut id = [0; 16];
        let hash = Sha256::new().chain_update(self.0).chain_update((index as u64).to_be_bytes()).finalize();
        id.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
        Uuid::new_v8(id)
    }

    /// Whether this command gives its event number `index` this id, or gave it in an earlier version: of UUIDs of version 5.
    pub fn gives(self, event_id: Uuid, index: usize) -> bool {
        event_id == self.event_id(index) || event_id == Uuid::new_v5(&self.0, &(index as u64).to_be_bytes())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who caused an event. Never absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person.
    User(UserId),
    /// A program with a token of its own.
    Service(Uuid),
    /// An automation rule.
    Rule(Uuid),
    /// An import from files.
    Import(Uuid),
    /// Whoever sits at a server that listens on loopback only.
    Local,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Service(id) => write!(f, "service:{id}"),
            Self::Rule(id) => write!(f, "rule:{id}"),
            Self::Import(id) => write!(f, "import:{id}"),
            Self::Local => f.write_str("local"),
        }
    }
}

impl FromStr for Actor {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let unfit = || {
            Invalid::new(format!(
                "`{}` is not an actor: expected user:, service:, rule: or import: and a UUID, or local",
                shorten(text)
            ))
        };
        let uuid = |id: &str| hyphenated(id).ok_or_else(unfit);
        match text.split_once(':') {
            Some(("user", id)) => uuid(id).map(|id| Self::User(UserId(id))),
            Some(("service", id)) => uuid(id).map(Self::Service),
            Some(("rule", id)) => uuid(id).map(Self::Rule),
            Some(("import", id)) => uuid(id).map(Self::Import),
            None if text == "local" => Ok(Self::Local),
            _ => Err(unfit()),
        }
    }
}

string_type!(
    Actor,
    "Actor",
    "Who caused an event: user:, service:, rule: or import: and a UUID, or local.",
    None,
    "local"
);

/// Who caused a command and its events, and what led to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Who asked.
    pub actor: Actor,
    /// The whole piece of work that it is part of.
    pub correlation_id: Uuid,
    /// The event that led to it, where one did.
    pub causation_id: Option<Uuid>,
}

impl Cause {
    /// Of a command with which `actor` begins a piece of work: no event led to it, and the work has the command's id.
    pub fn new(actor: Actor, command_id: CommandId) -> Self {
        Self { actor, correlation_id: command_id.0, causation_id: None }
    }
}

/// An event as the log holds it. `data` is the text that was written, to the byte; [`Envelope::event`] interprets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Place in the log.
    pub position: Position,
    /// A name-based UUID of `command_id` and the event's index in its command.
    pub event_id: Uuid,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Place in its stream.
    pub version: Version,
    /// Dotted, past tense: `deal.stage_moved`.
    pub event_type: String,
    /// The schema version that `data` was written in.
    pub schema: u16,
    /// When it happened in the business; never runs backwards within a stream.
    pub occurred_at: Timestamp,
    /// When it was appended; never runs backwards within the log.
    pub recorded_at: Timestamp,
    /// The command it came of.
    pub command_id: CommandId,
    /// Who caused that command, and what led to it.
    pub cause: Cause,
    /// What happened, as written.
    pub data: Object,
}

impl Envelope {
    /// What happened, in the present meaning of its type.
    pub fn event(&self) -> Result<Event, ReadError> {
        interpret(&self.event_type, self.schema, &self.data)
    }
}

/// JSON for readers: `data` in its present schema version, whatever it was written in.
impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (schema, data) = upcast(&self.event_type, self.schema, &self.data).map_err(serde::ser::Error::custom)?;
        let mut out = serializer.serialize_struct("Envelope", 13)?;
        out.serialize_field("position", &self.position)?;
        out.serialize_field("event_id", &self.event_id)?;
        out.serialize_field("stream", &self.stream)?;
        out.serialize_field("version", &self.version)?;
        out.serialize_field("type", &self.event_type)?;
        out.serialize_field("schema", &schema)?;
        out.serialize_field("occurred_at", &self.occurred_at)?;
        out.serialize_field("recorded_at", &self.recorded_at)?;
        out.serialize_field("actor", &self.cause.actor)?;
        out.serialize_field("command_id", &self.command_id)?;
        out.serialize_field("correlation_id", &self.cause.correlation_id)?;
        out.serialize_field("causation_id", &self.cause.causation_id)?;
        out.serialize_field("data", &data)?;
        out.end()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Envelope {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{ObjectBuilder, schema::Type};
        let of = |schema_type: Type, description: &str| {
            ObjectBuilder::new().schema_type(schema_type).description(Some(description))
        };
        let mut object = ObjectBuilder::new().description(Some("An event as the log holds it."));
        for (name, schema_type, description) in [
            ("position", Type::Integer, "Place in the log, from 1, without gaps."),
            ("event_id", Type::String, "UUID."),
            ("stream", Type::String, "category-uuid, or the name of a singleton."),
            ("version", Type::Integer, "Place in its stream, from 1."),
            ("type", Type::String, "Dotted, past tense: deal.stage_moved."),
            ("schema", Type::Integer, "The schema version of data."),
            ("occurred_at", Type::String, "When it happened in the business, RFC 3339, UTC."),
            ("recorded_at", Type::String, "When it was appended, RFC 3339, UTC."),
            ("actor", Type::String, "Who caused it."),
            ("command_id", Type::String, "UUID of the command."),
            ("correlation_id", Type::String, "UUID of the whole piece of work."),
            ("data", Type::Object, "What happened; its shape is given by type and schema."),
        ] {
            object = object.property(name, of(schema_type, description)).required(name);
        }
        object = object.property(
            "causation_id",
            ObjectBuilder::new()
                .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]))
                .description(Some("UUID of the event that led to it.")),
        );
        object.into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Envelope {}
