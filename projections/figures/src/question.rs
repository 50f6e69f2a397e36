//! What is asked: as of when, as known when, about which deals, and by what groups.

use std::borrow::Cow;

use chrono::NaiveDate;
use dealog_events::{CampaignId, CustomerId, Label, PipelineId, Position, Slug, TeamId, Timestamp, UserId, When};

use crate::calendar::Interval;

/// From one on, up to and not including another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range<T = When> {
    /// The first that is meant; since ever if none.
    pub from: Option<T>,
    /// The first that is not meant any more; for ever if none.
    pub to: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self { from: None, to: None }
    }
}

/// Minor units of the reporting currency, both ends meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AmountRange {
    /// At least.
    pub from: Option<i64>,
    /// At most.
    pub to: Option<i64>,
}

/// A custom field, and the values of it that are meant, each written as the log has it: `12.50`, `2026-03-01`, `true`, or an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFilter {
    /// The field.
    pub field: Slug,
    /// Any of these; of whatever value, if none is named.
    pub values: Vec<String>,
    /// A number or day, and all above it.
    pub from: Option<String>,
    /// Of numbers, all up to this one; of days, all before it.
    pub to: Option<String>,
}

/// Which deals are asked about: those that pass every filter. A filter with several values passes deals with any of them; one with
/// none passes all.
///
/// Open deals are chosen by what they are at the instant asked about, closed ones by what they were at their closing, and events by
/// what their deal was then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In these pipelines.
    pub pipelines: Vec<PipelineId>,
    /// In stages of these names, of any pipeline.
    pub stages: Vec<Slug>,
    /// These users', or (none) nobody's.
    pub owners: Vec<Option<UserId>>,
    /// Of users who are in one of these teams.
    pub teams: Vec<TeamId>,
    /// With these customers.
    pub customers: Vec<CustomerId>,
    /// From these sources.
    pub sources: Vec<Label>,
    /// Brought by these campaigns.
    pub campaigns: Vec<CampaignId>,
    /// Lost for these reasons.
    pub loss_reasons: Vec<Slug>,
    /// Lost to these competitors.
    pub competitors: Vec<Label>,
    /// With these values of custom fields.
    pub fields: Vec<FieldFilter>,
    /// Created then.
    pub created: Range,
    /// Closed then.
    pub closed: Range,
    /// Expected to close on these days.
    pub expected: Range<NaiveDate>,
    /// Worth so much.
    pub amount: AmountRange,
    /// Longer in their stage than it allows, or not.
    pub stale: Option<bool>,
    /// Expected to close before the local day, or not.
    pub overdue: Option<bool>,
}

/// What figures are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Who is responsible.
    Owner,
    /// The teams that the owner is in. Those of one who is in several make one group: a deal is never counted twice.
    Team,
    /// Where it came from.
    Source,
    /// What brought it.
    Campaign,
    /// To whom it is sold.
    Customer,
    /// The pipeline it goes through.
    Pipeline,
    /// The stage it is in, or was closed in: its slug, in whatever pipeline.
    Stage,
    /// Why it was lost.
    LossReason,
    /// Who won it instead.
    Competitor,
    /// The value of a custom field.
    Field(Slug),
    /// When: a cohort by its entry, closings by when they closed, other events by when they happened, open deals by the day on
    /// which they are expected to close.
    Time(Interval),
}

/// How figures are grouped: not at all, by one thing, or by a second within the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grouping {
    /// By what: none, one or two.
    pub by: Vec<By>,
    /// Groups of an answer, at most: the largest are given, and the others together.
    pub groups_max: usize,
}

/// As of when, as known when, about which deals.
#[derive(Debug, Clone)]
pub struct Question {
    /// The instant of asking, by the clock of whoever asks.
    pub now: Timestamp,
    /// The instant asked about. Without one, that of asking, or the newest in the log where that is later.
    pub as_of: Option<When>,
    /// Only what had been recorded up to this position.
    pub known_at: Option<Position>,
    /// Which deals.
    pub filter: Filter,
    /// In which groups.
    pub grouping: Grouping,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswerable {
    /// A part of it is wrong.
    #[error("{field}: {message}")]
    Field {
        /// The parameter.
        field: Cow<'static, str>,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// There are amounts that nothing converts.
    #[error("there is no rate from {from} to {to} on {day}")]
    NoRate {
        /// Their currency.
        from: String,
        /// The reporting currency.
        to: String,
        /// The day.
        day: NaiveDate,
    },
}

impl Filter {
    pub(crate) fn names_teams(&self) -> bool {
        !self.teams.is_empty()
    }
}

impl Grouping {
    pub(crate) fn names_teams(&self) -> bool {
        self.by.contains(&By::Team)
    }
}

impl Unanswerable {
    pub(crate) fn field(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }
}
