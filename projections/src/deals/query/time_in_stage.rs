//! How long deals stay in stages.

use dealog_events::{PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Scope, Views,
    snapshot::damaged,
    sql::{select_micros, sum_micros},
};
use crate::{
    ProjectionError,
    deals::tables::status,
    figures::{Days, Seen},
};

/// Time in stage, of all pipelines asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimeInStage {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// One for each pipeline.
    pub pipelines: Vec<PipelineTimes>,
}

/// Time in the stages of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineTimes {
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Stages in order.
    pub stages: Vec<StageTime>,
}

/// Time in one stage: for each deal, all its visits to it together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageTime {
    /// Which one.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// Deals that ever stood in it.
    pub deals: i64,
    /// Of these, deals that are in it now.
    pub in_it_now: i64,
    /// Days in it, the mean over the deals that left it for good.
    pub days_completed_mean: Option<Days>,
    /// Days in it so far, the mean over the deals that are in it now.
    pub days_so_far_mean: Option<Days>,
}

/// Pipeline, stage, whether in it now, deals, whole seconds, microseconds beyond.
type TimeRow = (String, String, i64, i64, i64, i64);

impl Views {
    /// Time in stage: ANALYTICS "Funnel". The filter's `created` chooses the deals.
    pub async fn time_in_stage(&self, scope: &Scope) -> Result<TimeInStage, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        // A deal that was transferred away left its time in the stages it stood in.
        let filter = super::Filter { pipeline: None, ..scope.filter.clone() };
        let at = snapshot.at;
        let mut sql = snapshot.deals(status::COUNTED, &filter);
        sql.push(", x AS (SELECT v.deal, v.pipeline, v.stage, CAST(SUM(CASE WHEN v.left_at > ").time(at);
        sql.push(" THEN ")
            .time(at)
            .push(" ELSE v.left_at END - v.entered_at) AS BIGINT) AS micros, MAX(CASE WHEN v.left_at > ");
        sql.time(at).push(" THEN 1 ELSE 0 END) AS here FROM d JOIN visits v ON v.deal = d.deal AND v.entered_at <= ");
        sql.time(at).push(" GROUP BY v.deal, v.pipeline, v.stage) SELECT pipeline, stage, here, COUNT(*), ");
        sql.push(&select_micros("micros")).push(" FROM x GROUP BY pipeline, stage, here");
        let rows: Vec<TimeRow> = sql.fetch_all(&mut snapshot.db).await?;

        let mut answer = TimeInStage { seen: snapshot.seen(), pipelines: Vec::with_capacity(pipelines.len()) };
        for pipeline in &pipelines {
            let mut stages = Vec::with_capacity(pipeline.stages.len());
            for stage in &pipeline.stages {
                let of = |wanted: i64| {
                    rows.iter()
                        .find(|row| row.0 == pipeline.id && row.1 == stage.stage && row.2 == wanted)
                        .map_or((0, 0), |row| (row.3, sum_micros(row.4, row.5)))
                };
                let ((left, left_micros), (here, here_micros)) = (of(0), of(1));
                stages.push(StageTime {
                    stage: stage.stage.parse().map_err(|error| damaged(&error))?,
                    name: stage.name.clone(),
                    deals: left + here,
                    in_it_now: here,
                    days_completed_mean: Days::mean(left_micros, left),
                    days_so_far_mean: Days::mean(here_micros, here),
                });
            }
            answer.pipelines.push(PipelineTimes {
                pipeline: pipeline.id.parse().map_err(|error| damaged(&error))?,
                name: pipeline.name.clone(),
                stages,
            });
        }
        Ok(answer)
    }
}
