//! The rules' no, and what would have been allowed.

use dealog_events::{Currency, Slug, StreamId, Timestamp, UserId, deal::Outcome, pipeline::RequiredField};

/// What kind of no it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the command is about does not exist.
    NotFound,
    /// It does not fit the present state; it might at another time.
    Conflict,
    /// It would never be right as it stands.
    Invalid,
    /// It is not for the one who asks.
    Forbidden,
}

/// Why a command was refused. The text says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No event of that stream.
    #[error("{0} does not exist")]
    NotFound(StreamId),
    /// The stream has begun already.
    #[error("{0} exists already")]
    AlreadyExists(StreamId),
    /// A command of one aggregate for a stream of another.
    #[error("this command is not for {0}")]
    WrongStream(StreamId),
    /// Something that the command names does not exist.
    #[error("{stream} does not exist")]
    UnknownReference {
        /// The field that names it.
        field: &'static str,
        /// What it names.
        stream: StreamId,
    },
    /// A user who may do nothing any more.
    #[error("user {user} has been deactivated")]
    InactiveUser {
        /// The field that names the user.
        field: &'static str,
        /// The user.
        user: UserId,
    },
    /// A seller works own deals only.
    #[error("the deal is not yours: a seller works own deals only; ask its owner or a manager")]
    NotYourDeal,
    /// Only some change a deal that is won or lost.
    #[error(
        "the deal is {}, and changing or reopening it takes the permission `closed_deals`: ask a manager",
        word(*was)
    )]
    ClosedDealNotYours {
        /// How it ended.
        was: Outcome,
    },
    /// Longer ago than this caller may say.
    #[error(
        "occurred_at {occurred_at} lies too far back: up to {earliest} everybody may say when something happened, and \
         before that it takes the permission `backdate`: ask a manager"
    )]
    Backdated {
        /// What was sent.
        occurred_at: Timestamp,
        /// The earliest instant that this caller may send.
        earliest: Timestamp,
    },
    /// Nobody gives themselves another role.
    #[error("nobody changes their own role or deactivates themselves: ask another admin")]
    OwnRole,
    /// Only an open deal can do that.
    #[error("the deal is {}; reopen it first", word(*was))]
    DealClosed {
        /// How it ended.
        was: Outcome,
    },
    /// Only a closed deal can be reopened.
    #[error("the deal is open; only a won or lost deal can be reopened")]
    DealOpen,
    /// No such stage in that pipeline.
    #[error("`{stage}` is not a stage of this pipeline that a deal can enter; these are: {}", list(allowed))]
    StageNotOpen {
        /// What was asked for.
        stage: Slug,
        /// The stages that can be entered.
        allowed: Vec<Slug>,
    },
    /// The pipeline forbids to skip stages.
    #[error("this pipeline allows no skipping: from `{from}` forward only to `{next}`")]
    SkipsStages {
        /// Where the deal stands.
        from: Slug,
        /// The next stage that can be entered.
        next: Slug,
    },
    /// The pipeline takes no more deals.
    #[error("the pipeline is archived and takes no more deals")]
    PipelineArchived,
    /// A transfer that is none.
    #[error("the deal is in this pipeline already; use move")]
    SamePipeline,
    /// A required field is empty.
    #[error("these fields must be filled first: {}", list(missing))]
    FieldsMissing {
        /// All that are missing.
        missing: Vec<RequiredField>,
    },
    /// A win needs an amount.
    #[error("winning needs an amount, and the deal has none: send one")]
    AmountMissing,
    /// A reason that is not on the company's list.
    #[error("`{reason}` is not a loss reason; these are: {}", list(allowed))]
    UnknownLossReason {
        /// What was given.
        reason: Slug,
        /// The company's list.
        allowed: Vec<Slug>,
    },
    /// A deal that would be its own duplicate.
    #[error("a deal is not a duplicate of itself")]
    DuplicateOfItself,
    /// The company has not said in what currency it reports.
    #[error("amounts need a reporting currency, and none is set: set it in the settings first")]
    NoReportingCurrency,
    /// There is no rate for that currency.
    #[error("there is no exchange rate for {found}; only {accepted} is accepted")]
    CurrencyWithoutRate {
        /// What was sent.
        found: Currency,
        /// What is accepted.
        accepted: Currency,
    },
    /// A deal has one currency.
    #[error("the deal is in {deal}, and a deal keeps its currency; the amount is in {found}")]
    OtherCurrency {
        /// The deal's.
        deal: Currency,
        /// What was sent.
        found: Currency,
    },
    /// A field that the company has not defined.
    #[error("`{field}` is not a field of the company's; these are: {}", list(allowed))]
    UnknownField {
        /// What was sent.
        field: Slug,
        /// The fields that exist.
        allowed: Vec<Slug>,
    },
    /// A value that does not fit its field.
    #[error("the field `{field}` takes {expected}")]
    FieldValue {
        /// The field.
        field: Slug,
        /// What it takes.
        expected: String,
    },
    /// Later than now.
    #[error("occurred_at {occurred_at} lies ahead of now, {now}")]
    InFuture {
        /// What was sent.
        occurred_at: Timestamp,
        /// This server's clock.
        now: Timestamp,
    },
    /// Earlier than what has already happened.
    #[error("occurred_at {occurred_at} lies before the last event of this stream, {last}")]
    BeforeLast {
        /// What was sent.
        occurred_at: Timestamp,
        /// The earliest instant allowed.
        last: Timestamp,
    },
    /// The same name twice.
    #[error("`{slug}` is used twice, or was used before: a name is used once, for ever")]
    SlugTaken {
        /// The field it is in.
        field: &'static str,
        /// The name.
        slug: Slug,
    },
    /// A pipeline that no deal could enter.
    #[error("a pipeline needs at least one stage that deals can enter")]
    NoStageLeft,
    /// An order that leaves out, repeats or invents stages.
    #[error("the order must name each stage once; the stages are: {}", list(stages))]
    NotAnOrder {
        /// All stages.
        stages: Vec<Slug>,
    },
    /// A field whose values would change their meaning.
    #[error("the field `{field}` keeps its kind; define another field instead")]
    FieldKindFixed {
        /// The field.
        field: Slug,
    },
    /// A field that would be gone while deals, customers or stages still have it.
    #[error("the field `{field}` stays: the list must have it too; it may be called something else")]
    FieldDropped {
        /// The field.
        field: Slug,
    },
    /// A day that no calendar of a business has.
    #[error("`{field}` must lie in the years 1 to 9999")]
    DayOutOfRange {
        /// The field it is in.
        field: &'static str,
    },
    /// A field that has choices but offers none, or offers some and has none.
    #[error("the field `{field}` needs options if it is a choice, and has none otherwise")]
    FieldOptions {
        /// The field.
        field: Slug,
    },
    /// A limit is passed.
    #[error("at most {max} {what}")]
    Limit {
        /// The field it is in.
        field: &'static str,
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Won => "won",
        Outcome::Lost => "lost",
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "(none)".into();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Rejection {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::AlreadyExists(_) => "already_exists",
            Self::WrongStream(_) => "wrong_stream",
            Self::UnknownReference { .. } => "unknown_reference",
            Self::InactiveUser { .. } => "inactive_user",
            Self::NotYourDeal => "not_your_deal",
            Self::ClosedDealNotYours { .. } => "closed_deal_not_yours",
            Self::Backdated { .. } => "backdated",
            Self::OwnRole => "own_role",
            Self::DealClosed { .. } => "deal_closed",
            Self::DealOpen => "deal_open",
            Self::StageNotOpen { .. } => "stage_not_open",
            Self::SkipsStages { .. } => "skips_stages",
            Self::PipelineArchived => "pipeline_archived",
            Self::SamePipeline => "same_pipeline",
            Self::FieldsMissing { .. } => "fields_missing",
            Self::AmountMissing => "amount_missing",
            Self::UnknownLossReason { .. } => "unknown_loss_reason",
            Self::DuplicateOfItself => "duplicate_of_itself",
            Self::NoReportingCurrency => "no_reporting_currency",
            Self::CurrencyWithoutRate { .. } => "currency_without_rate",
            Self::OtherCurrency { .. } => "other_currency",
            Self::UnknownField { .. } => "unknown_field",
            Self::FieldValue { .. } => "field_value",
            Self::InFuture { .. } => "in_future",
            Self::BeforeLast { .. } => "before_last",
            Self::SlugTaken { .. } => "slug_taken",
            Self::NoStageLeft => "no_stage_left",
            Self::NotAnOrder { .. } => "not_an_order",
            Self::FieldKindFixed { .. } => "field_kind_fixed",
            Self::FieldDropped { .. } => "field_dropped",
            Self::DayOutOfRange { .. } => "day_out_of_range",
            Self::FieldOptions { .. } => "field_options",
            Self::Limit { .. } => "limit",
        }
    }

    /// What kind of no it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::NotYourDeal | Self::ClosedDealNotYours { .. } | Self::Backdated { .. } | Self::OwnRole => {
                Kind::Forbidden
            }
            Self::AlreadyExists(_)
            | Self::DealClosed { .. }
            | Self::DealOpen
            | Self::SkipsStages { .. }
            | Self::PipelineArchived
            | Self::NoStageLeft
            | Self::NoReportingCurrency => Kind::Conflict,
            _ => Kind::Invalid,
        }
    }

    /// The field of the command that it is about, as it is called in JSON.
    pub fn field(&self) -> Option<String> {
        Some(match self {
            Self::UnknownReference { field, .. }
            | Self::InactiveUser { field, .. }
            | Self::SlugTaken { field, .. }
            | Self::DayOutOfRange { field }
            | Self::Limit { field, .. } => (*field).to_owned(),
            Self::NotYourDeal => "owner".into(),
            Self::ClosedDealNotYours { .. } => "status".into(),
            Self::OwnRole => "role".into(),
            Self::StageNotOpen { .. } | Self::SkipsStages { .. } => "stage".into(),
            Self::PipelineArchived | Self::SamePipeline => "pipeline".into(),
            Self::FieldsMissing { missing } => missing.first()?.to_string(),
            Self::AmountMissing
            | Self::NoReportingCurrency
            | Self::CurrencyWithoutRate { .. }
            | Self::OtherCurrency { .. } => "amount".into(),
            Self::UnknownLossReason { .. } => "reason".into(),
            Self::DuplicateOfItself => "duplicate_of".into(),
            Self::UnknownField { field, .. }
            | Self::FieldValue { field, .. }
            | Self::FieldKindFixed { field }
            | Self::FieldDropped { field }
            | Self::FieldOptions { field } => format!("fields.{field}"),
            Self::InFuture { .. } | Self::BeforeLast { .. } | Self::Backdated { .. } => "occurred_at".into(),
            Self::NoStageLeft | Self::NotAnOrder { .. } => "stages".into(),
            Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::WrongStream(_)
            | Self::DealClosed { .. }
            | Self::DealOpen => {
                return None;
            }
        })
    }

    /// The fields that must be filled first.
    pub fn missing(&self) -> Vec<String> {
        match self {
            Self::FieldsMissing { missing } => missing.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// What would have been allowed, where that is a list.
    pub fn allowed(&self) -> Vec<String> {
        let texts = |slugs: &[Slug]| slugs.iter().map(ToString::to_string).collect();
        match self {
            Self::StageNotOpen { allowed, .. }
            | Self::UnknownLossReason { allowed, .. }
            | Self::UnknownField { allowed, .. } => texts(allowed),
            Self::NotAnOrder { stages } => texts(stages),
            Self::SkipsStages { next, .. } => vec![next.to_string()],
            Self::CurrencyWithoutRate { accepted, .. } => vec![accepted.to_string()],
            Self::OtherCurrency { deal, .. } => vec![deal.to_string()],
            Self::DealClosed { .. } => vec!["reopen".into()],
            _ => Vec::new(),
        }
    }
}
