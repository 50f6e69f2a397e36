//! What history says of a stage: how many of the deals that reached it were won.

use crate::{
    closings::COUNTED,
    path::{Became, Courses, What},
    resolved::{PipelineAt, Resolved, StageAt},
    shapes::{DAY_MICROS, divide},
    step::{Change, Status, Step},
    times::Candidates,
    walk::{DealAt, in_parts},
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
        let courses = Courses::new(resolved);
        let candidates = Candidates::closed((since.saturating_add(1), i64::MAX));
        let candidates = candidates.with_steps_of(|state| state.status == Status::Won);
        let count = |chances: &mut Self, numbers| {
            resolved.every_deal(numbers, &candidates, |at| {
                if COUNTED.contains(&at.state.status) && at.state.since > since {
                    chances.add(resolved, at, &courses, in_time_micros);
                }
            });
        };
        in_parts(resolved.image.len(), count, Self::merge)
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

    fn add(&mut self, resolved: &Resolved<'_>, at: &DealAt<'_>, courses: &Courses, in_time_micros: i64) {
        let Some(course) = courses.of(at.state.path).iter().find(|course| course.stays) else { return };
        if self.0.is_empty() {
            let none = |pipeline: &PipelineAt| vec![Chance::default(); pipeline.stages.len()];
            self.0 = resolved.pipelines.iter().map(none).collect();
        }
        let Some(chances) = self.0.get_mut(course.pipeline) else { return };
        let Became { what, furthest, .. } = course.became(resolved, at.state.status);
        let won = what == What::Won;
        let mut in_time = 0;
        if won {
            in_time = Self::won_in_time(resolved, courses, at, course.pipeline, in_time_micros);
        }
        for (place, chance) in chances.iter_mut().enumerate().take(furthest + 1) {
            chance.closed += 1;
            chance.won += i64::from(won);
            chance.won_in_time += i64::from(won && place >= in_time);
        }
    }

    /// The first place that a won deal reached in time. Deals reach places in order, so it comes right after all that were
    /// reached too early.
    fn won_in_time(
        resolved: &Resolved<'_>,
        courses: &Courses,
        at: &DealAt<'_>,
        pipeline: usize,
        in_time_micros: i64,
    ) -> usize {
        let before = at.state.since.saturating_sub(in_time_micros);
        if at.created_at > before {
            return 0;
        }
        let mut won = false;
        let steps = at.steps(resolved.image);
        let then = steps.iter().rev().filter(|step| step.at <= before);
        let mut entries = then.inspect(|step| won |= step.change == Change::Won).filter_map(Step::enters);
        let path = entries.next().map_or(at.deal.path, |entry| entry.path);
        match courses.of(path).iter().find(|course| course.pipeline == pipeline) {
            None => 0,
            // It was won in this pipeline, which reaches everything, and had not been reopened yet.
            Some(course) if won && course.stays => usize::MAX,
            Some(course) => course.furthest + 1,
        }
    }

    /// Of a stage.
    pub(crate) fn of(&self, stage: &StageAt) -> Chance {
        self.0.get(stage.pipeline).and_then(|stages| stages.get(stage.place)).copied().unwrap_or_default()
    }
}
