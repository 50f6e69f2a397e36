//! Win rate, cycle and velocity.

use dealog_events::Timestamp;
use dealog_projections::{
    deals::query::{Cycle, CycleFigures, Range, Velocity, WinRate},
    figures::{DAY_MICROS, Total},
};

use super::{Ask, Deal, Status, half_up, mean_days, median_days, rate};
use crate::answers::Answer;

/// Deals closed in a period.
struct Closed {
    from: Timestamp,
    to: Timestamp,
    won: Vec<Deal>,
    lost: Vec<Deal>,
}

impl Ask<'_> {
    fn closed_in(&self, period: &Range) -> Answer<Closed> {
        let (from, to) = self.bounds(period)?;
        let with = |status: Status| {
            let mut deals = self.deals();
            deals.retain(|deal| {
                deal.status == status && deal.closing.as_ref().is_some_and(|(at, _)| from <= *at && *at < to)
            });
            deals
        };
        let time = |micros| Timestamp::from_micros(micros).unwrap();
        Ok(Closed { from: time(from), to: time(to), won: with(Status::Won), lost: with(Status::Lost) })
    }

    pub(crate) fn win_rate(&self, period: &Range) -> Answer<WinRate> {
        let Closed { from, to, won, lost } = self.closed_in(period)?;
        let (won_amount, lost_amount) = (self.sum(&won)?, self.sum(&lost)?);
        let (won, lost) = (count(&won), count(&lost));
        Ok(WinRate {
            seen: self.seen(),
            from,
            to,
            won,
            lost,
            won_amount,
            lost_amount,
            by_count: rate(won, won + lost),
            by_value: rate(won_amount.minor, won_amount.minor + lost_amount.minor),
        })
    }

    pub(crate) fn cycle(&self, period: &Range) -> Answer<Cycle> {
        let Closed { from, to, won, lost } = self.closed_in(period)?;
        let figures = |deals: &[Deal]| CycleFigures {
            deals: count(deals),
            days_mean: mean_days(&lengths(deals)),
            days_median: median_days(&lengths(deals)),
        };
        Ok(Cycle { seen: self.seen(), from, to, won: figures(&won), lost: figures(&lost) })
    }

    pub(crate) fn velocity(&self, period: &Range) -> Answer<Velocity> {
        let Closed { from, to, won, lost } = self.closed_in(period)?;
        let open = count(&self.open());
        let amount = self.sum(&won)?;
        let cycle: i128 = lengths(&won).into_iter().map(i128::from).sum();
        let (wins, closed) = (count(&won), count(&won) + count(&lost));
        // open * (wins / closed) * (amount / wins) / (cycle / wins / day)
        let per_day = (wins > 0 && cycle > 0).then(|| {
            let above = i128::from(open)
                * i128::from(wins)
                * i128::from(amount.minor)
                * i128::from(wins)
                * i128::from(DAY_MICROS);
            half_up(above, i128::from(closed) * i128::from(wins) * cycle)
        });
        let total = |minor| Total { minor, ..amount };
        Ok(Velocity {
            seen: self.seen(),
            from,
            to,
            open,
            win_rate: rate(wins, closed),
            won_amount_mean: (wins > 0).then(|| total(half_up(amount.minor.into(), wins.into()))),
            won_cycle_days_mean: mean_days(&lengths(&won)),
            velocity_per_day: per_day.map(total),
        })
    }
}

fn count(deals: &[Deal]) -> i64 {
    i64::try_from(deals.len()).unwrap()
}

/// From creation to closing.
fn lengths(deals: &[Deal]) -> Vec<i64> {
    deals.iter().map(|deal| deal.closing.as_ref().unwrap().0 - deal.created).collect()
}
