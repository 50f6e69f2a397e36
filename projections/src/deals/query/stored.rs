//! Stored texts and numbers as what they stand for. What does not fit was not written by a fold: the tables are damaged.

use dealog_events::{Timestamp, Version};

use super::snapshot::damaged;
use crate::ProjectionError;

pub(super) fn version(version: i64) -> Version {
    Version(version.cast_unsigned())
}

pub(super) fn parse<T>(text: &str) -> Result<T, ProjectionError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| damaged(&error))
}

/// A word of an enum, such as a role.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProjectionError> {
    serde_json::from_value(text.into()).map_err(|error| damaged(&error))
}

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProjectionError> {
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

pub(super) fn time(micros: i64) -> Result<Timestamp, ProjectionError> {
    Timestamp::from_micros(micros).map_err(|error| damaged(&error))
}
