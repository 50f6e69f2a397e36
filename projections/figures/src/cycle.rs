//! Cycle: how long the deals closed in a period took.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, PeriodAnswer, Question, Unanswerable, closings, group::Tally, question::Range, resolved::Resolved,
    shapes::Days, step::Status, walk::DealAt,
};

/// Cycles by outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cycles {
    /// Deals won in the period.
    pub won: CycleFigures,
    /// Deals lost in the period.
    pub lost: CycleFigures,
}

/// Days from created to closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CycleFigures {
    /// Deals.
    pub deals: i64,
    /// Their mean.
    pub days_mean: Option<Days>,
    /// Their median.
    pub days_median: Option<Days>,
}

/// How long the deals closed in a period took from their creation on.
pub fn cycle(image: &Image, question: &Question, period: &Range) -> Result<PeriodAnswer<Cycles>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (from, to) = resolved.period(period)?;
    let groups = closings::tally(
        &resolved,
        closings::COUNTED,
        (from, to),
        |tally: &mut Took, DealAt { created_at, state, .. }| {
            let took = if state.status == Status::Won { &mut tally.won_micros } else { &mut tally.lost_micros };
            took.push(state.since - created_at);
        },
    );
    let grouped = groups.figures(&resolved, |Took { won_micros, lost_micros }| {
        Ok(Cycles { won: figures(won_micros), lost: figures(lost_micros) })
    })?;
    Ok(PeriodAnswer::new(&resolved, (from, to), grouped))
}

#[derive(Default)]
struct Took {
    won_micros: Vec<i64>,
    lost_micros: Vec<i64>,
}

impl Tally for Took {
    fn size(&self) -> i64 {
        // Vectors are never longer than isize::MAX.
        (self.won_micros.len() + self.lost_micros.len()).try_into().unwrap_or(i64::MAX)
    }

    fn merge(&mut self, mut other: Self) {
        self.won_micros.append(&mut other.won_micros);
        self.lost_micros.append(&mut other.lost_micros);
    }
}

fn figures(mut micros: Vec<i64>) -> CycleFigures {
    let deals = micros.len().try_into().unwrap_or(i64::MAX);
    let sum = micros.iter().copied().map(i128::from).sum();
    CycleFigures { deals, days_mean: Days::mean(sum, deals), days_median: Days::median(&mut micros) }
}
