//! Figures over the deals closed in a period: win rate, cycle, velocity.

use dealog_events::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Range, Scope, Views,
    snapshot::{CURRENCIES, Currencies, Snapshot},
    sql::{Sql, select_micros, sum_micros},
};
use crate::{
    ProjectionError,
    deals::tables::status,
    figures::{DAY_MICROS, Days, Rate, Seen, Total},
};

/// How many of the closed deals were won.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WinRate {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The period's first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// Deals won, with their last closing in the period.
    pub won: i64,
    /// Deals lost, with their last closing in the period.
    pub lost: i64,
    /// What the won ones were won at.
    pub won_amount: Total,
    /// What the lost ones were worth, where they had an amount.
    pub lost_amount: Total,
    /// won / (won + lost).
    pub by_count: Option<Rate>,
    /// The won amount / (the won amount + the lost amount).
    pub by_value: Option<Rate>,
}

/// How long deals took from creation to closing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cycle {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The period's first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
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

/// How much the pipeline yields a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Velocity {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The period's first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// Open deals at the instant asked about.
    pub open: i64,
    /// Of the deals closed in the period, the part that was won.
    pub win_rate: Option<Rate>,
    /// What a won deal of the period was won at, the mean.
    pub won_amount_mean: Option<Total>,
    /// Days from created to won, the mean over the won deals of the period.
    pub won_cycle_days_mean: Option<Days>,
    /// open x win rate x won amount / won cycle days, of the unrounded figures.
    pub velocity_per_day: Option<Total>,
}

/// Days that these figures look back where no period is named.
const PERIOD_DAYS: i64 = 365;

/// Closed deals of one status.
#[derive(Default)]
struct Closed {
    deals: i64,
    amount: i64,
    currencies: Currencies,
    cycle_micros: i128,
    middle_micros: Option<(i64, i64)>,
}

struct Closings {
    from: Timestamp,
    to: Timestamp,
    won: Closed,
    lost: Closed,
}

impl Views {
    /// Win rate: ANALYTICS "Funnel".
    pub async fn win_rate(&self, scope: &Scope, period: &Range) -> Result<WinRate, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let Closings { from, to, won, lost } = snapshot.closings(scope, period).await?;
        let (won_amount, lost_amount) = (snapshot.amount(&won)?, snapshot.amount(&lost)?);
        Ok(WinRate {
            seen: snapshot.seen(),
            from,
            to,
            won: won.deals,
            lost: lost.deals,
            won_amount,
            lost_amount,
            by_count: Rate::of(won.deals, won.deals + lost.deals),
            by_value: Rate::of(won.amount, won.amount + lost.amount),
        })
    }

    /// Cycle: ANALYTICS "Funnel".
    pub async fn cycle(&self, scope: &Scope, period: &Range) -> Result<Cycle, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let Closings { from, to, won, lost } = snapshot.closings(scope, period).await?;
        let figures = |closed: Closed| CycleFigures {
            deals: closed.deals,
            days_mean: Days::mean(closed.cycle_micros, closed.deals),
            days_median: closed.middle_micros.and_then(|(lower, upper)| Days::median(lower, upper)),
        };
        Ok(Cycle { seen: snapshot.seen(), from, to, won: figures(won), lost: figures(lost) })
    }

    /// Velocity: ANALYTICS "Funnel".
    pub async fn velocity(&self, scope: &Scope, period: &Range) -> Result<Velocity, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let Closings { from, to, won, lost } = snapshot.closings(scope, period).await?;
        let currency = snapshot.amount(&won)?.currency;
        let mut sql = snapshot.deals(&[status::OPEN], &scope.filter);
        sql.push(" SELECT COUNT(*) FROM d");
        let open = sql.fetch_all::<(i64,)>(&mut snapshot.db).await?.first().map_or(0, |row| row.0);
        let total = |minor: Option<i64>| minor.map(|minor| Total { minor, currency });
        Ok(Velocity {
            seen: snapshot.seen(),
            from,
            to,
            open,
            win_rate: Rate::of(won.deals, won.deals + lost.deals),
            won_amount_mean: total(divide(won.amount.into(), won.deals.into())),
            won_cycle_days_mean: Days::mean(won.cycle_micros, won.deals),
            velocity_per_day: total(velocity(open, &won, lost.deals)),
        })
    }
}

/// `open * won/(won + lost) * amount/won / (cycle/won days)`, the wins cancelled where they can be, rounded once.
fn velocity(open: i64, won: &Closed, lost: i64) -> Option<i64> {
    let above = i128::from(open)
        .checked_mul(won.amount.into())?
        .checked_mul(won.deals.into())?
        .checked_mul(DAY_MICROS.into())?;
    divide(above, i128::from(won.deals + lost).checked_mul(won.cycle_micros)?)
}

/// Rounded half up; none where there is nothing to divide by.
fn divide(above: i128, below: i128) -> Option<i64> {
    if below <= 0 {
        return None;
    }
    i64::try_from((above + below / 2) / below).ok()
}

/// Status, deals, amount, cycle (whole seconds, microseconds beyond), the first and the last currency.
type ClosedRow = (String, i64, i64, i64, i64, Option<String>, Option<String>);

impl Snapshot<'_> {
    /// What closed deals were worth together. Figures that speak of no amounts do not ask, and need no rate.
    fn amount(&self, closed: &Closed) -> Result<Total, ProjectionError> {
        let currency = self.currency()?;
        self.check_currencies(&closed.currencies)?;
        Ok(Total { minor: closed.amount, currency })
    }

    async fn closings(&mut self, scope: &Scope, period: &Range) -> Result<Closings, ProjectionError> {
        let (from, to) = self.period(period, PERIOD_DAYS)?;
        let mut sql = self.deals(&[status::WON, status::LOST], &scope.filter);
        sql.push(" SELECT d.status, COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), ");
        sql.push(&select_micros("d.closed_at - d.created_at")).push(", ").push(CURRENCIES).push(" FROM d");
        push_closed_in(&mut sql, from, to);
        sql.push(" GROUP BY d.status");
        let (mut won, mut lost) = (Closed::default(), Closed::default());
        for (status, deals, amount, seconds, rest, first, last) in sql.fetch_all::<ClosedRow>(&mut self.db).await? {
            let cycle_micros = sum_micros(seconds, rest);
            *(if status == status::WON { &mut won } else { &mut lost }) =
                Closed { deals, amount, currencies: (first, last), cycle_micros, middle_micros: None };
        }

        let mut sql = self.deals(&[status::WON, status::LOST], &scope.filter);
        sql.push(
            ", o AS (SELECT d.status, d.closed_at - d.created_at AS cycle, ROW_NUMBER() OVER (PARTITION BY d.status \
             ORDER BY d.closed_at - d.created_at) AS place, COUNT(*) OVER (PARTITION BY d.status) AS deals FROM d",
        );
        push_closed_in(&mut sql, from, to);
        sql.push(
            ") SELECT status, MIN(cycle), MAX(cycle) FROM o WHERE place IN ((deals + 1) / 2, (deals + 2) / 2) GROUP BY \
             status",
        );
        for (status, lower, upper) in sql.fetch_all::<(String, i64, i64)>(&mut self.db).await? {
            (if status == status::WON { &mut won } else { &mut lost }).middle_micros = Some((lower, upper));
        }
        Ok(Closings { from, to, won, lost })
    }
}

fn push_closed_in(sql: &mut Sql, from: Timestamp, to: Timestamp) {
    sql.push(" WHERE d.closed_at >= ").time(from).push(" AND d.closed_at < ").time(to);
}
