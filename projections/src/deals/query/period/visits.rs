//! The visits that a period funnel counts, group by group.

use std::{collections::HashMap, ops::Range};

use dealog_events::Timestamp;

use super::super::{
    Filter, Scope,
    groups::{Groups, Keyed},
    keys::{Keys, MonthOf},
    snapshot::Snapshot,
    sql::{Sql, select_micros, sum_micros},
};
use crate::{ProjectionError, deals::tables::status};

pub(super) type ByStage = HashMap<(String, String), i64>;

/// Pipeline, stage, visits.
type CountRow = (String, String, i64);

/// Visits that ended in the same way.
pub(super) struct Left {
    pub(super) pipeline: String,
    pub(super) stage: String,
    pub(super) how: String,
    pub(super) to_stage: Option<String>,
    pub(super) count: i64,
    pub(super) micros: i128,
}

/// Pipeline, stage, how, to which stage, visits, whole seconds, microseconds beyond.
type LeftRow = (String, String, String, Option<String>, i64, i64, i64);

/// The visits of one group.
#[derive(Default)]
pub(super) struct Visits {
    pub(super) entered: ByStage,
    pub(super) left: Vec<Left>,
    pub(super) before: ByStage,
    pub(super) after: ByStage,
}

impl Snapshot<'_> {
    /// The visits of each group in a period of which all has happened.
    pub(super) async fn visits(
        &mut self,
        scope: &Scope,
        period: Range<Timestamp>,
        keys: &Keys,
    ) -> Result<Groups<Visits>, ProjectionError> {
        let Range { start: from, end } = period;
        let mut groups = Groups::<Visits>::of(keys);
        for Keyed { key, row } in self.entered(scope, from, end, keys).await? {
            groups.at(key)?.entered.insert((row.0, row.1), row.2);
        }
        self.left(scope, from, end, keys, &mut groups).await?;
        for Keyed { key, row } in self.open_just_before(scope, from.min(end), from, keys).await? {
            groups.at(key)?.before.insert((row.0, row.1), row.2);
        }
        let last = end.saturating_add_micros(-1);
        for Keyed { key, row } in self.open_just_before(scope, end, last, keys).await? {
            groups.at(key)?.after.insert((row.0, row.1), row.2);
        }
        Ok(groups)
    }

    /// `FROM visits v`, of deals not excluded at the instant asked about, that the filter lets through by the attributes of
    /// the span `e` which `on` names: activities count with what the deal was like at that event.
    fn push_visits(&self, sql: &mut Sql, scope: &Scope, keys: &Keys, on: &str) {
        // A transfer's own span is already in the other pipeline: the pipeline meant is the visit's.
        let filter = Filter { pipeline: None, ..scope.filter.clone() };
        sql.push(" FROM visits v");
        if filter != Filter::default() || !keys.is_none() {
            sql.push(" JOIN spans e ON ").push(on);
        }
        keys.push_join(sql, "e");
        sql.push(" WHERE v.deal NOT IN (SELECT deal FROM spans WHERE status = ").text(status::EXCLUDED);
        sql.push(" AND valid_from <= ").time(self.at).push(" AND valid_to > ").time(self.at).push(")");
        filter.push(sql, "e", self.at, self.zone);
        if let Some(pipeline) = scope.filter.pipeline {
            sql.push(" AND v.pipeline = ").text(pipeline.to_string());
        }
    }

    async fn entered(
        &mut self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
        keys: &Keys,
    ) -> Result<Vec<Keyed<CountRow>>, ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT v.pipeline, v.stage, COUNT(*)");
        keys.push(&mut sql, "e", MonthOf::Instant("v.entered_at"));
        self.push_visits(&mut sql, scope, keys, "e.position = v.position");
        sql.push(" AND v.entered_at >= ").time(from).push(" AND v.entered_at < ").time(to);
        sql.push(" GROUP BY v.pipeline, v.stage").push(keys.columns());
        Ok(sql.fetch_all(&mut self.db).await?)
    }

    async fn left(
        &mut self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
        keys: &Keys,
        groups: &mut Groups<Visits>,
    ) -> Result<(), ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT v.pipeline, v.stage, v.left_by, v.to_stage, COUNT(*), ");
        sql.push(&select_micros("v.left_at - v.entered_at"));
        keys.push(&mut sql, "e", MonthOf::Instant("v.left_at"));
        self.push_visits(&mut sql, scope, keys, "e.position = v.left_position");
        sql.push(" AND v.left_at >= ").time(from).push(" AND v.left_at < ").time(to);
        sql.push(" GROUP BY v.pipeline, v.stage, v.left_by, v.to_stage").push(keys.columns());
        for Keyed { key, row } in sql.fetch_all::<Keyed<LeftRow>>(&mut self.db).await? {
            let (pipeline, stage, how, to_stage, count, seconds, rest) = row;
            let micros = sum_micros(seconds, rest);
            groups.at(key)?.left.push(Left { pipeline, stage, how, to_stage, count, micros });
        }
        Ok(())
    }

    /// Deals by stage as they stood before anything happened at `time`, in the month of `in_month`.
    async fn open_just_before(
        &mut self,
        scope: &Scope,
        time: Timestamp,
        in_month: Timestamp,
        keys: &Keys,
    ) -> Result<Vec<Keyed<CountRow>>, ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT v.pipeline, v.stage, COUNT(*)");
        keys.push(&mut sql, "e", self.month(in_month));
        let micros = time.micros();
        let on = format!("e.deal = v.deal AND e.valid_from < {micros} AND e.valid_to >= {micros}");
        self.push_visits(&mut sql, scope, keys, &on);
        sql.push(" AND v.entered_at < ").time(time).push(" AND v.left_at >= ").time(time);
        sql.push(" GROUP BY v.pipeline, v.stage").push(keys.columns());
        Ok(sql.fetch_all(&mut self.db).await?)
    }
}
