//! What can happen to a pipeline. A stage is never removed nor its slug used again, only retired.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, Probability, Slug, Title, text::shorten};

events!(
    /// An event of a pipeline's stream.
    PipelineEvent {
        Defined = "pipeline.defined" v 1,
        StageAdded = "pipeline.stage_added" v 1,
        StageRevised = "pipeline.stage_revised" v 1,
        StageRetired = "pipeline.stage_retired" v 1,
        StagesReordered = "pipeline.stages_reordered" v 1,
        StageReinstated = "pipeline.stage_reinstated" v 1,
        Renamed = "pipeline.renamed" v 1,
        Archived = "pipeline.archived" v 1,
        Unarchived = "pipeline.unarchived" v 1,
    }
);

/// How sure a forecast may be of a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForecastCategory {
    /// In no forecast by category.
    Omitted,
    /// Possible.
    Pipeline,
    /// Likely if all goes well.
    BestCase,
    /// Promised.
    Commit,
}

/// What a deal must have to enter a stage: a field of every deal, or (`fields.NAME`) one of the company's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequiredField {
    /// An amount.
    Amount,
    /// A customer.
    Customer,
    /// An owner.
    Owner,
    /// An expected day of closing.
    ExpectedClose,
    /// A source.
    Source,
    /// A campaign.
    Campaign,
    /// A field that the company defined.
    Custom(Slug),
}

impl fmt::Display for RequiredField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount => f.write_str("amount"),
            Self::Customer => f.write_str("customer"),
            Self::Owner => f.write_str("owner"),
            Self::ExpectedClose => f.write_str("expected_close"),
            Self::Source => f.write_str("source"),
            Self::Campaign => f.write_str("campaign"),
            Self::Custom(field) => write!(f, "fields.{field}"),
        }
    }
}

impl FromStr for RequiredField {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match text {
            "amount" => Self::Amount,
            "customer" => Self::Customer,
            "owner" => Self::Owner,
            "expected_close" => Self::ExpectedClose,
            "source" => Self::Source,
            "campaign" => Self::Campaign,
            _ => match text.strip_prefix("fields.") {
                Some(field) => Self::Custom(field.parse()?),
                None => {
                    return Err(Invalid::new(format!(
                        "`{}` cannot be required: expected amount, customer, owner, expected_close, source, campaign \
                         or fields. and the name of a field",
                        shorten(text)
                    )));
                }
            },
        })
    }
}

string_type!(
    RequiredField,
    "RequiredField",
    "amount, customer, owner, expected_close, source, campaign, or fields.NAME.",
    Some("^(amount|customer|owner|expected_close|source|campaign|fields\\.[a-z][a-z0-9_]{0,62})$"),
    "amount"
);

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its id, unique and for ever within its pipeline.
    pub slug: Slug,
    /// What people call it.
    pub name: Title,
    /// The chance of a deal in it, unless the deal has its own.
    pub probability: Probability,
    /// After how many days in it a deal is stale.
    #[serde(default)]
    pub stale_after_days: Option<u16>,
    /// What a deal must have to enter it.
    #[serde(default)]
    pub required_fields: Vec<RequiredField>,
    /// The forecast category of a deal in it, unless the deal has its own.
    pub forecast_category: ForecastCategory,
}

/// A pipeline was set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defined {
    /// What people call it.
    pub name: Title,
    /// Its stages in order.
    pub stages: Vec<Stage>,
    /// Whether a deal may skip stages on its way forward.
    pub skipping_allowed: bool,
}

/// A stage was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageAdded {
    /// The new stage.
    pub stage: Stage,
    /// The stage that it follows; null where it is the first.
    pub after: Option<Slug>,
}

/// A stage was described anew. Its slug stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageRevised {
    /// Before.
    pub from: Stage,
    /// After.
    pub to: Stage,
}

/// A stage takes no more deals. Those in it stay until moved, and it keeps its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageRetired {
    /// The stage.
    pub stage: Slug,
}

/// A retired stage takes deals again, in the place that it kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageReinstated {
    /// The stage.
    pub stage: Slug,
}

/// A pipeline is called something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    /// Before.
    pub from: Title,
    /// After.
    pub to: Title,
}

/// The stages stand in another order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StagesReordered {
    /// All stages, before.
    pub from: Vec<Slug>,
    /// All stages, after.
    pub to: Vec<Slug>,
}

/// A pipeline takes no more deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archived {}

/// An archived pipeline takes deals again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unarchived {}
