//! The pipeline: what is open, stage by stage, at an instant.

use dealog_events::{PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Answer, Image, Question, Unanswerable,
    by_stage::ByStage,
    calendar::Interval,
    group::{Grouped, Groups, Tally, time_of},
    question::Range,
    resolved::{PipelineAt, Resolved, StageAt, weighted},
    series::{self, Series},
    shapes::{Days, Total},
    step::{State, Status},
    times::Candidates,
    walk::DealAt,
};

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
    /// The sum of amount times probability, rounded half up for each deal. The probability is the deal's own, else its stage's.
    pub weighted: Total,
    /// Deals that have no amount; they are counted, never read as zero.
    pub without_amount: i64,
    /// Deals longer in their stage than it allows.
    pub stale: i64,
    /// Deals expected to close before the local day.
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

/// The pipeline at an instant.
pub fn pipeline(image: &Image, question: &Question) -> Result<Answer<AllPipelines>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let groups = resolved.tally(&Candidates::ALL, |groups, at| add(groups, &resolved, at), Groups::merge);
    Ok(Answer { seen: resolved.seen(), grouped: figures(groups, &resolved)? })
}

/// The pipeline at the end of each interval of a period.
pub fn pipeline_series(
    image: &Image,
    question: &Question,
    period: &Range,
    interval: Interval,
) -> Result<Series<AllPipelines>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let stretches = series::stretches(&resolved, period, interval)?;
    let ends = stretches.iter().map(|stretch| Resolved::new(image, &stretch.at_end(question)));
    let ends = ends.collect::<Result<Vec<_>, _>>()?;
    let groups = series::at_ends(&ends, image, add);
    let points = stretches.into_iter().zip(ends.iter().zip(groups)).map(|(stretch, (end, groups))| {
        let grouped = figures(groups, end)?;
        Ok(stretch.point(grouped))
    });
    Ok(Series { seen: resolved.seen(), series: interval, points: points.collect::<Result<_, _>>()? })
}

fn add(groups: &mut Groups<Pipelines>, resolved: &Resolved<'_>, at: &DealAt<'_>) {
    if let Some(stage) = resolved.wanted_stage(at.state.stage) {
        groups.add(resolved, at, time_of(at.state), |tally| tally.add(resolved, at.state, stage));
    }
}

fn figures(groups: Groups<Pipelines>, resolved: &Resolved<'_>) -> Result<Grouped<AllPipelines>, Unanswerable> {
    let grouped = groups.figures(resolved, |tally| tally.figures(resolved))?;
    resolved.check_currencies()?;
    Ok(grouped)
}

/// What the deals of a group come to.
#[derive(Clone, Default)]
struct Pipelines {
    deals: i64,
    stages: ByStage<(Open, Closed)>,
}

/// Open deals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Open {
    pub(crate) deals: i64,
    pub(crate) without_amount: i64,
    pub(crate) stale: i64,
    pub(crate) overdue: i64,
    pub(crate) amount: i128,
    pub(crate) weighted: i128,
    ages_micros: Vec<i64>,
}

#[derive(Debug, Clone, Default)]
struct Closed {
    won: i64,
    lost: i64,
    excluded: i64,
    won_amount: i128,
}

impl Tally for Pipelines {
    fn size(&self) -> i64 {
        self.deals
    }

    fn merge(&mut self, other: Self) {
        self.deals += other.deals;
        self.stages.merge(other.stages, |(open, closed), (more_open, more_closed)| {
            open.merge(more_open);
            closed.merge(&more_closed);
        });
    }
}

impl Pipelines {
    fn add(&mut self, resolved: &Resolved<'_>, state: &State, stage: &StageAt) {
        self.deals += 1;
        let (open, closed) = self.stages.at(state.stage);
        if state.status == Status::Open {
            open.add(resolved, state, stage);
        } else {
            closed.add(resolved, state);
        }
    }

