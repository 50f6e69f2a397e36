//! What can happen to a customer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FieldValue, Fields, Label, Slug, Title};

events!(
    /// An event of a customer's stream.
    CustomerEvent {
        Registered = "customer.registered" v 1,
        Renamed = "customer.renamed" v 1,
        FieldSet = "customer.field_set" v 1,
    }
);

/// A customer became known. `kind` says what it is; persons, whose names are personal, are a kind of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Registered {
    /// A company, an authority, an association.
    Organisation {
        /// What it is called.
        name: Title,
        /// The trade it is in.
        sector: Option<Label>,
        /// The company's own fields.
        fields: Fields,
    },
}

/// A customer is called something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    /// Before.
    pub from: Title,
    /// After.
    pub to: Title,
}

/// A field of the company's own got another value, or (null) none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldSet {
    /// The field.
    pub field: Slug,
    /// Before.
    pub from: Option<FieldValue>,
    /// After.
    pub to: Option<FieldValue>,
}
