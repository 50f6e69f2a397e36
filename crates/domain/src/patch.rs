//! A change to one attribute, as JSON Merge Patch (RFC 7396) has it.

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer};

use crate::Common;

/// What to do with an attribute: absent keeps it, null clears it, a value sets it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Make it empty.
    Clear,
    /// Give it this value.
    Set(T),
}

/// None keeps the attribute.
impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

impl<T> Patch<T> {
    /// The value of an attribute that is never empty, if there is one; null is refused.
    pub(crate) fn given(&self, field: &'static str) -> Result<Option<&T>, Common> {
        match self {
            Self::Keep => Ok(None),
            Self::Clear => Err(Common::NeverEmpty { field }),
            Self::Set(value) => Ok(Some(value)),
        }
    }
}

impl<T: Clone + PartialEq> Patch<T> {
    /// The new value, if it is another one than `present`.
    #[expect(clippy::option_option, reason = "the outer says whether there is a change, the inner is the new value")]
    pub(crate) fn change(&self, present: Option<&T>) -> Option<Option<T>> {
        match self {
            Self::Clear if present.is_some() => Some(None),
            Self::Set(value) if present != Some(value) => Some(Some(value.clone())),
            _ => None,
        }
    }
}

/// Absent is the default and never comes here.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Clear, Self::Set))
    }
}

/// A day, written exactly as [`dealog_events::parse_day`] takes it.
pub(crate) fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Patch<NaiveDate>, D::Error> {
    dealog_events::optional_day(deserializer).map(|day| day.map_or(Patch::Clear, Patch::Set))
}
