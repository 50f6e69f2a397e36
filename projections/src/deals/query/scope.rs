//! What a question is about: which instant, and which deals.

use chrono::NaiveDate;
use dealog_events::{CampaignId, CustomerId, Label, PipelineId, TeamId, TimeZone, Timestamp, UserId};

use super::sql::Sql;

/// An instant, or a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An instant.
    Instant(Timestamp),
    /// A day in the company's time zone.
    Day(NaiveDate),
}

impl When {
    /// As a bound: a day begins at its first instant.
    pub fn start(self, zone: TimeZone) -> Timestamp {
        match self {
            Self::Instant(time) => time,
            Self::Day(day) => zone.day_start(day),
        }
    }

    /// As `as_of`: a day is meant as it was at its end.
    pub fn end(self, zone: TimeZone) -> Timestamp {
        match self {
            Self::Instant(time) => time,
            Self::Day(day) => zone.day_end(day),
        }
    }
}

/// From an instant or day on, up to and not including another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// The first that is meant; since ever if none.
    pub from: Option<When>,
    /// The first that is not meant any more; for ever if none.
    pub to: Option<When>,
}

impl Range {
    /// As instants in microseconds.
    pub(super) fn micros(&self, zone: TimeZone) -> (Option<i64>, Option<i64>) {
        let micros = |when: Option<When>| when.map(|when| when.start(zone).micros());
        (micros(self.from), micros(self.to))
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

/// Which deals. Open ones are chosen by what they are at the instant asked about, closed ones by what they were at their
/// closing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this pipeline.
    pub pipeline: Option<PipelineId>,
    /// This user's.
    pub owner: Option<UserId>,
    /// Of users who are in this team at the instant asked about.
    pub team: Option<TeamId>,
    /// With this customer.
    pub customer: Option<CustomerId>,
    /// From this source.
    pub source: Option<Label>,
    /// Brought by this campaign.
    pub campaign: Option<CampaignId>,
    /// Created then.
    pub created: Range,
    /// Worth so much.
    pub amount: AmountRange,
}

/// Which instant and which deals.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The instant of asking, by the clock of whoever asks.
    pub now: Timestamp,
    /// The instant asked about. If none, that of asking, or the newest in the read models where that is later.
    pub as_of: Option<When>,
    /// Which deals.
    pub filter: Filter,
}

impl Filter {
    /// ` AND ...` for each condition, on spans called `alias`, by whom figures credit, with teams as they are at `at`.
    pub(super) fn push(&self, sql: &mut Sql, alias: &str, at: Timestamp, zone: TimeZone) {
        self.push_by(sql, alias, "credit_", at, zone);
    }

    /// The same by what deals are now, credited or not: for lists of deals.
    pub(super) fn push_present(&self, sql: &mut Sql, alias: &str, at: Timestamp, zone: TimeZone) {
        self.push_by(sql, alias, "", at, zone);
    }

    fn push_by(&self, sql: &mut Sql, alias: &str, prefix: &str, at: Timestamp, zone: TimeZone) {
        let mut text = |column: &str, value: Option<String>| {
            if let Some(value) = value {
                sql.push(&format!(" AND {alias}.{column} = ")).text(value);
            }
        };
        text("pipeline", self.pipeline.map(|id| id.to_string()));
        text(&format!("{prefix}owner"), self.owner.map(|id| id.to_string()));
        text(&format!("{prefix}customer"), self.customer.map(|id| id.to_string()));
        text(&format!("{prefix}source"), self.source.as_ref().map(ToString::to_string));
        text(&format!("{prefix}campaign"), self.campaign.map(|id| id.to_string()));
        if let Some(team) = self.team {
            sql.push(&format!(" AND {alias}.{prefix}owner IN (SELECT user_id FROM members WHERE team = "))
                .text(team.to_string())
                .push(" AND valid_from <= ")
                .integer(at.micros())
                .push(" AND valid_to > ")
                .integer(at.micros())
                .push(")");
        }
        let (created_from, created_to) = self.created.micros(zone);
        let mut integer = |condition: &str, value: Option<i64>| {
            if let Some(value) = value {
                sql.push(&format!(" AND {alias}.{condition} ")).integer(value);
            }
        };
        integer("created_at >=", created_from);
        integer("created_at <", created_to);
        integer("amount >=", self.amount.from);
        integer("amount <=", self.amount.to);
    }
}
