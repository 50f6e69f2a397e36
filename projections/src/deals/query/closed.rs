//! Figures over the deals closed in a period: win rate, cycle, velocity.

use dealog_events::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Group, Grouping, Range, Scope, Views,
    groups::{Groups, Keyed},
    keys::{Keys, MonthOf},
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
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: WinRateFigures,
    /// Groups of them, where groups are asked for.
    pub groups: Vec<Group<WinRateFigures>>,
}

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
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: Cycles,
    /// Groups of them, where groups are asked for.
    pub groups: Vec<Group<Cycles>>,
}

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

/// Closed deals of one group.
#[derive(Default)]
struct Closings {
    won: Closed,
    lost: Closed,
}

impl Closings {
    fn with(&mut self, status: &str) -> &mut Closed {
        if status == status::WON { &mut self.won } else { &mut self.lost }
    }
}

/// From the first instant to the first one after it.
type Period = std::ops::Range<Timestamp>;

impl Views {
    /// Win rate: ANALYTICS "Funnel".
    pub async fn win_rate(&self, scope: &Scope, period: &Range, by: &Grouping) -> Result<WinRate, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let (from, to) = snapshot.period(period, PERIOD_DAYS)?;
        let total = snapshot.closings(scope, from..to, &Keys::NONE).await?.total();
        let figures = snapshot.win_rate(total)?;
        let mut groups = Vec::new();
        if let Some(keys) = snapshot.keys(by).await? {
            let closings = snapshot.closings(scope, from..to, &keys).await?;
            let figures = closings.map(|closings| snapshot.win_rate(closings))?;
            groups = snapshot.named(&keys, figures).await?;
        }
        Ok(WinRate { seen: snapshot.seen(), from, to, figures, groups })
    }

    /// Cycle: ANALYTICS "Funnel".
    pub async fn cycle(&self, scope: &Scope, period: &Range, by: &Grouping) -> Result<Cycle, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let (from, to) = snapshot.period(period, PERIOD_DAYS)?;
        let figures = |closed: Closed| CycleFigures {
            deals: closed.deals,
            days_mean: Days::mean(closed.cycle_micros, closed.deals),
            days_median: closed.middle_micros.and_then(|(lower, upper)| Days::median(lower, upper)),
        };
        let figures = |Closings { won, lost }| Cycles { won: figures(won), lost: figures(lost) };
        let total = snapshot.closings(scope, from..to, &Keys::NONE).await?.total();
        let mut groups = Vec::new();
        if let Some(keys) = snapshot.keys(by).await? {
            let closings = snapshot.closings(scope, from..to, &keys).await?;
            groups = snapshot.named(&keys, closings.map(|closings| Ok(figures(closings)))?).await?;
        }
        Ok(Cycle { seen: snapshot.seen(), from, to, figures: figures(total), groups })
    }

    /// Velocity: ANALYTICS "Funnel".
    pub async fn velocity(&self, scope: &Scope, period: &Range) -> Result<Velocity, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let (from, to) = snapshot.period(period, PERIOD_DAYS)?;
        let Closings { won, lost } = snapshot.closings(scope, from..to, &Keys::NONE).await?.total();
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

    fn win_rate(&self, Closings { won, lost }: Closings) -> Result<WinRateFigures, ProjectionError> {
        Ok(WinRateFigures {
            won: won.deals,
            lost: lost.deals,
            won_amount: self.amount(&won)?,
            lost_amount: self.amount(&lost)?,
            by_count: Rate::of(won.deals, won.deals + lost.deals),
            by_value: Rate::of(won.amount, won.amount + lost.amount),
        })
    }

    async fn closings(
        &mut self,
        scope: &Scope,
        period: Period,
        keys: &Keys,
    ) -> Result<Groups<Closings>, ProjectionError> {
        let (by, closed) = (keys.columns(), MonthOf::Instant("s.closed_at"));
        let mut sql = self.grouped(&[status::WON, status::LOST], &scope.filter, keys, closed);
        sql.push(" SELECT d.status, COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), ");
        sql.push(&select_micros("d.closed_at - d.created_at")).push(", ").push(CURRENCIES);
        sql.push(by).push(" FROM d");
        push_closed_in(&mut sql, &period);
        sql.push(" GROUP BY d.status").push(by);
        let mut middles = self.grouped(&[status::WON, status::LOST], &scope.filter, keys, closed);
        middles.push(&format!(
            ", o AS (SELECT d.status{by}, d.closed_at - d.created_at AS cycle, \
             ROW_NUMBER() OVER (PARTITION BY d.status{by} ORDER BY d.closed_at - d.created_at) AS place, \
             COUNT(*) OVER (PARTITION BY d.status{by}) AS deals FROM d",
        ));
        push_closed_in(&mut middles, &period);
        middles.push(&format!(
            ") SELECT status, MIN(cycle), MAX(cycle){by} FROM o \
             WHERE place IN ((deals + 1) / 2, (deals + 2) / 2) GROUP BY status{by}",
        ));

        let mut groups = Groups::<Closings>::of(keys);
        for Keyed { key, row } in sql.fetch_all::<Keyed<ClosedRow>>(&mut self.db).await? {
            let (status, deals, amount, seconds, rest, first, last) = row;
            let cycle_micros = sum_micros(seconds, rest);
            *groups.at(key)?.with(&status) =
                Closed { deals, amount, currencies: (first, last), cycle_micros, middle_micros: None };
        }
        for Keyed { key, row } in middles.fetch_all::<Keyed<(String, i64, i64)>>(&mut self.db).await? {
            let (status, lower, upper) = row;
            groups.at(key)?.with(&status).middle_micros = Some((lower, upper));
        }
        Ok(groups)
    }
}

fn push_closed_in(sql: &mut Sql, period: &Period) {
    sql.push(" WHERE d.closed_at >= ").time(period.start).push(" AND d.closed_at < ").time(period.end);
}
