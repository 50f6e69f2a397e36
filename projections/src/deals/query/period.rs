//! The period funnel: what happened in a period, each visit counted in its own pipeline.

use std::collections::HashMap;

use dealog_events::{PipelineId, Slug, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Filter, Range, Scope, Views,
    snapshot::{Snapshot, damaged},
    sql::{Sql, select_micros, sum_micros},
    stages::PipelineAt,
};
use crate::{
    ProjectionError,
    deals::tables::{StageRow, left_by, status},
    figures::{Days, Seen},
};

/// Period funnels of all pipelines asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodAnswer {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The period's first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// One for each pipeline.
    pub funnels: Vec<PeriodFunnel>,
}

/// What happened in one pipeline. Deals that are excluded at the instant asked about are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodFunnel {
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Stages in order. For each, where no filter tells visits of one deal apart: `open_before` + `entered` = `open_after` +
    /// `forward` + `back` + `transferred` + `won_from` + `lost_from`.
    pub stages: Vec<PeriodStage>,
    /// The transitions between stages.
    pub moves: Vec<PeriodMove>,
}

/// A stage in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodStage {
    /// Which one.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// Deals in it when the period began.
    pub open_before: i64,
    /// Visits that began: created in it, moved to it, reopened or transferred into it.
    pub entered: i64,
    /// Visits that ended with a move to a later stage.
    pub forward: i64,
    /// Visits that ended with a move to an earlier stage.
    pub back: i64,
    /// Visits that ended with a transfer to another pipeline.
    pub transferred: i64,
    /// Visits that ended with a win.
    pub won_from: i64,
    /// Visits that ended with a loss.
    pub lost_from: i64,
    /// Deals in it when the period ended.
    pub open_after: i64,
}

/// Moves from one stage to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodMove {
    /// The stage left.
    pub from: Slug,
    /// The stage entered.
    pub to: Slug,
    /// How many.
    pub count: i64,
    /// Days in the stage left, their mean.
    pub days_mean: Option<Days>,
}

/// Days that a period funnel looks back where none is named.
const PERIOD_DAYS: i64 = 365;

impl Views {
    /// The period funnel: ANALYTICS "Funnel". Without a period, the 365 days up to the instant asked about.
    pub async fn period(&self, scope: &Scope, period: &Range) -> Result<PeriodAnswer, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let (from, to) = snapshot.period(period, PERIOD_DAYS)?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        // What has not happened by the instant asked about is not in the period yet.
        let end = to.min(snapshot.at.saturating_add_micros(1));
        let visits = Visits {
            entered: snapshot.entered(scope, from, end).await?,
            left: snapshot.left(scope, from, end).await?,
            before: snapshot.open_just_before(scope, from.min(end)).await?,
            after: snapshot.open_just_before(scope, end).await?,
        };
        let funnels = pipelines.iter().map(|pipeline| visits.funnel(pipeline)).collect::<Result<_, _>>()?;
        Ok(PeriodAnswer { seen: snapshot.seen(), from, to, funnels })
    }
}

type ByStage = HashMap<(String, String), i64>;

/// Visits that ended in the same way.
struct Left {
    pipeline: String,
    stage: String,
    how: String,
    to_stage: Option<String>,
    count: i64,
    micros: i128,
}

/// Pipeline, stage, how, to which stage, visits, whole seconds, microseconds beyond.
type LeftRow = (String, String, String, Option<String>, i64, i64, i64);

struct Visits {
    entered: ByStage,
    left: Vec<Left>,
    before: ByStage,
    after: ByStage,
}

impl Visits {
    fn funnel(&self, pipeline: &PipelineAt) -> Result<PeriodFunnel, ProjectionError> {
        let stages = pipeline
            .stages
            .iter()
            .enumerate()
            .map(|(ordinal, stage)| self.stage(pipeline, ordinal, stage))
            .collect::<Result<_, _>>()?;
        let place = |stage: &str| pipeline.ordinal(stage);
        let mut moved: Vec<&Left> =
            self.left.iter().filter(|left| left.pipeline == pipeline.id && left.how == left_by::MOVED).collect();
        moved.sort_by_key(|left| (place(&left.stage), left.to_stage.as_deref().and_then(place)));
        let moves = moved
            .into_iter()
            .map(|left| {
                Ok(PeriodMove {
                    from: left.stage.parse().map_err(|error| damaged(&error))?,
                    to: left.to_stage.as_deref().unwrap_or_default().parse().map_err(|error| damaged(&error))?,
                    count: left.count,
                    days_mean: Days::mean(left.micros, left.count),
                })
            })
            .collect::<Result<_, ProjectionError>>()?;
        Ok(PeriodFunnel {
            pipeline: pipeline.id.parse().map_err(|error| damaged(&error))?,
            name: pipeline.name.clone(),
            stages,
            moves,
        })
    }

