//! What can be asked of a deal.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use dealog_events::{
    CampaignId, CommandId, CustomerId, DealId, FieldValue, Fields, Label, Money, Note, PipelineId, Probability, Reason,
    Slug, Title, UserId, When, pipeline::ForecastCategory,
};
use serde::Deserialize;

use crate::Patch;

/// What can be asked of a deal.
#[derive(Debug, Clone)]
pub enum Command {
    /// Begin it.
    Create(Create),
    /// Put it into another stage of its pipeline.
    Move(Move),
    /// Close it as won.
    Win(Win),
    /// Close it as lost.
    Lose(Lose),
    /// Correct what was said of its closing.
    CorrectClosing(CorrectClosing),
    /// Take it up again.
    Reopen(Reopen),
    /// Put it into another pipeline.
    Transfer(Transfer),
    /// Change some of its attributes.
    Change(Box<Change>),
    /// Undo the last command on it.
    Undo(Undo),
}

/// A deal to begin.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CreateDeal))]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What is sold, in a line.
    pub title: Title,
    /// The pipeline it goes through.
    pub pipeline: PipelineId,
    /// The stage it begins in; the first one that can be entered if absent.
    pub stage: Option<Slug>,
    /// To whom.
    pub customer: Option<CustomerId>,
    /// Who is responsible.
    pub owner: Option<UserId>,
    /// For how much, in the reporting currency.
    pub amount: Option<Money>,
    /// By when, a local day.
    #[serde(default, deserialize_with = "dealog_events::optional_day")]
    pub expected_close: Option<NaiveDate>,
    /// Where it came from.
    pub source: Option<Label>,
    /// The campaign that brought it.
    pub campaign: Option<CampaignId>,
    /// The company's own fields.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, FieldValue>))]
    pub fields: Fields,
}

/// A move to another stage of the same pipeline, forward or back. To the present stage: nothing happens.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = MoveDeal))]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The stage to enter.
    pub stage: Slug,
    /// Why.
    pub reason: Option<Reason>,
}

/// A win.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = WinDeal))]
#[serde(deny_unknown_fields)]
pub struct Win {
    /// What it was won at; the deal's amount if absent.
    pub amount: Option<Money>,
    /// When it was won, if that was earlier than `occurred_at`: an instant, or a local day, which means its end.
    pub closed_at: Option<When>,
    /// The contract's number or name.
    pub contract: Option<Label>,
}

/// A loss.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = LoseDeal))]
#[serde(deny_unknown_fields)]
pub struct Lose {
    /// A reason of the company's list, by its slug or its name.
    pub reason: Label,
    /// When it was lost, if that was earlier than `occurred_at`: an instant, or a local day, which means its end.
    pub closed_at: Option<When>,
    /// Who won it instead.
    pub competitor: Option<Label>,
    /// The deal that this one repeats.
    pub duplicate_of: Option<DealId>,
    /// What was said about it.
    pub note: Option<Note>,
}

/// What to correct about a deal's closing: what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CorrectClosing))]
#[serde(deny_unknown_fields)]
pub struct CorrectClosing {
    /// When it was closed: an instant, or a local day, which means its end.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<When>))]
    pub closed_at: Patch<When>,
    /// Won: at what. The deal's amount follows.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Money>))]
    pub amount: Patch<Money>,
    /// Won: the contract's number or name; null where there is none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Label>))]
    pub contract: Patch<Label>,
    /// Lost: a reason of the company's list, by its slug or its name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Label>))]
    pub reason: Patch<Label>,
    /// The user who is credited with the closing, even if someone else owns the deal now; null credits nobody.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<UserId>))]
    pub owner: Patch<UserId>,
}

/// Undoes the last command on a deal.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = UndoDeal))]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The command to undo, where it must be that one: then the undo is refused if anything has happened since.
    pub command: Option<CommandId>,
    /// Why.
    pub reason: Option<Reason>,
}

/// A closed deal to take up again.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ReopenDeal))]
#[serde(deny_unknown_fields)]
pub struct Reopen {
    /// The stage to go on in; the one it was closed from if absent.
    pub stage: Option<Slug>,
    /// Why it is taken up again.
    pub reason: Reason,
}

/// A change of pipeline.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = TransferDeal))]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The pipeline to go over to.
    pub pipeline: PipelineId,
    /// The stage to enter there; the first one that can be entered if absent.
    pub stage: Option<Slug>,
}

/// Attributes to change: what is absent stays as it is, null empties.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChangeDeal))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is sold, in a line.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Title>))]
    pub title: Patch<Title>,
    /// To whom.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<CustomerId>))]
    pub customer: Patch<CustomerId>,
    /// Who is responsible.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<UserId>))]
    pub owner: Patch<UserId>,
    /// For how much; open deals only.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Money>))]
    pub amount: Patch<Money>,
    /// By when.
    #[serde(default, deserialize_with = "crate::patch::day")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<NaiveDate>))]
    pub expected_close: Patch<NaiveDate>,
    /// The chance by hand; null gives the deal the chance of its stage again.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Probability>))]
    pub probability: Patch<Probability>,
    /// The forecast category by hand; null gives the deal the category of its stage again.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ForecastCategory>))]
    pub forecast_category: Patch<ForecastCategory>,
    /// Where it came from.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Label>))]
    pub source: Patch<Label>,
    /// The campaign that brought it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<CampaignId>))]
    pub campaign: Patch<CampaignId>,
    /// The company's own fields; null empties one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: BTreeMap<Slug, Patch<FieldValue>>,
}

impl Change {
    /// Whether it empties anything that a stage may require.
    pub(super) fn empties(&self) -> bool {
        let Self {
            title: _,
            customer,
            owner,
            amount,
            expected_close,
            probability: _,
            forecast_category: _,
            source,
            campaign,
            fields,
        } = self;
        *customer == Patch::Clear
            || *owner == Patch::Clear
            || *amount == Patch::Clear
            || *expected_close == Patch::Clear
            || *source == Patch::Clear
            || *campaign == Patch::Clear
            || fields.values().any(|patch| *patch == Patch::Clear)
    }
}
