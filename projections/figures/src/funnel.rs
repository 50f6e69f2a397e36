//! The cohort funnel: what became of the deals that came into a pipeline in a period.

use dealog_events::{PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, PeriodAnswer, Question, Unanswerable,
    group::{Deals, Groups, Tally, Time},
    path::{Became, Course, Courses, What},
    question::Range,
    resolved::{PipelineAt, Resolved},
    shapes::{DAY_MICROS, Rate},
    step::Status,
    times::Candidates,
    walk::DealAt,
};

/// Cohort funnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CohortFunnels {
    /// One for each pipeline.
    pub funnels: Vec<CohortFunnel>,
}

/// Deals that first came into this pipeline in the period, by creation or by transfer, followed up to the instant asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CohortFunnel {
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Deals that came into it: open, won, lost, left and excluded together.
    pub entered: i64,
    /// Deals still open.
    pub open: i64,
    /// Deals won.
    pub won: i64,
    /// Deals lost.
    pub lost: i64,
    /// Deals that went to another pipeline.
    pub left: i64,
    /// Deals lost for a reason that is not counted. They appear nowhere else.
    pub excluded: i64,
    /// won / (entered - excluded).
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
    /// Deals that went from it to another pipeline.
    pub left_from: i64,
    /// Open deals that got no further than it.
    pub open_furthest: i64,
    /// Lost deals that got no further than it.
    pub lost_furthest: i64,
    /// Deals that got no further than it before they went to another pipeline.
    pub left_furthest: i64,
}

/// What became of the deals that came into a pipeline in a period. With `within_days`, only what happened in so many days of 24 hours
/// after each deal came in counts, and only deals that came in at least so many days before the instant asked about.
pub fn funnel(
    image: &Image,
    question: &Question,
    period: &Range,
    within_days: Option<u32>,
) -> Result<PeriodAnswer<CohortFunnels>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let period = resolved.period(period)?;
    let cohort = Cohort::new(&resolved, period, within_days);
    let add = |groups: &mut Groups<Cohorts>, at: &DealAt<'_>| {
        cohort.visit(at, |Entrant { pipeline, entered_at, became }| {
            groups.add(&resolved, at, Time::At(entered_at), |cohorts| cohorts.add(&resolved, at, pipeline, became));
        });
    };
    let groups = resolved.tally(&Candidates::lived(period), add, Groups::merge);
    let grouped = groups.figures(&resolved, |cohorts| Ok(cohorts.figures(&resolved)))?;
    Ok(PeriodAnswer::new(&resolved, period, grouped))
}

/// Which deals are in the cohort of a period.
pub(crate) struct Cohort<'r> {
    resolved: &'r Resolved<'r>,
    courses: Courses,
    from: i64,
    to: i64,
    within_days: Option<u32>,
}

/// A deal in the cohort of a pipeline.
pub(crate) struct Entrant {
    /// Its index in [`Resolved::pipelines`].
    pub(crate) pipeline: usize,
    /// When it first came into it.
    pub(crate) entered_at: i64,
    pub(crate) became: Became,
}

impl<'r> Cohort<'r> {
    pub(crate) fn new(resolved: &'r Resolved<'r>, (from, to): (i64, i64), within_days: Option<u32>) -> Self {
        Self { resolved, courses: Courses::new(resolved), from, to, within_days }
    }

    /// Visits each pipeline asked about whose cohort includes the deal.
    pub(crate) fn visit(&self, at: &DealAt<'_>, mut visit: impl FnMut(Entrant)) {
        for course in self.courses.of(at.state.path) {
            let Course { pipeline, begins, .. } = *course;
            if !self.resolved.pipelines.get(pipeline).is_some_and(|pipeline| pipeline.wanted) {
                continue;
            }
            let entered_at = if begins { Some(at.created_at) } else { self.transferred_at(at, pipeline) };
            let Some(entered_at) = entered_at.filter(|at| (self.from..self.to).contains(at)) else { continue };
            if let Some(became) = self.became(at, course, entered_at) {
                visit(Entrant { pipeline, entered_at, became });
            }
        }
    }

    /// When a deal first came into a pipeline in which it did not begin.
    fn transferred_at(&self, at: &DealAt<'_>, pipeline: usize) -> Option<i64> {
        let is_in = |stage| self.resolved.stage(stage).is_some_and(|stage| stage.pipeline == pipeline);
        at.steps(self.resolved.image)
            .iter()
            .find(|step| step.enters().is_some_and(|entry| is_in(entry.stage)))
            .map(|step| step.at)
    }

    /// What became of it; none where it came in too late to tell.
    fn became(&self, at: &DealAt<'_>, course: &Course, entered_at: i64) -> Option<Became> {
        let Some(days) = self.within_days else { return Some(course.became(self.resolved, at.state.status)) };
        let end = entered_at.saturating_add(i64::from(days) * DAY_MICROS);
        if end > self.resolved.cut.at {
            return None;
        }
        let steps = at.steps(self.resolved.image);
        let happened = steps.partition_point(|step| step.at < end);
        let then = at.deal.begun().after(steps.get(..happened).unwrap_or_default());
        let course = self.courses.of(then.path).iter().find(|then| then.pipeline == course.pipeline)?;
        // Whether it is excluded is judged at the instant asked about.
        let status = match (at.state.status, then.status) {
            (Status::Excluded, _) => Status::Excluded,
            (_, Status::Excluded) => Status::Lost,
            (_, then) => then,
        };
        Some(course.became(self.resolved, status))
    }
}

