//! Why a command about a deal was refused.

use dealog_events::{CommandId, Currency, DealId, Slug, Timestamp, When, deal::Outcome, pipeline::RequiredField};

use crate::{Details, Kind, rejection::list};

/// Why a command about a deal was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A seller works own deals only.
    #[error("the deal is not yours: a seller works own deals only; ask its owner or a manager")]
    NotYours,
    /// Only some change a deal that is won or lost.
    #[error(
        "the deal is {}, and changing or reopening it takes the permission `closed_deals`: ask a manager",
        word(*was)
    )]
    ClosedNotYours {
        /// How it ended.
        was: Outcome,
    },
    /// Only an open deal can do that.
    #[error("the deal is {}; reopen it first", word(*was))]
    Closed {
        /// How it ended.
        was: Outcome,
    },
    /// Only a closed deal can be reopened.
    #[error("the deal is open; only a won or lost deal can be reopened")]
    Open,
    /// Only a closed deal has a closing.
    #[error("the deal is open; only the closing of a won or lost deal can be corrected")]
    NotClosed,
    /// A closing has no such thing.
    #[error("the deal is {}, and the closing of such a deal has no `{field}`", word(*was))]
    NotOfThisClosing {
        /// What was to be corrected.
        field: &'static str,
        /// How the deal ended.
        was: Outcome,
    },
    /// A closing in the future.
    #[error("closed_at {closed_at} lies ahead of {latest}, when the deal is said to be closed")]
    ClosedAhead {
        /// What was sent.
        closed_at: When,
        /// The latest instant allowed.
        latest: Timestamp,
    },
    /// A closing before there was an open deal.
    #[error("closed_at {closed_at} lies before {earliest}, when the deal was created or last reopened")]
    ClosedTooEarly {
        /// What was sent.
        closed_at: When,
        /// The earliest instant allowed.
        earliest: Timestamp,
    },
    /// The last command was an undo.
    #[error(
        "the last command on this deal undid another one, and an undo cannot be undone: send what you want instead"
    )]
    UndoIsLast,
    /// Nothing has happened since the deal began.
    #[error("nothing but the creation of the deal could be undone: lose it for a reason that is not counted instead")]
    CreationIsLast,
    /// No event of the deal came of that command.
    #[error("no event of this deal came of the command {command}: see `command_id` in its history")]
    NoSuchCommand {
        /// What was sent.
        command: CommandId,
    },
    /// Something has happened since.
    #[error("since then there has been: {}; only the last command can be undone", list(since))]
    NotTheLast {
        /// The types of the events since.
        since: Vec<&'static str>,
    },
    /// A transfer that is none.
    #[error("the deal is in this pipeline already; use move")]
    SamePipeline,
    /// A required field is empty.
    #[error("these fields must be filled first: {}", list(missing))]
    FieldsMissing {
        /// All that are missing.
        missing: Vec<RequiredField>,
    },
    /// A stage goes on needing what it asked for.
    #[error("the stage `{stage}` needs what this would empty: {}", list(needed))]
    StageNeeds {
        /// The deal's stage.
        stage: Slug,
        /// What would be emptied.
        needed: Vec<RequiredField>,
    },
    /// A win needs an amount.
    #[error("winning needs an amount, and the deal has none: send one")]
    AmountMissing,
    /// A deal that would be its own duplicate.
    #[error("a deal is not a duplicate of itself")]
    DuplicateOfItself,
    /// A duplicate of what is a duplicate itself.
    #[error("that deal is a duplicate itself, of {original}: name that one")]
    DuplicateOfDuplicate {
        /// The deal that it repeats.
        original: DealId,
    },
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
    /// A day that no calendar of a business has.
    #[error("`{field}` must lie in the years 1 to 9999")]
    DayOutOfRange {
        /// The field it is in.
        field: &'static str,
    },
}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        match self {
            Self::NotYours => Details::new(Kind::Forbidden, "not_your_deal").field("owner"),
            Self::ClosedNotYours { .. } => Details::new(Kind::Forbidden, "closed_deal_not_yours").field("status"),
            Self::Closed { .. } => Details::new(Kind::Conflict, "deal_closed").allowed(&["reopen"]),
            Self::Open => Details::new(Kind::Conflict, "deal_open"),
            Self::NotClosed => Details::new(Kind::Conflict, "deal_not_closed"),
            Self::NotOfThisClosing { field, .. } => Details::new(Kind::Invalid, "not_of_this_closing").field(*field),
            Self::ClosedAhead { .. } => Details::new(Kind::Invalid, "closed_ahead").field("closed_at"),
            Self::ClosedTooEarly { .. } => Details::new(Kind::Invalid, "closed_too_early").field("closed_at"),
            Self::UndoIsLast => Details::new(Kind::Conflict, "undo_is_last"),
            Self::CreationIsLast => Details::new(Kind::Conflict, "creation_is_last").allowed(&["lose"]),
            Self::NoSuchCommand { .. } => Details::new(Kind::Invalid, "no_such_command").field("command"),
            Self::NotTheLast { .. } => Details::new(Kind::Conflict, "not_the_last").field("command"),
            Self::StageNeeds { needed, .. } => Details::new(Kind::Invalid, "stage_needs").missing(needed),
            Self::SamePipeline => Details::new(Kind::Invalid, "same_pipeline").field("pipeline"),
            Self::FieldsMissing { missing } => Details::new(Kind::Invalid, "fields_missing").missing(missing),
            Self::AmountMissing => Details::new(Kind::Invalid, "amount_missing").field("amount"),
            Self::DuplicateOfItself => Details::new(Kind::Invalid, "duplicate_of_itself").field("duplicate_of"),
            Self::DuplicateOfDuplicate { original } => {
                Details::new(Kind::Invalid, "duplicate_of_duplicate").field("duplicate_of").allowed(&[original])
            }
            Self::NoReportingCurrency => Details::new(Kind::Conflict, "no_reporting_currency").field("amount"),
            Self::CurrencyWithoutRate { accepted, .. } => {
                Details::new(Kind::Invalid, "currency_without_rate").field("amount").allowed(&[accepted])
            }
            Self::OtherCurrency { deal, .. } => {
                Details::new(Kind::Invalid, "other_currency").field("amount").allowed(&[deal])
            }
            Self::DayOutOfRange { field } => Details::new(Kind::Invalid, "day_out_of_range").field(*field),
        }
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Won => "won",
        Outcome::Lost => "lost",
    }
}