    fn figures(mut self, resolved: &Resolved<'_>) -> Result<AllPipelines, Unanswerable> {
        let (mut open, mut closed) = (Open::default(), Closed::default());
        let mut pipelines = Vec::new();
        for pipeline in resolved.pipelines.iter().filter(|pipeline| pipeline.wanted) {
            let (figures, its_open, its_closed) = self.pipeline(resolved, pipeline)?;
            open.merge(its_open);
            closed.merge(&its_closed);
            pipelines.push(figures);
        }
        Ok(AllPipelines { pipelines, total: open.totals(resolved)?, closed: closed.figures(resolved)? })
    }

    fn pipeline(
        &mut self,
        resolved: &Resolved<'_>,
        pipeline: &PipelineAt,
    ) -> Result<(PipelineFigures, Open, Closed), Unanswerable> {
        let (mut all_open, mut all_closed) = (Open::default(), Closed::default());
        let mut stages = Vec::with_capacity(pipeline.stages.len());
        for stage in &pipeline.stages {
            let (mut open, closed) = self.stages.take(stage.stage);
            stages.push(StageFigures {
                stage: stage.slug.clone(),
                name: stage.name.clone(),
                retired: stage.retired,
                totals: open.totals(resolved)?,
                age_days_mean: Days::mean(open.ages_micros.iter().copied().map(i128::from).sum(), open.deals),
                age_days_p50: Days::median(&mut open.ages_micros),
            });
            open.ages_micros.clear();
            all_open.merge(open);
            all_closed.merge(&closed);
        }
        let figures = PipelineFigures {
            pipeline: pipeline.id,
            name: pipeline.name.clone(),
            stages,
            total: all_open.totals(resolved)?,
            closed: all_closed.figures(resolved)?,
        };
        Ok((figures, all_open, all_closed))
    }
}

impl Closed {
    /// Does not branch on the status, which processors cannot predict.
    fn add(&mut self, resolved: &Resolved<'_>, state: &State) {
        let won = state.status == Status::Won;
        self.won += i64::from(won);
        self.won_amount += i128::from(state.amount.map_or(0, |amount| resolved.minor_if(won, amount)));
        self.lost += i64::from(state.status == Status::Lost);
        self.excluded += i64::from(state.status == Status::Excluded);
    }
}

impl Open {
    pub(crate) fn add(&mut self, resolved: &Resolved<'_>, state: &State, stage: &StageAt) {
        self.deals += 1;
        match state.amount.map(|amount| resolved.minor(amount)) {
            None => self.without_amount += 1,
            Some(minor) => {
                self.amount += i128::from(minor);
                self.weighted += i128::from(weighted(minor, state.chance(stage)));
            }
        }
        self.stale += i64::from(state.is_stale(stage, resolved.cut.at));
        self.overdue += i64::from(state.is_overdue(resolved.today));
        self.ages_micros.push(resolved.cut.at - state.since);
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        self.deals += other.deals;
        self.without_amount += other.without_amount;
        self.stale += other.stale;
        self.overdue += other.overdue;
        self.amount += other.amount;
        self.weighted += other.weighted;
        self.ages_micros.append(&mut other.ages_micros);
    }

    pub(crate) fn totals(&self, resolved: &Resolved<'_>) -> Result<StageTotals, Unanswerable> {
        Ok(StageTotals {
            deals: self.deals,
            amount: resolved.total(self.amount)?,
            weighted: resolved.total(self.weighted)?,
            without_amount: self.without_amount,
            stale: self.stale,
            overdue: self.overdue,
        })
    }
}

impl Closed {
    fn merge(&mut self, other: &Self) {
        self.won += other.won;
        self.lost += other.lost;
        self.excluded += other.excluded;
        self.won_amount += other.won_amount;
    }

    fn figures(&self, resolved: &Resolved<'_>) -> Result<ClosedFigures, Unanswerable> {
        Ok(ClosedFigures {
            won: self.won,
            won_amount: resolved.total(self.won_amount)?,
            lost: self.lost,
            excluded: self.excluded,
        })
    }
}
