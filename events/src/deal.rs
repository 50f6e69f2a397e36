//! What can happen to a deal. Every change carries `from` and `to`; every event of a deal's course carries its pipeline
//! and stage, so that a subscriber never needs a second question.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    CampaignId, CommandId, Currency, CustomerId, DealId, FieldValue, Fields, Label, Money, Note, Personal, PipelineId,
    Position, Probability, Reason, Slug, Timestamp, Title, UserId, pipeline::ForecastCategory,
};

events!(
    /// An event of a deal's stream.
    DealEvent {
        Created = "deal.created" v 1,
        StageMoved = "deal.stage_moved" v 1,
        Won = "deal.won" v 1,
        Lost = "deal.lost" v 1,
        Reopened = "deal.reopened" v 1,
        ClosingCorrected = "deal.closing_corrected" v 1,
        Transferred = "deal.transferred" v 1,
        Undone = "deal.undone" v 1,
        TitleChanged = "deal.title_changed" v 1,
        AmountChanged = "deal.amount_changed" v 1,
        ExpectedCloseChanged = "deal.expected_close_changed" v 1,
        OwnerAssigned = "deal.owner_assigned" v 1,
        ProbabilitySet = "deal.probability_set" v 1,
        ProbabilityCleared = "deal.probability_cleared" v 1,
        ForecastCategorySet = "deal.forecast_category_set" v 1,
        CustomerLinked = "deal.customer_linked" v 1,
        SourceChanged = "deal.source_changed" v 1,
        CampaignChanged = "deal.campaign_changed" v 1,
        FieldSet = "deal.field_set" v 1,
    }
);

/// A deal began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// What is sold, in a line.
    pub title: Title,
    /// The pipeline it goes through.
    pub pipeline: PipelineId,
    /// The stage it begins in.
    pub stage: Slug,
    /// To whom.
    pub customer: Option<CustomerId>,
    /// Who is responsible.
    pub owner: Option<UserId>,
    /// For how much.
    pub amount: Option<Money>,
    /// By when.
    pub expected_close: Option<NaiveDate>,
    /// Where it came from.
    pub source: Option<Label>,
    /// The campaign that brought it.
    pub campaign: Option<CampaignId>,
    /// The company's own fields.
    pub fields: Fields,
}

/// A deal went to another stage of its pipeline, forward or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageMoved {
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it left.
    pub from: Slug,
    /// The stage it entered.
    pub to: Slug,
    /// Why, if someone said so.
    pub reason: Option<Reason>,
}

/// A deal was won.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Won {
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it was won from.
    pub stage: Slug,
    /// What it was won at: the deal's amount.
    pub amount: Money,
    /// When it was won in the business, which may be earlier than when someone said so. Figures date the win by this.
    pub closed_at: Timestamp,
    /// The contract's number or name.
    pub contract: Option<Label>,
}

/// A deal was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it was lost from.
    pub stage: Slug,
    /// A reason of the company's list.
    pub reason: Slug,
    /// Whether that reason counted as a loss when it was given. One that did not (error, duplicate) keeps the deal out of
    /// every figure but `excluded`.
    pub counted: bool,
    /// When it was lost in the business, which may be earlier than when someone said so. Figures date the loss by this.
    pub closed_at: Timestamp,
    /// Who won it instead.
    pub competitor: Option<Label>,
    /// The deal that this one repeats.
    pub duplicate_of: Option<DealId>,
    /// What was said about it.
    pub note: Option<Personal<Note>>,
}

/// How a deal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Sold.
    Won,
    /// Not sold.
    Lost,
}

/// What was said of a deal's closing was wrong. `from` and `to` have the same members: those that were corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosingCorrected {
    /// What was said.
    pub from: ClosingPart,
    /// What is right.
    pub to: ClosingPart,
}

/// Some of what is said of a closing; what is absent was not corrected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosingPart {
    /// When the deal was closed in the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Won: at what. It is the deal's amount, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Won: the contract's number or name; null where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub contract: Option<Option<Label>>,
    /// Lost: a reason of the company's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Slug>,
    /// Lost: whether that reason counts as a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<bool>,
    /// The user who is credited with the closing, even if someone else owns the deal now; null credits nobody.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub owner: Option<Option<UserId>>,
}

/// A member that is there, with a value or null.
#[expect(clippy::option_option, reason = "the outer says whether it is there")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A command on a deal was undone. From then on it counts nowhere, in no past period either; the events stay in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// The command.
    pub command: CommandId,
    /// The positions of its events.
    pub events: Vec<Position>,
    /// All that is again as it was before.
    pub restores: Vec<Restored>,
    /// Why, if someone said so.
    pub reason: Option<Reason>,
}

