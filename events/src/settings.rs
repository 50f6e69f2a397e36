//! What a company sets for itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Currency, Label, Slug, TimeZone, Title};

events!(
    /// An event of the settings stream.
    SettingsEvent {
        ReportingCurrencySet = "settings.reporting_currency_set" v 1,
        TimeZoneSet = "settings.time_zone_set" v 1,
        LossReasonsSet = "settings.loss_reasons_set" v 1,
        FieldsDefined = "settings.fields_defined" v 1,
    }
);

/// Figures are in another currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportingCurrencySet {
    /// Before; null where none was set.
    pub from: Option<Currency>,
    /// After.
    pub to: Currency,
}

/// Days and months begin at another instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeZoneSet {
    /// Before; null where none was set.
    pub from: Option<TimeZone>,
    /// After.
    pub to: TimeZone,
}

/// A reason why deals are lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LossReason {
    /// Its id.
    pub slug: Slug,
    /// What people call it.
    pub name: Title,
    /// Whether such a loss counts in the figures. An error or a duplicate does not.
    pub counted: bool,
}

/// The list of loss reasons is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LossReasonsSet {
    /// Before.
    pub from: Vec<LossReason>,
    /// After.
    pub to: Vec<LossReason>,
}

/// What a custom field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldOwner {
    /// Deals.
    Deal,
    /// Customers.
    Customer,
}

/// What a custom field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A decimal number, as a text: `12.50`.
    Decimal,
    /// Yes or no.
    Boolean,
    /// A day, as a text: `2026-03-01`.
    Date,
    /// One of `options`.
    Choice,
}

/// A field that a company adds to its deals or customers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FieldDefinition {
    /// Its id.
    pub slug: Slug,
    /// What it belongs to.
    pub of: FieldOwner,
    /// What people call it.
    pub name: Title,
    /// What it holds.
    pub kind: FieldKind,
    /// What may be chosen, where `kind` is `choice`.
    #[serde(default)]
    pub options: Vec<Label>,
}

/// The list of custom fields is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldsDefined {
    /// Before.
    pub from: Vec<FieldDefinition>,
    /// After.
    pub to: Vec<FieldDefinition>,
}
