//! The forecast: what a period will bring.

use chrono::{Datelike, NaiveDate};
use dealog_events::{Currency, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Range, Scope, Views, When,
    snapshot::{CURRENCIES, Snapshot},
    sql::Sql,
    stages::{PipelineAt, push_stages},
};
use crate::{
    ProjectionError,
    deals::tables::status,
    figures::{Seen, Total},
};

/// The local days that a forecast is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForecastPeriod {
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last.
    pub to: NaiveDate,
}

/// A forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Forecast {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// What it is for.
    pub period: ForecastPeriod,
    /// Deals won with their closing in the period, by the instant asked about.
    pub booked: Booked,
    /// All open deals.
    pub open: ForecastPart,
    /// Open deals expected to close in the period, and overdue ones where the instant asked about lies in the period.
    pub expected: ForecastPart,
    /// `expected` by forecast category: the deal's own, else its stage's.
    pub categories: Categories,
    /// `expected` weighted with the chances that history gives: (won + 1) / (closed + 2), in basis points, over deals of
    /// the pipeline that were closed in the 365 days before and had reached the deal's stage.
    pub historical: Total,
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
    /// The sum of amount times chance, rounded half up for each deal; the chance is the deal's own, else its stage's.
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

impl ForecastPart {
    fn zero(currency: Currency) -> Self {
        let nothing = Total { minor: 0, currency };
        Self { deals: 0, without_amount: 0, amount: nothing, weighted: nothing }
    }

    fn add(&mut self, other: &Self) {
        self.deals += other.deals;
        self.without_amount += other.without_amount;
        self.amount.minor += other.amount.minor;
        self.weighted.minor += other.weighted.minor;
    }
}

/// The open deals of one category that are, or are not, expected in the period; or that are not scheduled.
struct Group {
    expected: bool,
    scheduled: bool,
    category: String,
    part: ForecastPart,
    historical: i64,
}

impl Views {
    /// The forecast: ANALYTICS "Forecast", its first three kinds. Without a period, the local month of the instant asked
    /// about.
    pub async fn forecast(&self, scope: &Scope, period: &Range) -> Result<Forecast, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let currency = snapshot.currency()?;
        let period = snapshot.forecast_period(period)?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        let booked = snapshot.booked(scope, period, currency).await?;
        let groups = snapshot.open_groups(scope, period, &pipelines, currency).await?;

        let sum = |counts: &dyn Fn(&Group) -> bool| {
            let mut sum = ForecastPart::zero(currency);
            groups.iter().filter(|group| counts(group)).for_each(|group| sum.add(&group.part));
            sum
        };
        let expected = |group: &&Group| group.expected;
        let historical = groups.iter().filter(expected).map(|group| group.historical).sum();
        Ok(Forecast {
            seen: snapshot.seen(),
            period,
            booked,
            open: sum(&|_| true),
            expected: sum(&|group| group.expected),
            categories: categories(booked.amount, &|category| {
                sum(&|group| group.expected && group.category == category)
            }),
            historical: Total { minor: historical, currency },
            unscheduled: sum(&|group| !group.scheduled),
        })
    }
}

fn categories(booked: Total, part: &dyn Fn(&str) -> ForecastPart) -> Categories {
    let on_top_of = |below: Total, category: &str| {
        let part = part(category);
        CategoryFigures { part, level: Total { minor: below.minor + part.amount.minor, ..below } }
    };
    let commit = on_top_of(booked, "commit");
    let best_case = on_top_of(commit.level, "best_case");
    let pipeline = on_top_of(best_case.level, "pipeline");
    Categories { commit, best_case, pipeline, omitted: part("omitted") }
}

/// Expected, scheduled, category, deals, without amount, amount, weighted, weighted by history, currencies.
type GroupRow = (i64, i64, String, i64, i64, i64, i64, i64, Option<String>, Option<String>);

