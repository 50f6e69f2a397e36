//! Win rate, cycle and velocity.

use dealog_events::Timestamp;
use dealog_projections::{
    deals::query::{Cycle, CycleFigures, Cycles, Range, Velocity, WinRate, WinRateFigures},
    figures::{DAY_MICROS, Total},
};

use super::{Ask, Deal, Status, half_up, mean_days, median_days, rate};
use crate::answers::Answer;

impl Ask<'_> {
    /// The deals won, and those lost, from one instant to another.
    fn closed_in(&self, (from, to): (i64, i64)) -> (Vec<Deal>, Vec<Deal>) {
        let with = |status: Status| {
            let mut deals = self.deals();
            deals.retain(|deal| {
                deal.status == status && deal.closing.as_ref().is_some_and(|(at, _)| from <= *at && *at < to)
            });
            deals
        };
        (with(Status::Won), with(Status::Lost))
    }

    pub(crate) fn win_rate(&self, period: &Range) -> Answer<WinRate> {
        let bounds = self.bounds(period)?;
        let (figures, groups) = self.grouped(|ask| {
            let (won, lost) = ask.closed_in(bounds);
            let (won_amount, lost_amount) = (ask.sum(&won)?, ask.sum(&lost)?);
            let (won, lost) = (count(&won), count(&lost));
            let by_count = rate(won, won + lost);
            let by_value = rate(won_amount.minor, won_amount.minor + lost_amount.minor);
            Ok(WinRateFigures { won, lost, won_amount, lost_amount, by_count, by_value })
        })?;
        Ok(WinRate { seen: self.seen(), from: time(bounds.0), to: time(bounds.1), figures, groups })
    }

    pub(crate) fn cycle(&self, period: &Range) -> Answer<Cycle> {
        let bounds = self.bounds(period)?;
        let cycle = |deals: &[Deal]| CycleFigures {
            deals: count(deals),
            days_mean: mean_days(&lengths(deals)),
            days_median: median_days(&lengths(deals)),
        };
        let (figures, groups) = self.grouped(|ask| {
            let (won, lost) = ask.closed_in(bounds);
            Ok(Cycles { won: cycle(&won), lost: cycle(&lost) })
        })?;
        Ok(Cycle { seen: self.seen(), from: time(bounds.0), to: time(bounds.1), figures, groups })
    }

    pub(crate) fn velocity(&self, period: &Range) -> Answer<Velocity> {
        let bounds = self.bounds(period)?;
        let (won, lost) = self.closed_in(bounds);
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
            from: time(bounds.0),
            to: time(bounds.1),
            open,
            win_rate: rate(wins, closed),
            won_amount_mean: (wins > 0).then(|| total(half_up(amount.minor.into(), wins.into()))),
            won_cycle_days_mean: mean_days(&lengths(&won)),
            velocity_per_day: per_day.map(total),
        })
    }
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn count(deals: &[Deal]) -> i64 {
    i64::try_from(deals.len()).unwrap()
}

/// From creation to closing.
fn lengths(deals: &[Deal]) -> Vec<i64> {
    deals.iter().map(|deal| deal.closing.as_ref().unwrap().0 - deal.created).collect()
}
