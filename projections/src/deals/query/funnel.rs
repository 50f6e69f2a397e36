//! The cohort funnel: what became of the deals created in a period.

use std::collections::HashMap;

use dealog_events::{PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Filter, Group, Grouping, Scope, Views,
    groups::{Groups, Keyed},
    keys::{Keys, MonthOf},
    snapshot::{Snapshot, damaged},
    stages::PipelineAt,
};
use crate::{
    ProjectionError,
    deals::tables::status,
    figures::{Rate, Seen},
};

/// Cohort funnels of all pipelines asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FunnelAnswer {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: CohortFunnels,
    /// Groups of them, where groups are asked for.
    pub groups: Vec<Group<CohortFunnels>>,
}

/// Cohort funnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CohortFunnels {
    /// One for each pipeline.
    pub funnels: Vec<CohortFunnel>,
}

/// Deals created in the period that are in this pipeline, followed up to the instant asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CohortFunnel {
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Deals created: open, won, lost and excluded together.
    pub created: i64,
    /// Deals still open.
    pub open: i64,
    /// Deals won.
    pub won: i64,
    /// Deals lost.
    pub lost: i64,
    /// Deals lost for a reason that is not counted. They appear nowhere else.
    pub excluded: i64,
    /// won / created.
    pub overall: Option<Rate>,
    /// Stages in order.
    pub stages: Vec<FunnelStage>,
}

/// A stage of a cohort funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FunnelStage {
    /// Which one.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// Deals that ever stood in it or in a later one; a deal ever won reached all.
    pub reached: i64,
    /// reached of the next stage / reached; of the last stage, won / reached.
    pub step_conversion: Option<Rate>,
    /// Open deals that are in it.
    pub open_in: i64,
    /// Lost deals that were lost from it.
    pub lost_from: i64,
    /// Open deals that got no further than it.
    pub open_furthest: i64,
    /// Lost deals that got no further than it.
    pub lost_furthest: i64,
}

/// Deals of one pipeline with the same furthest stage, present stage and status.
struct Alike {
    furthest: Option<usize>,
    stage: String,
    status: String,
    deals: i64,
}

/// The chance of being won in basis points, by pipeline and stage.
pub(super) type Chances = HashMap<(String, String), i64>;

type ByPipeline = HashMap<String, Vec<Alike>>;

impl Views {
    /// The cohort funnel: ANALYTICS "Funnel". The filter's `created` chooses the cohort.
    pub async fn funnel(&self, scope: &Scope, by: &Grouping) -> Result<FunnelAnswer, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        let figures = |cohort| cohort_funnels(&pipelines, &cohort);
        let total = snapshot.cohort(scope, &Keys::NONE, &pipelines).await?.total();
        let mut groups = Vec::new();
        if let Some(keys) = snapshot.keys(by).await? {
            let cohorts = snapshot.cohort(scope, &keys, &pipelines).await?;
            groups = snapshot.named(&keys, cohorts.map(figures)?).await?;
        }
        Ok(FunnelAnswer { seen: snapshot.seen(), figures: figures(total)?, groups })
    }
}

fn cohort_funnels(pipelines: &[PipelineAt], cohort: &ByPipeline) -> Result<CohortFunnels, ProjectionError> {
    let of = |pipeline: &PipelineAt| funnel(pipeline, cohort.get(&pipeline.id).map_or(&[], Vec::as_slice));
    Ok(CohortFunnels { funnels: pipelines.iter().map(of).collect::<Result<_, _>>()? })
}

