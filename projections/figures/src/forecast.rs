//! The forecast: what a period will bring.

use chrono::{Datelike as _, Months, NaiveDate};
use dealog_events::{When, pipeline::ForecastCategory};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, Question, Unanswerable,
    behind::ForecastNumber,
    group::{Grouped, Groups, Tally, time_of},
    history::Chances,
    question::Range,
    resolved::{Resolved, StageAt, weighted},
    shapes::{Seen, Total},
    step::{State, Status},
    times::Candidates,
    walk::DealAt,
};

/// A forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Forecast {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// What it is for.
    pub period: ForecastPeriod,
    /// The figures. Of intervals of time, an overdue deal keeps the one that it was expected in.
    #[serde(flatten)]
    pub grouped: Grouped<ForecastFigures>,
}

impl AsRef<Seen> for Forecast {
    fn as_ref(&self) -> &Seen {
        &self.seen
    }
}

/// The local days that a forecast is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForecastPeriod {
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last.
    pub to: NaiveDate,
}

/// What a period will bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForecastFigures {
    /// Deals won with their closing in the period, by the instant asked about.
    pub booked: Booked,
    /// All open deals.
    pub open: ForecastPart,
    /// Open deals expected to close in the period, but for those that are overdue while it runs.
    pub expected: ForecastPart,
    /// All open deals expected to close before the local day, where the instant asked about lies in the period; else none.
    pub overdue: ForecastPart,
    /// Booked, and the weighted amounts of expected and overdue deals.
    pub booked_and_expected: Total,
    /// Expected and overdue deals by forecast category: the deal's own, else its stage's.
    pub categories: Categories,
    /// The amounts of expected and overdue deals, each times (won + 1) / (closed + 2), rounded half up: of the deals of its pipeline
    /// that were closed in the 365 days before and had reached its stage, whatever the filters.
    pub historical: Total,
    /// The same, where only deals count as won that were won within as many days of reaching the stage as the period has left.
    pub historical_in_period: Total,
    /// Open deals without an expected close: in no part of the forecast.
    pub unscheduled: ForecastPart,
}

/// Deals won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Booked {
    /// How many.
    pub deals: i64,
    /// What they were won at.
    pub amount: Total,
}

/// Open deals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForecastPart {
    /// How many.
    pub deals: i64,
    /// Of these, how many have no amount.
    pub without_amount: i64,
    /// The sum of their amounts.
    pub amount: Total,
    /// The sum of amount times probability, rounded half up for each deal. The probability is the deal's own, else its stage's.
    pub weighted: Total,
}

/// The forecast by category. Each level holds the ones before it: the amounts are sums, not weighted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Categories {
    /// Booked and commit.
    pub commit: CategoryFigures,
    /// That and best case.
    pub best_case: CategoryFigures,
    /// That and pipeline.
    pub pipeline: CategoryFigures,
    /// Deals that are in no level.
    pub omitted: ForecastPart,
}

/// A forecast category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CategoryFigures {
    /// The deals of this category.
    pub part: ForecastPart,
    /// The amount of this level.
    pub level: Total,
}

/// What a period will bring.
pub fn forecast(image: &Image, question: &Question, period: &Range) -> Result<Forecast, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let parts = Parts::new(&resolved, period)?;
    let add = |groups: &mut Groups<Sums>, at: &DealAt<'_>| {
        if let Some(part) = parts.of(&resolved, at) {
            groups.add(&resolved, at, time_of(at.state), |sums| sums.add(&resolved, at, part, &parts.chances));
        }
    };
    let groups = resolved.tally(&Candidates::open_or_closed((parts.from, parts.to)), add, Groups::merge);
    let grouped = groups.figures(&resolved, |sums| sums.figures(&resolved))?;
    resolved.check_currencies()?;
    Ok(Forecast { seen: resolved.seen(), period: parts.days, grouped })
}

/// What deals are part of, in a forecast for a period.
pub(crate) struct Parts {
    days: ForecastPeriod,
    from: i64,
    to: i64,
    /// Whether the instant asked about lies in the period.
    runs: bool,
    chances: Chances,
}