impl Snapshot<'_> {
    /// A forecast is for whole local days.
    fn forecast_period(&self, period: &Range) -> Result<ForecastPeriod, ProjectionError> {
        let day = |when: When| match when {
            When::Day(day) => day,
            When::Instant(time) => self.zone.day_of(time),
        };
        let month = self.today().with_day(1).unwrap_or_else(|| self.today());
        let from = period.from.map_or(month, day);
        let to = period.to.map(day).or_else(|| from.checked_add_months(chrono::Months::new(1))).unwrap_or(from);
        if from >= to {
            return Err(ProjectionError::Query {
                field: "to",
                message: format!("the period must end after it begins, and {to} is not after {from}"),
            });
        }
        Ok(ForecastPeriod { from, to })
    }

    async fn booked(
        &mut self,
        scope: &Scope,
        period: ForecastPeriod,
        currency: Currency,
    ) -> Result<Booked, ProjectionError> {
        let mut sql = self.deals(&[status::WON], &scope.filter);
        sql.push(" SELECT COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), ");
        sql.push(CURRENCIES).push(" FROM d WHERE d.closed_at >= ").time(self.zone.day_start(period.from));
        sql.push(" AND d.closed_at < ").time(self.zone.day_start(period.to));
        let rows: Vec<(i64, i64, Option<String>, Option<String>)> = sql.fetch_all(&mut self.db).await?;
        let (deals, minor, first, last) = rows.into_iter().next().unwrap_or_default();
        self.check_currencies(&(first, last))?;
        Ok(Booked { deals, amount: Total { minor, currency } })
    }

    async fn open_groups(
        &mut self,
        scope: &Scope,
        period: ForecastPeriod,
        pipelines: &[PipelineAt],
        currency: Currency,
    ) -> Result<Vec<Group>, ProjectionError> {
        let chances = self.historical_chances(pipelines).await?;
        let mut sql = self.deals(&[status::OPEN], &scope.filter);
        push_stages(&mut sql, pipelines);
        sql.push(", h (pipeline, stage, chance) AS (VALUES ('', '', ").integer(0).push(")");
        for ((pipeline, stage), chance) in chances {
            sql.push(", (").text(pipeline).push(", ").text(stage).push(", ").integer(chance).push(")");
        }
        sql.push("), x AS (SELECT d.amount, d.currency, d.probability, ");
        self.push_expected(&mut sql, period);
        sql.push(
            " AS expected, CASE WHEN d.expected_close IS NULL THEN 0 ELSE 1 END AS scheduled, \
             COALESCE(d.forecast_category, st.forecast_category) AS category, COALESCE(d.probability, st.probability) AS \
             chance, h.chance AS historical FROM d JOIN st ON st.pipeline = d.pipeline AND st.stage = d.stage JOIN h ON \
             h.pipeline = d.pipeline AND h.stage = d.stage) SELECT expected, scheduled, category, COUNT(*), CAST(SUM(CASE WHEN d.amount IS NULL THEN 1 ELSE 0 END) AS \
             BIGINT), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), CAST(COALESCE(SUM((d.amount * chance + 5000) / 10000), \
             0) AS BIGINT), CAST(COALESCE(SUM((d.amount * historical + 5000) / 10000), 0) AS BIGINT), ",
        );
        sql.push(CURRENCIES).push(" FROM x d GROUP BY expected, scheduled, category");

        let mut groups = Vec::new();
        for row in sql.fetch_all::<GroupRow>(&mut self.db).await? {
            let (expected, scheduled, category, deals, without_amount, amount, weighted, historical, first, last) = row;
            self.check_currencies(&(first, last))?;
            let part = ForecastPart {
                deals,
                without_amount,
                amount: Total { minor: amount, currency },
                weighted: Total { minor: weighted, currency },
            };
            groups.push(Group { expected: expected == 1, scheduled: scheduled == 1, category, part, historical });
        }
        Ok(groups)
    }

    /// 1 for a deal that is expected to close in the period, or is overdue while the period runs.
    fn push_expected(&self, sql: &mut Sql, period: ForecastPeriod) {
        sql.push("CASE WHEN d.expected_close >= ").text(period.from.to_string());
        sql.push(" AND d.expected_close < ").text(period.to.to_string()).push(" THEN 1");
        let runs: std::ops::Range<Timestamp> = self.zone.day_start(period.from)..self.zone.day_start(period.to);
        if runs.contains(&self.at) {
            sql.push(" WHEN d.expected_close < ").text(self.today().to_string()).push(" THEN 1");
        }
        sql.push(" ELSE 0 END");
    }
}
