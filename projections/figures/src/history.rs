//! What history says of a stage: how many of the deals that reached it were won.

use crate::{
    closings::COUNTED,
    course::{Left, visits},
    resolved::{DealAt, PipelineAt, Resolved, StageAt, in_parts},
    shapes::{DAY_MICROS, divide},
    step::Status,
};

/// Days that history looks back.
const DAYS: i64 = 365;

/// The deals closed in the year before that had reached a stage.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chance {
    closed: i64,
    won: i64,
    /// Won, as soon after reaching the stage as was asked for.
    won_in_time: i64,
}

impl Chance {
    /// An amount times (won + 1) / (closed + 2), rounded half up.
    pub(crate) fn of_amount(self, minor: i64) -> i128 {
        times(minor, self.won, self.closed)
    }

    /// The same, of those won in time.
    pub(crate) fn of_amount_in_time(self, minor: i64) -> i128 {
        times(minor, self.won_in_time, self.closed)
    }
}

fn times(minor: i64, won: i64, closed: i64) -> i128 {
    divide(i128::from(minor) * i128::from(won + 1), i128::from(closed + 2)).unwrap_or(0)
}

/// By pipeline and place of the stage.
#[derive(Default)]
pub(crate) struct Chances(Vec<Vec<Chance>>);

impl Chances {
    /// Over all deals, whatever the question's filters; a deal was won in time if that was less than `in_time_micros` after it had
    /// reached the stage.
    pub(crate) fn new(resolved: &Resolved<'_>, in_time_micros: i64) -> Self {
        let since = resolved.cut.at.saturating_sub(DAYS * DAY_MICROS);
        let of = |numbers| {
            let none = |pipeline: &PipelineAt| vec![Chance::default(); pipeline.stages.len()];
            let mut chances = Self(resolved.pipelines.iter().map(none).collect());
            let mut reached = Vec::new();
            resolved.every_deal(numbers, |at| {
                if COUNTED.contains(&at.state.status) && at.state.closed_at > since {
                    chances.add(resolved, at, in_time_micros, &mut reached);
                }
            });
            chances
        };
        in_parts(resolved.image.len(), of, Self::merge)
    }

    fn merge(&mut self, other: Self) {
        self.0.resize(self.0.len().max(other.0.len()), Vec::new());
        for (stages, more) in self.0.iter_mut().zip(other.0) {
            stages.resize(stages.len().max(more.len()), Chance::default());
            for (chance, more) in stages.iter_mut().zip(more) {
                chance.closed += more.closed;
                chance.won += more.won;
                chance.won_in_time += more.won_in_time;
            }
        }
    }

    /// `reached` is of no meaning; it saves the memory of one deal for the next.
    fn add(&mut self, resolved: &Resolved<'_>, at: DealAt<'_>, in_time_micros: i64, reached: &mut Vec<Option<i64>>) {
        let Some(pipeline) = resolved.stage(at.state.stage).map(|stage| stage.pipeline) else { return };
        let Some(chances) = self.0.get_mut(pipeline) else { return };
        reached.clear();
        reached.resize(chances.len(), None);
        let mut reach = |stages: usize, at: i64| {
            for first in reached.iter_mut().take(stages) {
                first.get_or_insert(at);
            }
        };
        visits(at.deal, at.steps, |visit| {
            if let Some(stage) = resolved.stage(visit.stage).filter(|stage| stage.pipeline == pipeline) {
                reach(stage.place + 1, visit.entered_at);
                if let Some((at, Left::Won)) = visit.left {
                    reach(usize::MAX, at);
                }
            }
        });
        let won = at.state.status == Status::Won;
        for (chance, reached) in chances.iter_mut().zip(reached) {
            if let Some(reached) = *reached {
                chance.closed += 1;
                chance.won += i64::from(won);
                chance.won_in_time += i64::from(won && at.state.closed_at - reached < in_time_micros);
            }
        }
    }

    /// Of a stage.
    pub(crate) fn of(&self, stage: StageAt) -> Chance {
        self.0.get(stage.pipeline).and_then(|stages| stages.get(stage.place)).copied().unwrap_or_default()
    }
}