/// What a deal is part of.
#[derive(Clone, Copy)]
enum Of<'r> {
    Booked,
    Open { expected: bool, overdue: bool, stage: &'r StageAt },
}

impl Parts {
    pub(crate) fn new(resolved: &Resolved<'_>, period: &Range) -> Result<Self, Unanswerable> {
        let days = days(resolved, period)?;
        let (from, to) = (resolved.zone.day_start(days.from).micros(), resolved.zone.day_start(days.to).micros());
        let left_micros = (to - from.max(resolved.cut.at)).max(0);
        let runs = (from..to).contains(&resolved.cut.at);
        Ok(Self { days, from, to, runs, chances: Chances::new(resolved, left_micros) })
    }

    fn of<'r>(&self, resolved: &'r Resolved<'_>, &DealAt { state, .. }: &DealAt<'_>) -> Option<Of<'r>> {
        let stage = resolved.wanted_stage(state.stage)?;
        match state.status {
            Status::Won if (self.from..self.to).contains(&state.since) => Some(Of::Booked),
            Status::Open => {
                let overdue = self.runs && state.is_overdue(resolved.today);
                let in_period = state.expected_close.is_some_and(|day| self.days.from <= day && day < self.days.to);
                Some(Of::Open { expected: in_period && !overdue, overdue, stage })
            }
            _ => None,
        }
    }

    /// What a deal with an amount of so many minor units adds to a number.
    pub(crate) fn adds(
        &self,
        resolved: &Resolved<'_>,
        at: &DealAt<'_>,
        number: ForecastNumber,
        minor: i64,
    ) -> Option<i128> {
        let (expected, overdue, stage) = match (self.of(resolved, at)?, number) {
            (Of::Booked, ForecastNumber::Booked) | (Of::Open { .. }, ForecastNumber::Open) => {
                return Some(minor.into());
            }
            (Of::Booked, _) | (Of::Open { .. }, ForecastNumber::Booked) => return None,
            (Of::Open { expected, overdue, stage }, _) => (expected, overdue, stage),
        };
        let chance = self.chances.of(stage);
        let category = |wanted| (expected || overdue) && at.state.category_in(stage) == wanted;
        let (is_in, adds) = match number {
            ForecastNumber::Booked | ForecastNumber::Open => (true, minor.into()),
            ForecastNumber::Expected => (expected, minor.into()),
            ForecastNumber::Overdue => (overdue, minor.into()),
            ForecastNumber::Unscheduled => (at.state.expected_close.is_none(), minor.into()),
            ForecastNumber::Commit => (category(ForecastCategory::Commit), minor.into()),
            ForecastNumber::BestCase => (category(ForecastCategory::BestCase), minor.into()),
            ForecastNumber::Pipeline => (category(ForecastCategory::Pipeline), minor.into()),
            ForecastNumber::Omitted => (category(ForecastCategory::Omitted), minor.into()),
            ForecastNumber::Historical => (expected || overdue, chance.of_amount(minor)),
            ForecastNumber::HistoricalInPeriod => (expected || overdue, chance.of_amount_in_time(minor)),
        };
        is_in.then_some(adds)
    }
}

/// The days asked about; by default the local month of the instant asked about.
fn days(resolved: &Resolved<'_>, period: &Range) -> Result<ForecastPeriod, Unanswerable> {
    let day = |when: Option<When>| match when? {
        When::Day(day) => Some(day),
        When::Instant(at) => Some(resolved.zone.day_of(at)),
    };
    let month = |day: NaiveDate| day.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
    let first = resolved.today.with_day(1).unwrap_or(resolved.today);
    let (from, to) = match (day(period.from), day(period.to)) {
        (Some(from), Some(to)) => (from, to),
        (Some(from), None) => (from, month(from)),
        (None, Some(to)) => (first, to),
        (None, None) => (first, month(first)),
    };
    if from >= to {
        return Err(Unanswerable::field("to", format!("the period ends on {to}, not after it begins on {from}")));
    }
    Ok(ForecastPeriod { from, to })
}

#[derive(Default)]
struct Sums {
    booked_deals: i64,
    booked: i128,
    open: Part,
    expected: Part,
    overdue: Part,
    unscheduled: Part,
    omitted: Part,
    pipeline: Part,
    best_case: Part,
    commit: Part,
    historical: i128,
    historical_in_period: i128,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    deals: i64,
    without_amount: i64,
    amount: i128,
    weighted: i128,
}

