//! Velocity: how much each pipeline yields a day.

use dealog_events::PipelineId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, PeriodAnswer, Question, Unanswerable, closings,
    group::{Groups, Tally, time_of},
    question::Range,
    resolved::{PipelineAt, Resolved, StageAt},
    shapes::{DAY_MICROS, Days, Rate, Total, divide},
    step::Status,
    times::Candidates,
    walk::DealAt,
};

/// How much each pipeline yields a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Velocities {
    /// One for each pipeline.
    pub pipelines: Vec<PipelineVelocity>,
}

/// How much a pipeline yields a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineVelocity {
    /// Which one.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Open deals at the instant asked about.
    pub open: i64,
    /// Of these, deals expected to close before the local day.
    pub overdue: i64,
    /// Of the deals closed in the period, the part that was won.
    pub win_rate: Option<Rate>,
    /// What a won deal of the period was won at, the mean.
    pub won_amount_mean: Option<Total>,
    /// Days from created to won, the mean over the won deals of the period.
    pub won_cycle_days_mean: Option<Days>,
    /// open x win rate x mean won amount / mean won cycle days, of the unrounded figures; null where the mean cycle is under a day.
    pub velocity_per_day: Option<Total>,
}

/// How much each pipeline yields a day.
pub fn velocity(image: &Image, question: &Question, period: &Range) -> Result<PeriodAnswer<Velocities>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (from, to) = resolved.period(period)?;
    let add = |groups: &mut Groups<Pipelines>, at: &DealAt<'_>| {
        let state = at.state;
        let counts = state.status == Status::Open
            || closings::COUNTED.contains(&state.status) && (from..to).contains(&state.since);
        if let (true, Some(stage)) = (counts, resolved.wanted_stage(state.stage)) {
            groups.add(&resolved, at, time_of(state), |tally| tally.add(&resolved, at, stage));
        }
    };
    let groups = resolved.tally(&Candidates::open_or_closed((from, to)), add, Groups::merge);
    let grouped = groups.figures(&resolved, |tally| tally.figures(&resolved))?;
    resolved.check_currencies()?;
    Ok(PeriodAnswer::new(&resolved, (from, to), grouped))
}

/// What the deals of each pipeline come to.
#[derive(Default)]
struct Pipelines {
    deals: i64,
    pipelines: Vec<Sums>,
}

/// What a pipeline's deals come to.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    open: i64,
    overdue: i64,
    won: i64,
    lost: i64,
    won_amount: i128,
    won_cycle_micros: i128,
}

impl Tally for Pipelines {
    fn size(&self) -> i64 {
        self.deals
    }

    fn merge(&mut self, other: Self) {
        self.deals += other.deals;
        self.pipelines.resize(self.pipelines.len().max(other.pipelines.len()), Sums::default());
        self.pipelines.iter_mut().zip(other.pipelines).for_each(|(sums, more)| sums.merge(more));
    }
}

impl Pipelines {
    fn add(&mut self, resolved: &Resolved<'_>, &DealAt { created_at, state, .. }: &DealAt<'_>, stage: &StageAt) {
        self.deals += 1;
        self.pipelines.resize(resolved.pipelines.len(), Sums::default());
        let Some(sums) = self.pipelines.get_mut(stage.pipeline) else { return };
        match state.status {
            Status::Open => {
                sums.open += 1;
                sums.overdue += i64::from(state.is_overdue(resolved.today));
            }
            Status::Won => {
                sums.won += 1;
                sums.won_amount += state.amount.map_or(0, |amount| i128::from(resolved.minor(amount)));
                sums.won_cycle_micros += i128::from(state.since - created_at);
            }
            Status::Lost | Status::Excluded => sums.lost += 1,
        }
    }

    fn figures(&self, resolved: &Resolved<'_>) -> Result<Velocities, Unanswerable> {
        let none = Sums::default();
        let wanted = resolved.pipelines.iter().enumerate().filter(|(_, pipeline)| pipeline.wanted);
        let of = |(number, pipeline)| self.pipelines.get(number).unwrap_or(&none).figures(resolved, pipeline);
        Ok(Velocities { pipelines: wanted.map(of).collect::<Result<_, _>>()? })
    }
}

impl Sums {
    fn merge(&mut self, other: Self) {
        self.open += other.open;
        self.overdue += other.overdue;
        self.won += other.won;
        self.lost += other.lost;
        self.won_amount += other.won_amount;
        self.won_cycle_micros += other.won_cycle_micros;
    }

    fn figures(&self, resolved: &Resolved<'_>, pipeline: &PipelineAt) -> Result<PipelineVelocity, Unanswerable> {
        let total = |minor: Option<i128>| minor.map(|minor| resolved.total(minor)).transpose();
        Ok(PipelineVelocity {
            pipeline: pipeline.id,
            name: pipeline.name.clone(),
            open: self.open,
            overdue: self.overdue,
            win_rate: Rate::of(self.won, self.won + self.lost),
            won_amount_mean: total(divide(self.won_amount, self.won.into()))?,
            won_cycle_days_mean: Days::mean(self.won_cycle_micros, self.won),
            velocity_per_day: total(self.per_day())?,
        })
    }

    /// `open * won/(won + lost) * amount/won / (cycle/won days)`, the wins cancelled where they can be, rounded once.
    fn per_day(&self) -> Option<i128> {
        let day = i128::from(DAY_MICROS);
        if self.won_cycle_micros < i128::from(self.won) * day {
            return None;
        }
        let above = i128::from(self.open).checked_mul(self.won_amount)?.checked_mul(self.won.into())?;
        let below = i128::from(self.won + self.lost).checked_mul(self.won_cycle_micros)?;
        divide(above.checked_mul(day)?, below)
    }
}
