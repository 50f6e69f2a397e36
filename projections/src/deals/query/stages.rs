//! Pipelines as they were defined at an instant.

use std::collections::{HashMap, HashSet};

use super::{scope::Filter, snapshot::Snapshot, sql::Sql};
use crate::{
    ProjectionError,
    deals::tables::{PipelineRow, StageRow},
    figures::DAY_MICROS,
    table::columns,
};

/// A pipeline as it was.
#[derive(Debug, Clone)]
pub(super) struct PipelineAt {
    pub(super) id: String,
    pub(super) name: String,
    /// In order.
    pub(super) stages: Vec<StageRow>,
}

impl PipelineAt {
    /// The place of a stage in the order.
    pub(super) fn ordinal(&self, stage: &str) -> Option<usize> {
        self.stages.iter().position(|found| found.stage == stage)
    }

    /// The place of the furthest of the stages that a deal ever stood in, given as spans have them; the last one for a
    /// deal ever won.
    pub(super) fn furthest(&self, visited: &str, ever_won: bool) -> Option<usize> {
        if ever_won {
            return self.stages.len().checked_sub(1);
        }
        visited.split(' ').filter_map(|stage| self.ordinal(stage)).max()
    }
}

impl Snapshot<'_> {
    /// The pipelines that `filter` lets through, by age, as they were defined at the instant asked about, or first defined
    /// if that was later.
    pub(super) async fn pipelines(&mut self, filter: &Filter) -> Result<Vec<PipelineAt>, ProjectionError> {
        let wanted = filter.pipeline.map(|id| id.to_string());
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM pipelines ORDER BY position", columns::<PipelineRow>()));
        let definitions: Vec<PipelineRow> = sql.fetch_all(&mut self.db).await?;
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM stages ORDER BY definition, ordinal", columns::<StageRow>()));
        let mut stages: HashMap<i64, Vec<StageRow>> = HashMap::new();
        for stage in sql.fetch_all::<StageRow>(&mut self.db).await? {
            stages.entry(stage.definition).or_default().push(stage);
        }

        let at = self.at.micros();
        let mut pipelines = Vec::new();
        for definition in &definitions {
            let stood = definition.valid_from <= at && at < definition.valid_to;
            if !stood || wanted.as_ref().is_some_and(|wanted| *wanted != definition.pipeline) {
                continue;
            }
            let mut pipeline = PipelineAt {
                id: definition.pipeline.clone(),
                name: definition.name.clone(),
                stages: stages.get(&definition.position).cloned().unwrap_or_default(),
            };
            let later = definitions
                .iter()
                .filter(|later| later.pipeline == definition.pipeline && later.position > definition.position)
                .filter_map(|later| stages.get(&later.position));
            self.add_later_stages(&mut pipeline, later).await?;
            pipelines.push(pipeline);
        }
        if pipelines.is_empty() && wanted.is_some() {
            return Err(ProjectionError::Query { field: "pipeline", message: "there is no such pipeline".into() });
        }
        let ages: HashMap<&str, usize> =
            definitions.iter().enumerate().rev().map(|(age, row)| (row.pipeline.as_str(), age)).collect();
        pipelines.sort_by_key(|pipeline| ages.get(pipeline.id.as_str()).copied());
        Ok(pipelines)
    }

    /// A move may be dated before the stage it goes to was added. Such a stage counts as it was first defined, behind the
    /// stage that it was put behind.
    async fn add_later_stages<'s>(
        &mut self,
        pipeline: &mut PipelineAt,
        later: impl Iterator<Item = &'s Vec<StageRow>>,
    ) -> Result<(), ProjectionError> {
        let later: Vec<&Vec<StageRow>> = later.collect();
        if later.iter().all(|stages| stages.iter().all(|stage| pipeline.ordinal(&stage.stage).is_some())) {
            return Ok(());
        }
        let mut sql = Sql::default();
        sql.push("SELECT DISTINCT stage FROM visits WHERE pipeline = ").text(pipeline.id.clone());
        sql.push(" AND entered_at <= ").time(self.at);
        let visited: HashSet<String> =
            sql.fetch_all::<(String,)>(&mut self.db).await?.into_iter().map(|(stage,)| stage).collect();
        for stages in later {
            let mut before: Option<&str> = None;
            for stage in stages {
                if visited.contains(&stage.stage) && pipeline.ordinal(&stage.stage).is_none() {
                    let place = before.and_then(|before| pipeline.ordinal(before)).map_or(0, |place| place + 1);
                    pipeline.stages.insert(place, stage.clone());
                }
                if pipeline.ordinal(&stage.stage).is_some() {
                    before = Some(&stage.stage);
                }
            }
        }
        Ok(())
    }
}

/// Pushes `, st AS (VALUES ...)`: the stages with their order, chance, stale limit and forecast category.
pub(super) fn push_stages(sql: &mut Sql, pipelines: &[PipelineAt]) {
    sql.push(", st (pipeline, stage, ordinal, probability, stale_micros, forecast_category) AS (VALUES ('', '', ");
    // A first row that no deal matches: VALUES must not be empty, and it fixes the types of the columns.
    sql.integer(0).push(", ").integer(0).push(", ").integer(0).push(", '')");
    for pipeline in pipelines {
        for (ordinal, stage) in (0_i64..).zip(&pipeline.stages) {
            let stale = stage.stale_after_days.map_or(i64::MAX, |days| days.saturating_mul(DAY_MICROS));
            sql.push(", (").text(pipeline.id.clone()).push(", ").text(stage.stage.clone());
            sql.push(", ").integer(ordinal).push(", ").integer(stage.probability).push(", ").integer(stale);
            sql.push(", ").text(stage.forecast_category.clone()).push(")");
        }
    }
    sql.push(")");
}