fn funnel(pipeline: &PipelineAt, cohort: &[Alike]) -> Result<CohortFunnel, ProjectionError> {
    let sum = |counts: &dyn Fn(&Alike) -> bool| -> i64 {
        cohort.iter().filter(|alike| counts(alike)).map(|alike| alike.deals).sum()
    };
    let has = |wanted: &'static str| move |alike: &Alike| alike.status == wanted;
    let excluded = sum(&has(status::EXCLUDED));
    let created = sum(&|_| true);
    let won = sum(&has(status::WON));
    let reached = |ordinal: usize| {
        sum(&|alike| alike.status != status::EXCLUDED && alike.furthest.is_some_and(|furthest| furthest >= ordinal))
    };

    let mut stages = Vec::with_capacity(pipeline.stages.len());
    for (ordinal, stage) in pipeline.stages.iter().enumerate() {
        let at_furthest =
            |wanted: &'static str| sum(&|alike| alike.status == wanted && alike.furthest == Some(ordinal));
        let in_stage = |wanted: &'static str| sum(&|alike| alike.status == wanted && alike.stage == stage.stage);
        let next = if ordinal + 1 < pipeline.stages.len() { reached(ordinal + 1) } else { won };
        stages.push(FunnelStage {
            stage: stage.stage.parse().map_err(|error| damaged(&error))?,
            name: stage.name.clone(),
            reached: reached(ordinal),
            step_conversion: Rate::of(next, reached(ordinal)),
            open_in: in_stage(status::OPEN),
            lost_from: in_stage(status::LOST),
            open_furthest: at_furthest(status::OPEN),
            lost_furthest: at_furthest(status::LOST),
        });
    }
    Ok(CohortFunnel {
        pipeline: pipeline.id.parse().map_err(|error| damaged(&error))?,
        name: pipeline.name.clone(),
        created,
        open: sum(&has(status::OPEN)),
        won,
        lost: sum(&has(status::LOST)),
        excluded,
        overall: Rate::of(won, created),
        stages,
    })
}

/// Deals that nothing here tells apart: pipeline, stages visited, whether ever won, stage, status, how many.
type CohortRow = (String, String, i64, String, String, i64);

impl Snapshot<'_> {
    async fn cohort(
        &mut self,
        scope: &Scope,
        keys: &Keys,
        pipelines: &[PipelineAt],
    ) -> Result<Groups<ByPipeline>, ProjectionError> {
        let mut sql = self.grouped(status::ALL, &scope.filter, keys, MonthOf::Instant("s.created_at"));
        let by = keys.columns();
        sql.push(&format!(
            " SELECT d.pipeline, d.visited, d.ever_won, d.stage, d.status, COUNT(*){by} FROM d \
             GROUP BY d.pipeline, d.visited, d.ever_won, d.stage, d.status{by}",
        ));
        let mut groups = Groups::<ByPipeline>::of(keys);
        for Keyed { key, row } in sql.fetch_all::<Keyed<CohortRow>>(&mut self.db).await? {
            let (of, visited, ever_won, stage, status, deals) = row;
            let Some(pipeline) = pipelines.iter().find(|pipeline| pipeline.id == of) else { continue };
            let furthest = pipeline.furthest(&visited, ever_won == 1);
            groups.at(key)?.entry(of).or_default().push(Alike { furthest, stage, status, deals });
        }
        Ok(groups)
    }

    /// The chance of being won that history gives each stage: `(won + 1) / (closed + 2)` in basis points, over deals of
    /// the pipeline that were closed in the year before and had reached the stage.
    pub(super) async fn historical_chances(&mut self, pipelines: &[PipelineAt]) -> Result<Chances, ProjectionError> {
        const YEAR_MICROS: i64 = 365 * crate::figures::DAY_MICROS;
        let mut sql = self.deals(&[status::WON, status::LOST], &Filter::default());
        sql.push(" SELECT d.pipeline, d.visited, d.ever_won, d.status, COUNT(*) FROM d WHERE d.closed_at > ");
        sql.time(self.at.saturating_add_micros(-YEAR_MICROS));
        sql.push(" GROUP BY d.pipeline, d.visited, d.ever_won, d.status");
        let rows: Vec<(String, String, i64, String, i64)> = sql.fetch_all(&mut self.db).await?;

        let mut chances = HashMap::new();
        for pipeline in pipelines {
            for (ordinal, stage) in pipeline.stages.iter().enumerate() {
                let (mut won, mut closed) = (0, 0);
                for (of, visited, ever_won, status, deals) in &rows {
                    if *of == pipeline.id && pipeline.furthest(visited, *ever_won == 1) >= Some(ordinal) {
                        closed += deals;
                        won += if status == status::WON { *deals } else { 0 };
                    }
                }
                let chance = Rate::of(won + 1, closed + 2).map_or(0, |rate| rate.basis_points);
                chances.insert((pipeline.id.clone(), stage.stage.clone()), chance);
            }
        }
        Ok(chances)
    }
}