impl Part {
    fn merge(&mut self, other: Self) {
        self.deals += other.deals;
        self.without_amount += other.without_amount;
        self.amount += other.amount;
        self.weighted += other.weighted;
    }

    fn figures(self, resolved: &Resolved<'_>) -> Result<ForecastPart, Unanswerable> {
        Ok(ForecastPart {
            deals: self.deals,
            without_amount: self.without_amount,
            amount: resolved.total(self.amount)?,
            weighted: resolved.total(self.weighted)?,
        })
    }
}

impl Tally for Sums {
    fn size(&self) -> i64 {
        self.booked_deals + self.open.deals
    }

    fn merge(&mut self, other: Self) {
        self.booked_deals += other.booked_deals;
        self.booked += other.booked;
        self.historical += other.historical;
        self.historical_in_period += other.historical_in_period;
        for (part, more) in [
            (&mut self.open, other.open),
            (&mut self.expected, other.expected),
            (&mut self.overdue, other.overdue),
            (&mut self.unscheduled, other.unscheduled),
            (&mut self.omitted, other.omitted),
            (&mut self.pipeline, other.pipeline),
            (&mut self.best_case, other.best_case),
            (&mut self.commit, other.commit),
        ] {
            part.merge(more);
        }
    }
}

impl Sums {
    fn book(&mut self, resolved: &Resolved<'_>, state: &State) {
        self.booked_deals += 1;
        self.booked += state.amount.map_or(0, |amount| i128::from(resolved.minor(amount)));
    }

    fn add(&mut self, resolved: &Resolved<'_>, at: &DealAt<'_>, of: Of<'_>, chances: &Chances) {
        let state = at.state;
        let Of::Open { expected, overdue, stage } = of else { return self.book(resolved, state) };
        let minor = state.amount.map(|amount| resolved.minor(amount));
        let one = Part {
            deals: 1,
            without_amount: i64::from(minor.is_none()),
            amount: minor.map_or(0, i128::from),
            weighted: minor.map_or(0, |minor| weighted(minor, state.chance(stage)).into()),
        };
        self.open.merge(one);
        if state.expected_close.is_none() {
            self.unscheduled.merge(one);
        }
        if expected {
            self.expected.merge(one);
        }
        if overdue {
            self.overdue.merge(one);
        }
        if expected || overdue {
            let category = match state.category_in(stage) {
                ForecastCategory::Omitted => &mut self.omitted,
                ForecastCategory::Pipeline => &mut self.pipeline,
                ForecastCategory::BestCase => &mut self.best_case,
                ForecastCategory::Commit => &mut self.commit,
            };
            category.merge(one);
            let chance = chances.of(stage);
            self.historical += chance.of_amount(minor.unwrap_or(0));
            self.historical_in_period += chance.of_amount_in_time(minor.unwrap_or(0));
        }
    }

    fn figures(&self, resolved: &Resolved<'_>) -> Result<ForecastFigures, Unanswerable> {
        let mut amount = self.booked;
        let mut level = |part: Part| {
            amount += part.amount;
            Ok(CategoryFigures { part: part.figures(resolved)?, level: resolved.total(amount)? })
        };
        let (commit, best_case) = (level(self.commit)?, level(self.best_case)?);
        let pipeline = level(self.pipeline)?;
        let brought = self.booked + self.expected.weighted + self.overdue.weighted;
        Ok(ForecastFigures {
            booked: Booked { deals: self.booked_deals, amount: resolved.total(self.booked)? },
            open: self.open.figures(resolved)?,
            expected: self.expected.figures(resolved)?,
            overdue: self.overdue.figures(resolved)?,
            booked_and_expected: resolved.total(brought)?,
            categories: Categories { commit, best_case, pipeline, omitted: self.omitted.figures(resolved)? },
            historical: resolved.total(self.historical)?,
            historical_in_period: resolved.total(self.historical_in_period)?,
            unscheduled: self.unscheduled.figures(resolved)?,
        })
    }
}