/// Cohorts by pipeline.
#[derive(Default)]
struct Cohorts {
    deals: Deals,
    pipelines: Vec<Counts>,
}

#[derive(Clone, Default)]
struct Counts {
    entered: i64,
    won: i64,
    excluded: i64,
    /// By place.
    stages: Vec<StageCounts>,
}

/// Deals by what became of them: open, lost and left ones.
#[derive(Clone, Copy, Default)]
struct StageCounts {
    last: [i64; 3],
    furthest: [i64; 3],
}

impl Tally for Cohorts {
    fn size(&self) -> i64 {
        self.deals.count()
    }

    fn merge(&mut self, other: Self) {
        self.deals.merge(other.deals);
        if self.pipelines.len() < other.pipelines.len() {
            self.pipelines.resize(other.pipelines.len(), Counts::default());
        }
        for (cohort, more) in self.pipelines.iter_mut().zip(other.pipelines) {
            cohort.merge(&more);
        }
    }
}

impl Cohorts {
    fn add(&mut self, resolved: &Resolved<'_>, at: &DealAt<'_>, number: usize, became: Became) {
        self.deals.add(at);
        if self.pipelines.is_empty() {
            let stages = |pipeline: &PipelineAt| vec![StageCounts::default(); pipeline.stages.len()];
            let counts = |pipeline| Counts { stages: stages(pipeline), ..Counts::default() };
            self.pipelines = resolved.pipelines.iter().map(counts).collect();
        }
        if let Some(cohort) = self.pipelines.get_mut(number) {
            cohort.add(became);
        }
    }

    fn figures(&self, resolved: &Resolved<'_>) -> CohortFunnels {
        let none = Counts::default();
        let of = |(number, pipeline)| funnel_of(pipeline, self.pipelines.get(number).unwrap_or(&none));
        let wanted = resolved.pipelines.iter().enumerate().filter(|(_, pipeline)| pipeline.wanted);
        CohortFunnels { funnels: wanted.map(of).collect() }
    }
}

impl Counts {
    fn add(&mut self, Became { what, last, furthest }: Became) {
        self.entered += 1;
        let which = match what {
            What::Won => return self.won += 1,
            What::Excluded => return self.excluded += 1,
            What::Open => 0,
            What::Lost => 1,
            What::Left => 2,
        };
        let mut count = |place: usize, of: fn(&mut StageCounts) -> &mut [i64; 3]| {
            if let Some(deals) = self.stages.get_mut(place).and_then(|stage| of(stage).get_mut(which)) {
                *deals += 1;
            }
        };
        count(last, |stage| &mut stage.last);
        count(furthest, |stage| &mut stage.furthest);
    }

    fn merge(&mut self, other: &Self) {
        self.entered += other.entered;
        self.won += other.won;
        self.excluded += other.excluded;
        if self.stages.len() < other.stages.len() {
            self.stages.resize(other.stages.len(), StageCounts::default());
        }
        for (stage, more) in self.stages.iter_mut().zip(&other.stages) {
            let sums = stage.last.iter_mut().zip(&more.last).chain(stage.furthest.iter_mut().zip(&more.furthest));
            sums.for_each(|(sum, more)| *sum += more);
        }
    }
}

fn funnel_of(pipeline: &PipelineAt, cohort: &Counts) -> CohortFunnel {
    let counts = |place: usize| cohort.stages.get(place).copied().unwrap_or_default();
    let places = 0..pipeline.stages.len();
    let sum = |of: usize| places.clone().filter_map(|place| counts(place).last.get(of).copied()).sum::<i64>();
    // From the last stage back: whatever got further had reached the ones before.
    let mut reached_next = cohort.won;
    let mut stages = Vec::with_capacity(pipeline.stages.len());
    for (place, stage) in pipeline.stages.iter().enumerate().rev() {
        let StageCounts { last: [open_in, lost_from, left_from], furthest } = counts(place);
        let [open_furthest, lost_furthest, left_furthest] = furthest;
        let reached = reached_next + furthest.iter().sum::<i64>();
        stages.push(FunnelStage {
            stage: stage.slug.clone(),
            name: stage.name.clone(),
            reached,
            step_conversion: Rate::of(reached_next, reached),
            open_in,
            lost_from,
            left_from,
            open_furthest,
            lost_furthest,
            left_furthest,
        });
        reached_next = reached;
    }
    stages.reverse();
    CohortFunnel {
        pipeline: pipeline.id,
        name: pipeline.name.clone(),
        entered: cohort.entered,
        open: sum(0),
        won: cohort.won,
        lost: sum(1),
        left: sum(2),
        excluded: cohort.excluded,
        overall: Rate::of(cohort.won, cohort.entered - cohort.excluded),
        stages,
    }
}
