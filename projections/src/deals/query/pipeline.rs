//! The pipeline: what is open, stage by stage.

use std::collections::HashMap;

use dealog_events::{Currency, PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Scope, Views,
    snapshot::{CURRENCIES, Snapshot, damaged},
    sql::{select_micros, sum_micros},
    stages::{PipelineAt, push_stages},
};
use crate::{
    ProjectionError,
    deals::tables::{StageRow, status},
    figures::{Days, Seen, Total},
};

/// The pipeline at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineAnswer {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
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

/// Ages of the deals of a stage: their sum, and the middle ones.
#[derive(Clone, Copy, Default)]
struct Ages {
    sum_micros: i128,
    lower_micros: i64,
    upper_micros: i64,
}

type ByStage<T> = HashMap<(String, String), T>;

impl Views {
    /// The pipeline at an instant: ANALYTICS "Pipeline".
    pub async fn pipeline(&self, scope: &Scope) -> Result<PipelineAnswer, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let currency = snapshot.currency()?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        let (open, mut ages) = snapshot.open_by_stage(scope, &pipelines, currency).await?;
        snapshot.middle_ages(scope, &mut ages).await?;
        let closed = snapshot.closed_by_pipeline(scope, currency).await?;

        let mut answer = PipelineAnswer {
            seen: snapshot.seen(),
            pipelines: Vec::with_capacity(pipelines.len()),
            total: StageTotals::zero(currency),
            closed: ClosedFigures::zero(currency),
        };
        for pipeline in &pipelines {
            let closed = closed.get(&pipeline.id).cloned().unwrap_or_else(|| ClosedFigures::zero(currency));
            let figures = figures(pipeline, &open, &ages, closed, currency)?;
            answer.total.add(&figures.total);
            answer.closed.add(&figures.closed);
            answer.pipelines.push(figures);
        }
        Ok(answer)
    }
}

fn figures(
    pipeline: &PipelineAt,
    open: &ByStage<StageTotals>,
    ages: &ByStage<Ages>,
    closed: ClosedFigures,
    currency: Currency,
) -> Result<PipelineFigures, ProjectionError> {
    let mut total = StageTotals::zero(currency);
    let mut stages = Vec::with_capacity(pipeline.stages.len());
    for stage in &pipeline.stages {
        let key = (pipeline.id.clone(), stage.stage.clone());
        let totals = open.get(&key).cloned().unwrap_or_else(|| StageTotals::zero(currency));
        total.add(&totals);
        stages.push(stage_figures(stage, totals, ages.get(&key).copied().unwrap_or_default())?);
    }
    Ok(PipelineFigures {
        pipeline: pipeline.id.parse().map_err(|error| damaged(&error))?,
        name: pipeline.name.clone(),
        stages,
        total,
        closed,
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

/// One row for each stage: pipeline, stage, deals, amount, weighted, without amount, age (whole seconds, then the
/// microseconds beyond), stale, overdue, currencies.
type OpenRow = (String, String, i64, i64, i64, i64, i64, i64, i64, i64, Option<String>, Option<String>);

impl Snapshot<'_> {
    async fn open_by_stage(
        &mut self,
        scope: &Scope,
        pipelines: &[PipelineAt],
        currency: Currency,
    ) -> Result<(ByStage<StageTotals>, ByStage<Ages>), ProjectionError> {
        let mut sql = self.deals(&[status::OPEN], &scope.filter);
        push_stages(&mut sql, pipelines);
        sql.push(
            " SELECT d.pipeline, d.stage, COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), \
             CAST(COALESCE(SUM((d.amount * COALESCE(d.probability, st.probability) + 5000) / 10000), 0) AS BIGINT), \
             CAST(SUM(CASE WHEN d.amount IS NULL THEN 1 ELSE 0 END) AS BIGINT), ",
        );
        sql.push(&select_micros(&format!("{} - d.entered_at", self.at.micros()))).push(", CAST(SUM(CASE WHEN ");
        sql.time(self.at).push(" - d.entered_at > st.stale_micros THEN 1 ELSE 0 END) AS BIGINT), ");
        sql.push("CAST(SUM(CASE WHEN d.expected_close < ").text(self.today().to_string());
        sql.push(" THEN 1 ELSE 0 END) AS BIGINT), ");
        sql.push(CURRENCIES)
            .push(" FROM d JOIN st ON st.pipeline = d.pipeline AND st.stage = d.stage GROUP BY d.pipeline, d.stage");

        let (mut totals, mut ages) = (HashMap::new(), HashMap::new());
        for row in sql.fetch_all::<OpenRow>(&mut self.db).await? {
            let (pipeline, stage, deals, amount, weighted, without_amount, seconds, rest, stale, overdue, ..) = row;
            self.check_currencies(&(row.10, row.11))?;
            let key = (pipeline, stage);
            let sum_micros = sum_micros(seconds, rest);
            ages.insert(key.clone(), Ages { sum_micros, ..Ages::default() });
            totals.insert(
                key,
                StageTotals {
                    deals,
                    amount: Total { minor: amount, currency },
                    weighted: Total { minor: weighted, currency },
                    without_amount,
                    stale,
                    overdue,
                },
            );
        }
        Ok((totals, ages))
    }

    async fn middle_ages(&mut self, scope: &Scope, ages: &mut ByStage<Ages>) -> Result<(), ProjectionError> {
        let mut sql = self.deals(&[status::OPEN], &scope.filter);
        sql.push(", o AS (SELECT d.pipeline, d.stage, ").time(self.at);
        sql.push(
            " - d.entered_at AS age, ROW_NUMBER() OVER (PARTITION BY d.pipeline, d.stage ORDER BY d.entered_at DESC) AS \
             place, COUNT(*) OVER (PARTITION BY d.pipeline, d.stage) AS deals FROM d) SELECT pipeline, stage, MIN(age), MAX(age) FROM o WHERE place IN ((deals + 1) / 2, (deals + 2) / 2) \
             GROUP BY pipeline, stage",
        );
        for (pipeline, stage, lower, upper) in sql.fetch_all::<(String, String, i64, i64)>(&mut self.db).await? {
            if let Some(ages) = ages.get_mut(&(pipeline, stage)) {
                (ages.lower_micros, ages.upper_micros) = (lower, upper);
            }
        }
        Ok(())
    }

    async fn closed_by_pipeline(
        &mut self,
        scope: &Scope,
        currency: Currency,
    ) -> Result<HashMap<String, ClosedFigures>, ProjectionError> {
        let mut sql = self.deals(status::CLOSED, &scope.filter);
        sql.push(" SELECT d.pipeline, d.status, COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), ");
        sql.push(CURRENCIES).push(" FROM d GROUP BY d.pipeline, d.status");
        let mut closed: HashMap<String, ClosedFigures> = HashMap::new();
        for (pipeline, status, deals, amount, first, last) in
            sql.fetch_all::<(String, String, i64, i64, Option<String>, Option<String>)>(&mut self.db).await?
        {
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
        Ok(closed)
    }
}
