//! The forecast: what a period will bring.

use chrono::{Datelike, NaiveDate};
use dealog_events::{Currency, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Filter, Group, Grouping, Range, Scope, Views, When,
    funnel::Chances,
    groups::{Groups, Keyed},
    keys::{Keys, MonthOf},
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
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: ForecastFigures,
    /// Groups of them, where groups are asked for. Of months, an overdue deal keeps the one that it was expected in.
    pub groups: Vec<Group<ForecastFigures>>,
}

/// What a period will bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForecastFigures {
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
struct Alike {
    expected: bool,
    scheduled: bool,
    category: String,
    part: ForecastPart,
    historical: i64,
}

/// What a forecast is made for.
#[derive(Clone, Copy)]
struct Question<'a> {
    filter: &'a Filter,
    period: ForecastPeriod,
    pipelines: &'a [PipelineAt],
    chances: &'a Chances,
}

/// What the deals of one group come to.
#[derive(Default)]
struct Sums {
    booked: Option<Booked>,
    open: Vec<Alike>,
}

impl Views {
    /// The forecast: ANALYTICS "Forecast", its first three kinds. Without a period, the local month of the instant asked
    /// about.
    pub async fn forecast(&self, scope: &Scope, period: &Range, by: &Grouping) -> Result<Forecast, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let currency = snapshot.currency()?;
        let period = snapshot.forecast_period(period)?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        let chances = snapshot.historical_chances(&pipelines).await?;
        let question = Question { filter: &scope.filter, period, pipelines: &pipelines, chances: &chances };
        let total = snapshot.forecast_sums(question, &Keys::NONE).await?.total();
        let mut groups = Vec::new();
        if let Some(keys) = snapshot.keys(by).await? {
            let sums = snapshot.forecast_sums(question, &keys).await?;
            groups = snapshot.named(&keys, sums.map(|sums| Ok(figures(&sums, currency)))?).await?;
        }
        Ok(Forecast { seen: snapshot.seen(), period, figures: figures(&total, currency), groups })
    }
}

fn figures(sums: &Sums, currency: Currency) -> ForecastFigures {
    let sum = |counts: &dyn Fn(&Alike) -> bool| {
        let mut sum = ForecastPart::zero(currency);
        sums.open.iter().filter(|alike| counts(alike)).for_each(|alike| sum.add(&alike.part));
        sum
    };
    let nothing = Booked { deals: 0, amount: Total { minor: 0, currency } };
    let booked = sums.booked.unwrap_or(nothing);
    let historical = sums.open.iter().filter(|alike| alike.expected).map(|alike| alike.historical).sum();
    ForecastFigures {
        booked,
        open: sum(&|_| true),
        expected: sum(&|alike| alike.expected),
        categories: categories(booked.amount, &|category| sum(&|alike| alike.expected && alike.category == category)),
        historical: Total { minor: historical, currency },
        unscheduled: sum(&|alike| !alike.scheduled),
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

/// Deals, amount, currencies.
type BookedRow = (i64, i64, Option<String>, Option<String>);

/// Expected, scheduled, category, deals, without amount, amount, weighted, weighted by history, currencies.
type OpenRow = (i64, i64, String, i64, i64, i64, i64, i64, Option<String>, Option<String>);

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

    async fn forecast_sums(&mut self, question: Question<'_>, keys: &Keys) -> Result<Groups<Sums>, ProjectionError> {
        let Question { filter, period, pipelines, chances } = question;
        let mut groups = Groups::of(keys);
        self.booked(filter, period, keys, &mut groups).await?;
        let mut sql = self.grouped(&[status::OPEN], filter, keys, MonthOf::Day("s.expected_close"));
        push_stages(&mut sql, pipelines);
        self.push_open(&mut sql, period, chances, keys.columns());
        let currency = self.currency()?;
        for Keyed { key, row } in sql.fetch_all::<Keyed<OpenRow>>(&mut self.db).await? {
            let (expected, scheduled, category, deals, without_amount, amount, weighted, historical, first, last) = row;
            self.check_currencies(&(first, last))?;
            let part = ForecastPart {
                deals,
                without_amount,
                amount: Total { minor: amount, currency },
                weighted: Total { minor: weighted, currency },
            };
            let (expected, scheduled) = (expected == 1, scheduled == 1);
            groups.at(key)?.open.push(Alike { expected, scheduled, category, part, historical });
        }
        Ok(groups)
    }

    async fn booked(
        &mut self,
        filter: &Filter,
        period: ForecastPeriod,
        keys: &Keys,
        groups: &mut Groups<Sums>,
    ) -> Result<(), ProjectionError> {
        let currency = self.currency()?;
        let mut sql = self.grouped(&[status::WON], filter, keys, MonthOf::Instant("s.closed_at"));
        sql.push(" SELECT COUNT(*), CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), ").push(CURRENCIES);
        sql.push(keys.columns()).push(" FROM d WHERE d.closed_at >= ").time(self.zone.day_start(period.from));
        sql.push(" AND d.closed_at < ")
            .time(self.zone.day_start(period.to))
            .push(" GROUP BY d.status")
            .push(keys.columns());
        for Keyed { key, row } in sql.fetch_all::<Keyed<BookedRow>>(&mut self.db).await? {
            let (deals, minor, first, last) = row;
            self.check_currencies(&(first, last))?;
            groups.at(key)?.booked = Some(Booked { deals, amount: Total { minor, currency } });
        }
        Ok(())
    }

    /// The open deals `d`, with their stages in `st`, by all that forecasts tell apart and the columns `by`.
    fn push_open(&self, sql: &mut Sql, period: ForecastPeriod, chances: &Chances, by: &str) {
        sql.push(", h (pipeline, stage, chance) AS (VALUES ('', '', ").integer(0).push(")");
        for ((pipeline, stage), chance) in chances {
            sql.push(", (").text(pipeline.clone()).push(", ").text(stage.clone()).push(", ").integer(*chance).push(")");
        }
        sql.push(&format!("), x AS (SELECT d.amount, d.currency, d.probability{by}, "));
        self.push_expected(sql, period);
        sql.push(
            " AS expected, CASE WHEN d.expected_close IS NULL THEN 0 ELSE 1 END AS scheduled, \
             COALESCE(d.forecast_category, st.forecast_category) AS category, \
             COALESCE(d.probability, st.probability) AS chance, h.chance AS historical FROM d \
             JOIN st ON st.pipeline = d.pipeline AND st.stage = d.stage \
             JOIN h ON h.pipeline = d.pipeline AND h.stage = d.stage) \
             SELECT expected, scheduled, category, COUNT(*), \
             CAST(SUM(CASE WHEN d.amount IS NULL THEN 1 ELSE 0 END) AS BIGINT), \
             CAST(COALESCE(SUM(d.amount), 0) AS BIGINT), \
             CAST(COALESCE(SUM((d.amount * chance + 5000) / 10000), 0) AS BIGINT), \
             CAST(COALESCE(SUM((d.amount * historical + 5000) / 10000), 0) AS BIGINT), ",
        );
        sql.push(CURRENCIES);
        sql.push(&format!("{by} FROM x d GROUP BY expected, scheduled, category{by}"));
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
