//! The period funnel: what happened in a period, each visit counted in its own pipeline.

use dealog_events::{PipelineId, Slug};
use rustc_hash::FxHashMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, PeriodAnswer, Question, Unanswerable,
    by_stage::ByStage,
    course::{Left, states},
    group::{Deals, Groups, Tally, Time},
    names::Name,
    question::Range,
    resolved::{PipelineAt, Resolved},
    shapes::Days,
    step::{State, Status},
    times::Candidates,
    walk::{DealAt, in_parts},
};

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
    /// Stages in order. For each, where neither filter nor group tells events of one deal apart: `open_before` + `entered` =
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
    /// Visits that ended with a move to a later stage, by the order of stages at the move.
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

/// What happened in a period. Groups are by the deal's attributes at each event; of intervals of time, `open_before` is in the one that
/// the period begins in and `open_after` in the one that it ends in.
pub fn period(image: &Image, question: &Question, period: &Range) -> Result<PeriodAnswer<PeriodFunnels>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (from, to) = resolved.period(period)?;
    // A deal whose last closing lies before the period has nothing to count in it.
    let candidates = Candidates::open_or_closed((from, i64::MAX)).with_steps_of(|_| true);
    let add = |groups: &mut Groups<Periods>, numbers| {
        resolved.every_deal(numbers, &candidates, |at| count(&resolved, (from, to), groups, at));
    };
    let groups = in_parts(image.len(), add, Groups::merge);
    let grouped = groups.figures(&resolved, |tally| Ok(tally.figures(&resolved)))?;
    Ok(PeriodAnswer::new(&resolved, (from, to), grouped))
}

/// Counts what happened to a deal.
fn count(resolved: &Resolved<'_>, period: (i64, i64), groups: &mut Groups<Periods>, at: &DealAt<'_>) {
    happenings(resolved, period, at, |event, happened| {
        groups.add(resolved, event, Time::At(event.at), |tally: &mut Periods| {
            tally.deals.add(at);
            tally.stages.at(event.state.stage).add(happened);
        });
    });
}

/// Something that a period funnel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    OpenBefore,
    Entered,
    Left {
        how: Left,
        /// It moved to a later stage.
        forward: bool,
        /// The time in the stage.
        micros: i64,
    },
    OpenAfter,
}

/// Visits all that happened to a deal in a period and passes the filters, with the deal as it was then: in the stage that counts it.
pub(crate) fn happenings(
    resolved: &Resolved<'_>,
    (from, to): (i64, i64),
    at: &DealAt<'_>,
    mut visit: impl FnMut(&DealAt<'_>, Happened),
) {
    if at.state.status == Status::Excluded || !resolved.passes.now(resolved, at) {
        return;
    }
    let mut count = |state: &State, when: i64, happened: Happened| {
        let event = &DealAt { state, at: when, ..*at };
        if resolved.wanted_stage(state.stage).is_some() && resolved.passes.event(resolved, event) {
            visit(event, happened);
        }
    };
    let mut begins_at = at.created_at;
    let mut enters = true;
    states(resolved.image, at, |state, next| {
        let ends_at = next.map_or(i64::MAX, |step| step.at);
        let open = state.status == Status::Open;
        if enters && (from..to).contains(&begins_at) {
            count(state, begins_at, Happened::Entered);
        }
        // Of several states at one instant, only the last is there when it has passed.
        if open && begins_at < from && from <= ends_at {
            count(state, from, Happened::OpenBefore);
        }
        if open && begins_at < to && to <= ends_at {
            count(state, to - 1, Happened::OpenAfter);
        }
        let Some(step) = next else { return };
        if let (true, Some(how)) = ((from..to).contains(&step.at), step.leaves()) {
            let micros = step.at - state.since;
            let forward = is_forward(resolved, state.stage, how, step.at);
            count(state, step.at, Happened::Left { how, forward, micros });
        }
        (begins_at, enters) = (step.at, step.enters().is_some());
    });
}

/// Whether a move goes to a later stage, by the order of stages when it was made.
fn is_forward(resolved: &Resolved<'_>, stage: Name, left: Left, at: i64) -> bool {
    let Left::Moved(to) = left else { return false };
    resolved.places_at(at, [stage, to]).is_some_and(|[from, to]| to > from)
}

/// What happened, by stage.
#[derive(Default)]
struct Periods {
    deals: Deals,
    stages: ByStage<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    open_before: i64,
    entered: i64,
    forward: i64,
    back: i64,
    transferred: i64,
    won_from: i64,
    lost_from: i64,
    open_after: i64,
    /// By the stage that was entered: how many moves, and the time before them.
    moves: FxHashMap<Name, (i64, i128)>,
}

impl Counts {
    fn add(&mut self, happened: Happened) {
        match happened {
            Happened::OpenBefore => self.open_before += 1,
            Happened::Entered => self.entered += 1,
            Happened::OpenAfter => self.open_after += 1,
            Happened::Left { how: Left::Moved(to), forward, micros } => {
                *(if forward { &mut self.forward } else { &mut self.back }) += 1;
                let (count, sum) = self.moves.entry(to).or_default();
                *count += 1;
                *sum += i128::from(micros);
            }
            Happened::Left { how: Left::Transferred, .. } => self.transferred += 1,
            Happened::Left { how: Left::Won, .. } => self.won_from += 1,
            Happened::Left { how: Left::Lost, .. } => self.lost_from += 1,
        }
    }

    fn merge(&mut self, other: Self) {
        self.open_before += other.open_before;
        self.entered += other.entered;
        self.forward += other.forward;
        self.back += other.back;
        self.transferred += other.transferred;
        self.won_from += other.won_from;
        self.lost_from += other.lost_from;
        self.open_after += other.open_after;
        for (to, (more, more_micros)) in other.moves {
            let (count, sum) = self.moves.entry(to).or_default();
            *count += more;
            *sum += more_micros;
        }
    }
}

impl Tally for Periods {
    fn size(&self) -> i64 {
        self.deals.count()
    }

    fn merge(&mut self, other: Self) {
        self.deals.merge(other.deals);
        self.stages.merge(other.stages, Counts::merge);
    }
}

impl Periods {
    fn figures(&self, resolved: &Resolved<'_>) -> PeriodFunnels {
        let wanted = resolved.pipelines.iter().filter(|pipeline| pipeline.wanted);
        PeriodFunnels { funnels: wanted.map(|pipeline| self.funnel(pipeline)).collect() }
    }

    fn funnel(&self, pipeline: &PipelineAt) -> PeriodFunnel {
        let none = Counts::default();
        let mut moves = Vec::new();
        let mut stages = Vec::with_capacity(pipeline.stages.len());
        for stage in &pipeline.stages {
            let counts = self.stages.get(stage.stage).unwrap_or(&none);
            stages.push(PeriodStage {
                stage: stage.slug.clone(),
                name: stage.name.clone(),
                open_before: counts.open_before,
                entered: counts.entered,
                forward: counts.forward,
                back: counts.back,
                transferred: counts.transferred,
                won_from: counts.won_from,
                lost_from: counts.lost_from,
                open_after: counts.open_after,
            });
            for to in &pipeline.stages {
                if let Some((count, micros)) = counts.moves.get(&to.stage).copied() {
                    let (from, to) = (stage.slug.clone(), to.slug.clone());
                    moves.push(PeriodMove { from, to, count, days_mean: Days::mean(micros, count) });
                }
            }
        }
        PeriodFunnel { pipeline: pipeline.id, name: pipeline.name.clone(), stages, moves }
    }
}
