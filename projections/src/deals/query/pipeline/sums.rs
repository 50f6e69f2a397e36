//! What the deals of each group come to, stage by stage.

use std::collections::HashMap;

use super::{
    super::{
        Scope,
        groups::{Groups, Keyed},
        keys::{Keys, MonthOf},
        snapshot::{CURRENCIES, Snapshot},
        sql::{select_micros, sum_micros},
        stages::{PipelineAt, push_stages},
    },
    ClosedFigures, StageTotals,
};
use crate::{ProjectionError, deals::tables::status, figures::Total};

/// Ages of the deals of a stage: their sum, and the middle ones.
#[derive(Clone, Copy, Default)]
pub(super) struct Ages {
    pub(super) sum_micros: i128,
    pub(super) lower_micros: i64,
    pub(super) upper_micros: i64,
}

/// What the deals of one group come to, by pipeline, and by stage within it.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) stages: HashMap<(String, String), (StageTotals, Ages)>,
    pub(super) closed: HashMap<String, ClosedFigures>,
}

/// One row for each stage: pipeline, stage, deals, amount, weighted, without amount, age (whole seconds, then the
/// microseconds beyond), stale, overdue, currencies.
type OpenRow = (String, String, i64, i64, i64, i64, i64, i64, i64, i64, Option<String>, Option<String>);

/// Pipeline, status, deals, amount, currencies.
type ClosedRow = (String, String, i64, i64, Option<String>, Option<String>);

const EXPECTED: MonthOf = MonthOf::Day("s.expected_close");

impl Snapshot<'_> {
    pub(super) async fn pipeline_sums(
        &mut self,
        scope: &Scope,
        keys: &Keys,
        pipelines: &[PipelineAt],
    ) -> Result<Groups<Sums>, ProjectionError> {
        let mut groups = Groups::of(keys);
        self.open_by_stage(scope, keys, pipelines, &mut groups).await?;
        self.middle_ages(scope, keys, &mut groups).await?;
        self.closed_by_pipeline(scope, keys, &mut groups).await?;
        Ok(groups)
    }

    async fn open_by_stage(
        &mut self,
        scope: &Scope,
        keys: &Keys,
        pipelines: &[PipelineAt],
        groups: &mut Groups<Sums>,
    ) -> Result<(), ProjectionError> {
        let currency = self.currency()?;
        let by = keys.columns();
        let mut sql = self.grouped(&[status::OPEN], &scope.filter, keys, EXPECTED);
        push_stages(&mut sql, pipelines);
        sql.push(
            " SELECT d.pipeline, d.stage, COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), \
             CAST(COALESCE(SUM((d.amount * COALESCE(d.probability, st.probability) + 5000) / 10000), 0) AS BIGINT), \
             CAST(SUM(CASE WHEN d.amount IS NULL THEN 1 ELSE 0 END) AS BIGINT), ",
        );
        sql.push(&select_micros(&format!("{} - d.entered_at", self.at.micros()))).push(", CAST(SUM(CASE WHEN ");
        sql.time(self.at).push(" - d.entered_at > st.stale_micros THEN 1 ELSE 0 END) AS BIGINT), ");
        sql.push("CAST(SUM(CASE WHEN d.expected_close < ").text(self.today().to_string());
        sql.push(" THEN 1 ELSE 0 END) AS BIGINT), ").push(CURRENCIES).push(by);
        sql.push(" FROM d JOIN st ON st.pipeline = d.pipeline AND st.stage = d.stage GROUP BY d.pipeline, d.stage")
            .push(by);

        for Keyed { key, row } in sql.fetch_all::<Keyed<OpenRow>>(&mut self.db).await? {
            let (pipeline, stage, deals, amount, weighted, without_amount, seconds, rest, stale, overdue, ..) = row;
            self.check_currencies(&(row.10, row.11))?;
            let totals = StageTotals {
                deals,
                amount: Total { minor: amount, currency },
                weighted: Total { minor: weighted, currency },
                without_amount,
                stale,
                overdue,
            };
            let ages = Ages { sum_micros: sum_micros(seconds, rest), ..Ages::default() };
            groups.at(key)?.stages.insert((pipeline, stage), (totals, ages));
        }
        Ok(())
    }

    async fn middle_ages(
        &mut self,
        scope: &Scope,
        keys: &Keys,
        groups: &mut Groups<Sums>,
    ) -> Result<(), ProjectionError> {
        let by = keys.columns();
        let mut sql = self.grouped(&[status::OPEN], &scope.filter, keys, EXPECTED);
        sql.push(&format!(", o AS (SELECT d.pipeline, d.stage{by}, ")).time(self.at);
        sql.push(&format!(
            " - d.entered_at AS age, ROW_NUMBER() OVER (PARTITION BY d.pipeline, d.stage{by} \
             ORDER BY d.entered_at DESC) AS place, \
             COUNT(*) OVER (PARTITION BY d.pipeline, d.stage{by}) AS deals FROM d) \
             SELECT pipeline, stage, MIN(age), MAX(age){by} FROM o \
             WHERE place IN ((deals + 1) / 2, (deals + 2) / 2) GROUP BY pipeline, stage{by}",
        ));
        for Keyed { key, row } in sql.fetch_all::<Keyed<(String, String, i64, i64)>>(&mut self.db).await? {
            let (pipeline, stage, lower, upper) = row;
            if let Some((_, ages)) = groups.at(key)?.stages.get_mut(&(pipeline, stage)) {
                (ages.lower_micros, ages.upper_micros) = (lower, upper);
            }
        }
        Ok(())
    }

    async fn closed_by_pipeline(
        &mut self,
        scope: &Scope,
        keys: &Keys,
        groups: &mut Groups<Sums>,
    ) -> Result<(), ProjectionError> {
        let currency = self.currency()?;
        let by = keys.columns();
        let mut sql = self.grouped(status::CLOSED, &scope.filter, keys, MonthOf::Instant("s.closed_at"));
        sql.push(" SELECT d.pipeline, d.status, COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), ");
        sql.push(CURRENCIES).push(by).push(" FROM d GROUP BY d.pipeline, d.status").push(by);
        for Keyed { key, row } in sql.fetch_all::<Keyed<ClosedRow>>(&mut self.db).await? {
            let (pipeline, status, deals, amount, first, last) = row;
            let closed = &mut groups.at(key)?.closed;
            let figures = closed.entry(pipeline).or_insert_with(|| ClosedFigures::zero(currency));
            match status.as_str() {
                status::WON => {
                    self.check_currencies(&(first, last))?;
                    figures.won = deals;
                    figures.won_amount.minor = amount;
                }
                status::LOST => figures.lost = deals,
                _ => figures.excluded = deals,
            }
        }
        Ok(())
    }
}
