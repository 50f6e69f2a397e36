//! Win rate: how many of the deals closed in a period were won.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, PeriodAnswer, Question, Unanswerable, closings,
    group::Tally,
    question::Range,
    resolved::Resolved,
    shapes::{Rate, Total},
    step::Status,
    walk::DealAt,
};

/// Deals won and lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WinRateFigures {
    /// Deals won, with their last closing in the period.
    pub won: i64,
    /// Deals lost, with their last closing in the period.
    pub lost: i64,
    /// What the won ones were won at.
    pub won_amount: Total,
    /// What the lost ones were worth, where they had an amount.
    pub lost_amount: Total,
    /// Deals lost that had no amount: `by_value` knows nothing of them.
    pub lost_without_amount: i64,
    /// won / (won + lost).
    pub by_count: Option<Rate>,
    /// The won amount / (the won amount + the lost amount).
    pub by_value: Option<Rate>,
}

/// How many of the deals closed in a period were won, by count and by value.
pub fn win_rate(
    image: &Image,
    question: &Question,
    period: &Range,
) -> Result<PeriodAnswer<WinRateFigures>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (from, to) = resolved.period(period)?;
    let groups =
        closings::tally(&resolved, closings::COUNTED, (from, to), |tally: &mut Closed, at| tally.add(&resolved, at));
    let grouped = groups.figures(&resolved, |tally| tally.figures(&resolved))?;
    resolved.check_currencies()?;
    Ok(PeriodAnswer::new(&resolved, (from, to), grouped))
}

#[derive(Default)]
struct Closed {
    won: i64,
    lost: i64,
    lost_without_amount: i64,
    won_amount: i128,
    lost_amount: i128,
}

impl Tally for Closed {
    fn size(&self) -> i64 {
        self.won + self.lost
    }

    fn merge(&mut self, other: Self) {
        self.won += other.won;
        self.lost += other.lost;
        self.lost_without_amount += other.lost_without_amount;
        self.won_amount += other.won_amount;
        self.lost_amount += other.lost_amount;
    }
}

impl Closed {
    fn add(&mut self, resolved: &Resolved<'_>, &DealAt { state, .. }: &DealAt<'_>) {
        let minor = state.amount.map(|amount| i128::from(resolved.minor(amount)));
        if state.status == Status::Won {
            self.won += 1;
            self.won_amount += minor.unwrap_or(0);
        } else {
            self.lost += 1;
            self.lost_amount += minor.unwrap_or(0);
            self.lost_without_amount += i64::from(minor.is_none());
        }
    }

    fn figures(&self, resolved: &Resolved<'_>) -> Result<WinRateFigures, Unanswerable> {
        Ok(WinRateFigures {
            won: self.won,
            lost: self.lost,
            won_amount: resolved.total(self.won_amount)?,
            lost_amount: resolved.total(self.lost_amount)?,
            lost_without_amount: self.lost_without_amount,
            by_count: Rate::of(self.won, self.won + self.lost),
            by_value: Rate::of(self.won_amount, self.won_amount + self.lost_amount),
        })
    }
}
