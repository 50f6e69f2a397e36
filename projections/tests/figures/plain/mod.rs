//! The figures computed plainly: a fold of the events, in the order of their positions, with `occurred_at` up to an
//! instant. No SQL and no code of the projection, only the shapes of its answers; written from the definitions, so that
//! it can disagree. Everything is an integer.

mod closed;
mod fold;
mod forecast;
mod funnel;
mod groups;
mod period;
mod pipeline;
mod question;

use dealog_projections::figures::{DAY_MICROS, Days, Rate};

pub(crate) use fold::{Deal, Log, Status};
pub(crate) use question::Ask;

use crate::answers::{Answers, Question};

/// All answers, from the events alone.
pub(crate) fn answers(log: &Log, question: &Question) -> Answers {
    let ask = Ask::new(log, question);
    Answers {
        pipeline: ask.pipeline(),
        board: ask.board(),
        funnel: ask.funnel(),
        period: ask.period(&question.period),
        time_in_stage: Ok(ask.time_in_stage()),
        win_rate: ask.win_rate(&question.period),
        cycle: ask.cycle(&question.period),
        velocity: ask.velocity(&question.period),
        forecast: ask.forecast(&question.forecast),
    }
}

/// `above / below`, rounded half up.
fn half_up(above: i128, below: i128) -> i64 {
    i64::try_from((2 * above + below).div_euclid(2 * below)).unwrap()
}

fn rate(part: i64, whole: i64) -> Option<Rate> {
    (whole > 0).then(|| Rate { basis_points: half_up(i128::from(part) * 10_000, whole.into()) })
}

/// The mean of some lengths of time.
fn mean_days(micros: &[i64]) -> Option<Days> {
    let sum: i128 = micros.iter().copied().map(i128::from).sum();
    let count = micros.len() as i128;
    (count > 0).then(|| Days { hundredths: half_up(sum * 100, count * i128::from(DAY_MICROS)) })
}

/// The middle one of some lengths of time, or the mean of the two in the middle.
fn median_days(micros: &[i64]) -> Option<Days> {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => mean_days(&[sorted[middle]]),
        _ => mean_days(&[sorted[middle - 1], sorted[middle]]),
    }
}

/// An amount times a chance in basis points, rounded half up.
fn weigh(amount: i64, chance: i64) -> i64 {
    half_up(i128::from(amount) * i128::from(chance), 10_000)
}