    fn stage(&self, pipeline: &PipelineAt, ordinal: usize, stage: &StageRow) -> Result<PeriodStage, ProjectionError> {
        let key = (pipeline.id.clone(), stage.stage.clone());
        let count = |counts: &ByStage| counts.get(&key).copied().unwrap_or_default();
        let left = |counts: &dyn Fn(&Left) -> bool| -> i64 {
            let here = self.left.iter().filter(|left| left.pipeline == key.0 && left.stage == key.1);
            here.filter(|left| counts(left)).map(|left| left.count).sum()
        };
        let target = |left: &Left| left.to_stage.as_deref().and_then(|stage| pipeline.ordinal(stage));
        let moved = |left: &Left| left.how == left_by::MOVED;
        Ok(PeriodStage {
            stage: stage.stage.parse().map_err(|error| damaged(&error))?,
            name: stage.name.clone(),
            open_before: count(&self.before),
            entered: count(&self.entered),
            forward: left(&|left| moved(left) && target(left) > Some(ordinal)),
            back: left(&|left| moved(left) && target(left) < Some(ordinal)),
            transferred: left(&|left| left.how == left_by::TRANSFERRED),
            won_from: left(&|left| left.how == left_by::WON),
            lost_from: left(&|left| left.how == left_by::LOST),
            open_after: count(&self.after),
        })
    }
}

impl Snapshot<'_> {
    /// The period's bounds; without them, `days` up to the instant asked about.
    pub(super) fn period(&self, period: &Range, days: i64) -> Result<(Timestamp, Timestamp), ProjectionError> {
        let to = period.to.map_or(self.at.saturating_add_micros(1), |to| to.start(self.zone));
        let from = period
            .from
            .map_or_else(|| to.saturating_add_micros(-days * crate::figures::DAY_MICROS), |from| from.start(self.zone));
        if from >= to {
            return Err(ProjectionError::Query {
                field: "to",
                message: format!("the period ends at {to}, not after it begins at {from}"),
            });
        }
        Ok((from, to))
    }

    /// `FROM visits v`, of deals not excluded at the instant asked about, that the filter lets through by the attributes of
    /// the span `e` which `on` names: activities count with what the deal was like at that event.
    fn push_visits(&self, sql: &mut Sql, scope: &Scope, on: &str) {
        // A transfer's own span is already in the other pipeline: the pipeline meant is the visit's.
        let filter = Filter { pipeline: None, ..scope.filter.clone() };
        sql.push(" FROM visits v");
        if filter != Filter::default() {
            sql.push(" JOIN spans e ON ").push(on);
        }
        sql.push(" WHERE v.deal NOT IN (SELECT deal FROM spans WHERE status = ").text(status::EXCLUDED);
        sql.push(" AND valid_from <= ").time(self.at).push(" AND valid_to > ").time(self.at).push(")");
        filter.push(sql, "e", self.at, self.zone);
    }

    async fn entered(&mut self, scope: &Scope, from: Timestamp, to: Timestamp) -> Result<ByStage, ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT v.pipeline, v.stage, COUNT(*)");
        self.push_visits(&mut sql, scope, "e.position = v.position");
        sql.push(" AND v.entered_at >= ").time(from).push(" AND v.entered_at < ").time(to);
        sql.push(" GROUP BY v.pipeline, v.stage");
        let rows: Vec<(String, String, i64)> = sql.fetch_all(&mut self.db).await?;
        Ok(rows.into_iter().map(|(pipeline, stage, count)| ((pipeline, stage), count)).collect())
    }

    async fn left(&mut self, scope: &Scope, from: Timestamp, to: Timestamp) -> Result<Vec<Left>, ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT v.pipeline, v.stage, v.left_by, v.to_stage, COUNT(*), ");
        sql.push(&select_micros("v.left_at - v.entered_at"));
        self.push_visits(&mut sql, scope, "e.position = v.left_position");
        sql.push(" AND v.left_at >= ").time(from).push(" AND v.left_at < ").time(to);
        sql.push(" GROUP BY v.pipeline, v.stage, v.left_by, v.to_stage");
        let rows: Vec<LeftRow> = sql.fetch_all(&mut self.db).await?;
        Ok(rows
            .into_iter()
            .map(|(pipeline, stage, how, to_stage, count, seconds, rest)| Left {
                pipeline,
                stage,
                how,
                to_stage,
                count,
                micros: sum_micros(seconds, rest),
            })
            .collect())
    }

    /// Deals by stage as they stood before anything happened at `time`.
    async fn open_just_before(&mut self, scope: &Scope, time: Timestamp) -> Result<ByStage, ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT v.pipeline, v.stage, COUNT(*)");
        let micros = time.micros();
        let on = format!("e.deal = v.deal AND e.valid_from < {micros} AND e.valid_to >= {micros}");
        self.push_visits(&mut sql, scope, &on);
        sql.push(" AND v.entered_at < ").time(time).push(" AND v.left_at >= ").time(time);
        sql.push(" GROUP BY v.pipeline, v.stage");
        let rows: Vec<(String, String, i64)> = sql.fetch_all(&mut self.db).await?;
        Ok(rows.into_iter().map(|(pipeline, stage, count)| ((pipeline, stage), count)).collect())
    }
}
