//! Data about a person.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StreamId;

/// A value that says something about a person, with the stream of the one it is about. Kept apart from other data from
/// the first event on, so that it can be sealed under a key of the subject's and erased with that key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Personal<T> {
    /// Whom it is about: the stream that an erasure names.
    pub subject: StreamId,
    /// What it says.
    pub value: T,
}

impl<T> Personal<T> {
    /// `value`, about `subject`.
    pub fn new(subject: StreamId, value: T) -> Self {
        Self { subject, value }
    }
}
