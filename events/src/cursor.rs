//! A place in a log that proves which history led to it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{Envelope, Invalid, Position};

/// A position with the first 8 hexadecimal digits of the id of the event there: `34998-5f3a9c1e`.
///
/// A log that was restored from a backup gives positions again, to other events. A cursor tells the two apart. One without a proof,
/// a bare position, is taken at its word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The last event that was seen; zero before the first.
    pub position: Position,
    /// The beginning of its id.
    pub proof: Option<u32>,
}

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self { position: Position::ZERO, proof: None };

    /// The cursor of whoever has seen this event.
    pub fn at(event: &Envelope) -> Self {
        Self::of(event.position, event.event_id)
    }

    /// The cursor of whoever has seen the event with this id at this position.
    pub fn of(position: Position, event_id: Uuid) -> Self {
        Self { position, proof: Some(beginning(event_id)) }
    }

    /// A position without a proof.
    pub fn bare(position: Position) -> Self {
        Self { position, proof: None }
    }

    /// Whether the event that a log has at this position can be the one that was seen.
    pub fn is_of(self, event: &Envelope) -> bool {
        self.position == event.position && self.proof.is_none_or(|proof| proof == beginning(event.event_id))
    }
}

fn beginning(id: Uuid) -> u32 {
    id.as_fields().0
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.proof {
            Some(proof) => write!(f, "{}-{proof:08x}", self.position),
            None => self.position.fmt(f),
        }
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let unfit =
            || Invalid::new(format!("`{text}` is not a cursor such as 34998-5f3a9c1e, nor a position such as 34998"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (position, proof) = text.split_once('-').map_or((text, None), |(position, proof)| (position, Some(proof)));
        let position = Some(position).filter(|text| digits(text)).and_then(|text| text.parse().ok());
        let proof = match proof {
            None => None,
            Some(proof) if proof.len() == 8 && proof.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Some(u32::from_str_radix(proof, 16).map_err(|_| unfit())?)
            }
            Some(_) => return Err(unfit()),
        };
        let position = position.filter(|position| i64::try_from(*position).is_ok()).ok_or_else(unfit)?;
        Ok(Self { position: Position(position), proof })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Cursor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+(-[0-9a-f]{8})?$" })
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Cursor {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[0-9]+(-[0-9a-f]{8})?$"))
            .description(Some("A position, and the beginning of the id of the event there."))
            .examples(["34998-5f3a9c1e"])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Cursor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for text in ["0", "7", "34998-5f3a9c1e", "9223372036854775807-00000000"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "-",
            "7-",
            "-5f3a9c1e",
            "7-5f3a9c1",
            "7-5f3a9c1e0",
            "7-5f3a9c1g",
            "+7",
            "7-+f3a9c1e",
            "9223372036854775808",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
