//! Values of the fields that a company defines for itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Slug, Text};

/// The value of a custom field. Dates and decimal numbers are texts, checked against the field's definition when they are
/// set: a floating point number would not keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged, expecting = "expected a text of 1 to 1,000 characters, a whole number, true or false")]
pub enum FieldValue {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text, a date such as `2026-03-01`, a decimal number such as `12.50`, or a choice.
    Text(FieldText),
}

/// A text in a custom field: at most 1,000 characters.
pub type FieldText = Text<1000>;

string_type!(FieldText, "FieldText", "A text of 1 to 1,000 characters.", None, "GTX Pro");

/// Values by field, in the order of their names so that the same fields are always the same bytes.
pub type Fields = BTreeMap<Slug, FieldValue>;