/// Something that is again as it was before a command that was undone.
#[expect(clippy::large_enum_variant, reason = "an undo restores one or two things, mostly the course")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Restored {
    /// Where the deal stands, or how it ended.
    Course {
        /// By the command.
        from: Course,
        /// Again.
        to: Course,
    },
    /// Its title.
    Title {
        /// By the command.
        from: Title,
        /// Again.
        to: Title,
    },
    /// For how much.
    Amount {
        /// By the command.
        from: Option<Money>,
        /// Again.
        to: Option<Money>,
    },
    /// The currency that a deal keeps from its first amount on.
    Currency {
        /// By the command.
        from: Option<Currency>,
        /// Again.
        to: Option<Currency>,
    },
    /// By when.
    ExpectedClose {
        /// By the command.
        from: Option<NaiveDate>,
        /// Again.
        to: Option<NaiveDate>,
    },
    /// Who is responsible.
    Owner {
        /// By the command.
        from: Option<UserId>,
        /// Again.
        to: Option<UserId>,
    },
    /// The chance set by hand.
    Probability {
        /// By the command.
        from: Option<Probability>,
        /// Again.
        to: Option<Probability>,
    },
    /// The forecast category set by hand.
    ForecastCategory {
        /// By the command.
        from: Option<ForecastCategory>,
        /// Again.
        to: Option<ForecastCategory>,
    },
    /// To whom.
    Customer {
        /// By the command.
        from: Option<CustomerId>,
        /// Again.
        to: Option<CustomerId>,
    },
    /// Where it came from.
    Source {
        /// By the command.
        from: Option<Label>,
        /// Again.
        to: Option<Label>,
    },
    /// The campaign that brought it.
    Campaign {
        /// By the command.
        from: Option<CampaignId>,
        /// Again.
        to: Option<CampaignId>,
    },
    /// A field of the company's own.
    Field {
        /// The field.
        field: Slug,
        /// By the command.
        from: Option<FieldValue>,
        /// Again.
        to: Option<FieldValue>,
    },
}

/// Where a deal stands in its course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it is in, or was closed from.
    pub stage: Slug,
    /// When it entered that stage.
    pub entered_at: Timestamp,
    /// How it ended; null while it is open.
    pub closing: Option<Closing>,
}

/// How a deal ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Won or lost.
    pub outcome: Outcome,
    /// When, in the business.
    pub closed_at: Timestamp,
    /// The user who is credited with it.
    pub owner: Option<UserId>,
    /// Won: the contract's number or name.
    pub contract: Option<Label>,
    /// Lost: the reason.
    pub reason: Option<Slug>,
    /// Lost: whether that reason counts as a loss.
    pub counted: Option<bool>,
    /// Lost: who won it instead.
    pub competitor: Option<Label>,
    /// Lost: the deal that this one repeats.
    pub duplicate_of: Option<DealId>,
}

/// A closed deal was taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reopened {
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it goes on in.
    pub stage: Slug,
    /// How it had ended.
    pub was: Outcome,
    /// Why it was taken up again.
    pub reason: Reason,
}

/// A pipeline and a stage of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The stage.
    pub stage: Slug,
}

/// A deal went over to another pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transferred {
    /// Where it stood.
    pub from: Place,
    /// Where it stands now.
    pub to: Place,
}

macro_rules! change {
    ($(#[$meta:meta])* $name:ident { from: $from:ty, to: $to:ty }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Before.
            pub from: $from,
            /// After.
            pub to: $to,
        }
    };
}

change!(/// A deal got another title.
    TitleChanged { from: Title, to: Title });
change!(/// A deal is worth something else; null where it has no amount.
    AmountChanged { from: Option<Money>, to: Option<Money> });
change!(/// A deal is expected to close on another day.
    ExpectedCloseChanged { from: Option<NaiveDate>, to: Option<NaiveDate> });
change!(/// Someone else is responsible for a deal.
    OwnerAssigned { from: Option<UserId>, to: Option<UserId> });
change!(/// Someone set the chance of a deal by hand. It stands until it is cleared.
    ProbabilitySet { from: Option<Probability>, to: Probability });
change!(/// A deal has the chance of its stage again; `to` is null.
    ProbabilityCleared { from: Probability, to: () });
change!(/// Someone put a deal into a forecast category by hand, or (null) left it to its stage again.
    ForecastCategorySet { from: Option<ForecastCategory>, to: Option<ForecastCategory> });
change!(/// A deal is with another customer.
    CustomerLinked { from: Option<CustomerId>, to: Option<CustomerId> });
change!(/// A deal came from somewhere else than was thought.
    SourceChanged { from: Option<Label>, to: Option<Label> });
change!(/// A deal is ascribed to another campaign.
    CampaignChanged { from: Option<CampaignId>, to: Option<CampaignId> });

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
