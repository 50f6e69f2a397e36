//! `known_at`: what had been recorded by then.

use std::str::FromStr as _;

use dealog_events::{Position, When};
use serde::{Deserialize, Deserializer, de};

/// A position of the log; or an instant or local day, which mean the last position that had been recorded by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownAt(pub(crate) dealog_app::KnownAt);

impl<'de> Deserialize<'de> for KnownAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(position) = text.parse() {
            return Ok(Self(dealog_app::KnownAt::Position(Position(position))));
        }
        let when = When::from_str(&text).map(|when| Self(dealog_app::KnownAt::When(when)));
        when.map_err(|_| {
            de::Error::custom(format!(
                "`{text}` is neither a position such as 120, nor a day such as 2026-03-01, nor an instant such as \
                 2026-03-01T09:30:00Z"
            ))
        })
    }
}
