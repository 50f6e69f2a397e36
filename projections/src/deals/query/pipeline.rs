//! The pipeline: what is open, stage by stage.

mod sums;

use dealog_events::{Currency, PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use self::sums::{Ages, Sums};
use super::{Group, Grouping, Scope, Views, keys::Keys, snapshot::damaged, stages::PipelineAt};
use crate::{
    ProjectionError,
    deals::tables::StageRow,
    figures::{Days, Seen, Total},
};

/// The pipeline at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineAnswer {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: AllPipelines,
    /// Groups of them, where groups are asked for.
    pub groups: Vec<Group<AllPipelines>>,
}

/// Pipelines at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AllPipelines {
    /// Each pipeline by itself.
    pub pipelines: Vec<PipelineFigures>,
    /// All of them together.
    pub total: StageTotals,
    /// Deals closed by then, of all of them.
    pub closed: ClosedFigures,
}

/// One pipeline at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineFigures {
    /// Which one.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Its stages in order.
    pub stages: Vec<StageFigures>,
    /// All stages together.
    pub total: StageTotals,
    /// Deals closed by then.
    pub closed: ClosedFigures,
}

/// The open deals of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageFigures {
    /// Which one.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// Whether it takes no more deals.
    pub retired: bool,
    /// The figures.
    #[serde(flatten)]
    pub totals: StageTotals,
    /// Days since the deals entered it, their mean.
    pub age_days_mean: Option<Days>,
    /// Days since the deals entered it, their median.
    pub age_days_p50: Option<Days>,
}

/// Figures over open deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageTotals {
    /// Open deals.
    pub deals: i64,
    /// The sum of their amounts.
    pub amount: Total,
    /// The sum of amount times chance, rounded half up for each deal; the chance is the deal's own, else its stage's.
    pub weighted: Total,
    /// Deals that have no amount; they are counted, never read as zero.
    pub without_amount: i64,
    /// Deals longer in their stage than it allows.
    pub stale: i64,
    /// Deals whose expected close lies before the local day.
    pub overdue: i64,
}

/// Figures over closed deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClosedFigures {
    /// Deals won.
    pub won: i64,
    /// What they were won at.
    pub won_amount: Total,
    /// Deals lost.
    pub lost: i64,
    /// Deals lost for a reason that is not counted.
    pub excluded: i64,
}

impl StageTotals {
    fn zero(currency: Currency) -> Self {
        let nothing = Total { minor: 0, currency };
        Self { deals: 0, amount: nothing, weighted: nothing, without_amount: 0, stale: 0, overdue: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.deals += other.deals;
        self.amount.minor += other.amount.minor;
        self.weighted.minor += other.weighted.minor;
        self.without_amount += other.without_amount;
        self.stale += other.stale;
        self.overdue += other.overdue;
    }
}

impl ClosedFigures {
    fn zero(currency: Currency) -> Self {
        Self { won: 0, won_amount: Total { minor: 0, currency }, lost: 0, excluded: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.won += other.won;
        self.won_amount.minor += other.won_amount.minor;
        self.lost += other.lost;
        self.excluded += other.excluded;
    }
}

impl Views {
    /// The pipeline at an instant: ANALYTICS "Pipeline".
    pub async fn pipeline(&self, scope: &Scope, by: &Grouping) -> Result<PipelineAnswer, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let currency = snapshot.currency()?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        let figures = |sums| all_pipelines(&pipelines, &sums, currency);
        let total = snapshot.pipeline_sums(scope, &Keys::NONE, &pipelines).await?.total();
        let mut groups = Vec::new();
        if let Some(keys) = snapshot.keys(by).await? {
            let sums = snapshot.pipeline_sums(scope, &keys, &pipelines).await?;
            groups = snapshot.named(&keys, sums.map(figures)?).await?;
        }
        Ok(PipelineAnswer { seen: snapshot.seen(), figures: figures(total)?, groups })
    }
}

fn all_pipelines(pipelines: &[PipelineAt], sums: &Sums, currency: Currency) -> Result<AllPipelines, ProjectionError> {
    let mut all = AllPipelines {
        pipelines: Vec::with_capacity(pipelines.len()),
        total: StageTotals::zero(currency),
        closed: ClosedFigures::zero(currency),
    };
    for pipeline in pipelines {
        let figures = figures(pipeline, sums, currency)?;
        all.total.add(&figures.total);
        all.closed.add(&figures.closed);
        all.pipelines.push(figures);
    }
    Ok(all)
}

fn figures(pipeline: &PipelineAt, sums: &Sums, currency: Currency) -> Result<PipelineFigures, ProjectionError> {
    let mut total = StageTotals::zero(currency);
    let mut stages = Vec::with_capacity(pipeline.stages.len());
    for stage in &pipeline.stages {
        let found = sums.stages.get(&(pipeline.id.clone(), stage.stage.clone())).cloned();
        let (totals, ages) = found.unwrap_or_else(|| (StageTotals::zero(currency), Ages::default()));
        total.add(&totals);
        stages.push(stage_figures(stage, totals, ages)?);
    }
    Ok(PipelineFigures {
        pipeline: pipeline.id.parse().map_err(|error| damaged(&error))?,
        name: pipeline.name.clone(),
        stages,
        total,
        closed: sums.closed.get(&pipeline.id).cloned().unwrap_or_else(|| ClosedFigures::zero(currency)),
    })
}

fn stage_figures(stage: &StageRow, totals: StageTotals, ages: Ages) -> Result<StageFigures, ProjectionError> {
    let any = (totals.deals > 0).then_some(());
    Ok(StageFigures {
        stage: stage.stage.parse().map_err(|error| damaged(&error))?,
        name: stage.name.clone(),
        retired: stage.retired == 1,
        age_days_mean: Days::mean(ages.sum_micros, totals.deals),
        age_days_p50: any.and_then(|()| Days::median(ages.lower_micros, ages.upper_micros)),
        totals,
    })
}
