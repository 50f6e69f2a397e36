//! The period funnel: what happened in a period, each visit counted in its own pipeline.

mod visits;

use dealog_events::{PipelineId, Slug, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use self::visits::{ByStage, Left, Visits};
use super::{
    Group, Grouping, Range, Scope, Views,
    keys::Keys,
    snapshot::{Snapshot, damaged},
    stages::PipelineAt,
};
use crate::{
    ProjectionError,
    deals::tables::{StageRow, left_by},
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
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: PeriodFunnels,
    /// Groups of them, where groups are asked for. Of months, `open_before` is in the one that the period begins in and
    /// `open_after` in the one that it ends in.
    pub groups: Vec<Group<PeriodFunnels>>,
}

/// Period funnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodFunnels {
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
    /// Stages in order. For each, where neither filter nor group tells visits of one deal apart: `open_before` + `entered` =
    /// `open_after` + `forward` + `back` + `transferred` + `won_from` + `lost_from`.
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
    pub async fn period(&self, scope: &Scope, period: &Range, by: &Grouping) -> Result<PeriodAnswer, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let (from, to) = snapshot.period(period, PERIOD_DAYS)?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        // What has not happened by the instant asked about is not in the period yet.
        let end = to.min(snapshot.at.saturating_add_micros(1));
        let figures = |visits| period_funnels(&pipelines, &visits);
        let total = snapshot.visits(scope, from..end, &Keys::NONE).await?.total();
        let mut groups = Vec::new();
        if let Some(keys) = snapshot.keys(by).await? {
            let visits = snapshot.visits(scope, from..end, &keys).await?;
            groups = snapshot.named(&keys, visits.map(figures)?).await?;
        }
        Ok(PeriodAnswer { seen: snapshot.seen(), from, to, figures: figures(total)?, groups })
    }
}

fn period_funnels(pipelines: &[PipelineAt], visits: &Visits) -> Result<PeriodFunnels, ProjectionError> {
    Ok(PeriodFunnels { funnels: pipelines.iter().map(|pipeline| visits.funnel(pipeline)).collect::<Result<_, _>>()? })
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
}
