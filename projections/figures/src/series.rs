//! A figure over time: at the end of each interval, or for each period.

use dealog_events::{Timestamp, When};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    calendar::Interval,
    counted::counted,
    group::{Grouped, Groups, Tally},
    image::Image,
    question::{Question, Range, Unanswerable},
    resolved::{Resolved, timestamp},
    shapes::Seen,
    step::{Change, Replay, Status},
    walk::DealAt,
};

/// Intervals of one answer, at most.
const INTERVALS_MAX: usize = 1_000;

/// A figure over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Series<F> {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// What time is divided into.
    pub series: Interval,
    /// The figure of each interval, in order.
    pub points: Vec<Point<F>>,
}

/// A figure of one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Point<F> {
    /// The interval: `2026-W09`, `2026-03`, `2026-Q1` or `2026`.
    pub interval: String,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it, or after the instant asked about if that is earlier.
    pub to: Timestamp,
    /// The figure.
    #[serde(flatten)]
    pub grouped: Grouped<F>,
}

/// A stretch of the time that a series goes over.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    interval: String,
    from: i64,
    to: i64,
}

impl Stretch {
    /// The interval as a period.
    fn range(&self) -> Range {
        let instant = |at: i64| Some(When::Instant(timestamp(at)));
        Range { from: instant(self.from), to: instant(self.to) }
    }

    /// The question as of the interval's end.
    pub(crate) fn at_end(&self, question: &Question) -> Question {
        Question { as_of: Some(When::Instant(timestamp(self.to - 1))), ..question.clone() }
    }

    pub(crate) fn point<F>(self, grouped: Grouped<F>) -> Point<F> {
        Point { interval: self.interval, from: timestamp(self.from), to: timestamp(self.to), grouped }
    }
}

/// The intervals of a period, whole ones but for the last, which the instant asked about may cut short.
pub(crate) fn stretches(
    resolved: &Resolved<'_>,
    period: &Range,
    interval: Interval,
) -> Result<Vec<Stretch>, Unanswerable> {
    let (from, to) = resolved.period(period)?;
    let mut first = interval.first_day(resolved.zone.day_of(timestamp(from)));
    let mut stretches = Vec::new();
    loop {
        let next = interval.next(first);
        let (begins, ends) = (resolved.zone.day_start(first).micros(), resolved.zone.day_start(next).micros());
        if begins >= to {
            return Ok(stretches);
        }
        if stretches.len() == INTERVALS_MAX {
            let message = format!("the period has more than {INTERVALS_MAX} of these intervals: ask for longer ones");
            return Err(Unanswerable::field("series", message));
        }
        let ends = ends.min(resolved.cut.at.saturating_add(1));
        stretches.push(Stretch { interval: interval.name(first), from: begins, to: ends });
        first = next;
    }
}

/// A figure as of the end of each interval of a period, one after another.
pub fn snapshots<F>(
    image: &Image,
    question: &Question,
    period: &Range,
    interval: Interval,
    figure: impl Fn(&Question) -> Result<Grouped<F>, Unanswerable>,
) -> Result<Series<F>, Unanswerable> {
    of_each(image, question, period, interval, |stretch| figure(&stretch.at_end(question)))
}

/// A figure for each interval of a period as known at the instant asked about, one after another.
pub fn periods<F>(
    image: &Image,
    question: &Question,
    period: &Range,
    interval: Interval,
    figure: impl Fn(&Range) -> Result<Grouped<F>, Unanswerable>,
) -> Result<Series<F>, Unanswerable> {
    of_each(image, question, period, interval, |stretch| figure(&stretch.range()))
}

fn of_each<F>(
    image: &Image,
    question: &Question,
    period: &Range,
    series: Interval,
    figure: impl Fn(&Stretch) -> Result<Grouped<F>, Unanswerable>,
) -> Result<Series<F>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let points = stretches(&resolved, period, series)?.into_iter().map(|stretch| {
        let grouped = figure(&stretch)?;
        Ok(stretch.point(grouped))
    });
    Ok(Series { seen: resolved.seen(), series, points: points.collect::<Result<_, _>>()? })
}

/// What is counted of all deals at each of several instants, all known at the same position, in one pass over the deals.
pub(crate) fn at_ends<'i, T: Tally + Clone>(
    ends: &[Resolved<'i>],
    image: &'i Image,
    add: impl Fn(&mut Groups<T>, &Resolved<'i>, &DealAt<'_>),
) -> Vec<Groups<T>> {
    let mut groups: Vec<Groups<T>> = ends.iter().map(|_| Groups::default()).collect();
    // A deal that stays closed is the same at every later end, as long as days are: it is added once, here.
    let same_days = ends.windows(2).all(|pair| matches!(pair, [one, other] if one.zone == other.zone));
    let mut from_then_on: Vec<Groups<T>> = ends.iter().map(|_| Groups::default()).collect();
    for (number, deal) in image.deals.iter().enumerate() {
        let all_steps = image.steps.of(number);
        let begun = ends.partition_point(|end| end.cut.at < deal.created_at);
        // What was undone or corrected at one end still stood at those before.
        let is_plain = !all_steps.iter().any(|step| step.change.is_of_others());
        let (mut passed, mut replay) = (0, Replay::of(deal.begun()));
        let pairs = ends.iter().zip(groups.iter_mut().zip(&mut from_then_on)).skip(begun);
        for (end, (groups, from_then_on)) in pairs {
            if deal.position > end.cut.position {
                continue;
            }
            let steps = end.cut.of(all_steps);
            if is_plain {
                steps.iter().skip(passed).for_each(|step| replay.apply(step));
            } else {
                replay = Replay::of(deal.begun());
                counted(deal, steps).iter().for_each(|step| replay.apply(step));
            }
            passed = steps.len();
            let state = replay.state();
            let closed = state.status != Status::Open;
            let at = &DealAt::new((number, deal), deal.created_at, passed, state, end.cut.at);
            if !end.passes.deal(end, at) {
                continue;
            }
            let mut later = all_steps.iter().skip(passed);
            if closed && same_days && is_plain && !later.any(|step| matches!(step.change, Change::Reopened(_))) {
                add(from_then_on, end, at);
                break;
            }
            add(groups, end, at);
        }
    }
    let mut closed = Groups::default();
    for (groups, from_then_on) in groups.iter_mut().zip(from_then_on) {
        closed.merge(from_then_on);
        groups.merge(closed.clone());
    }
    groups
}
