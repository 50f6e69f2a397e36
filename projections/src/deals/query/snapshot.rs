//! One snapshot of the read models, and what every question needs to know of it first.

use chrono::NaiveDate;
use dealog_events::{Currency, Position, TimeZone, Timestamp};
use sqlx::{Any, Transaction};

use super::{
    keys::{Keys, MonthOf},
    scope::{Filter, When},
    sql::Sql,
};
use crate::{Database, ProjectionError, checkpoint, database::Reading, deals::clock, figures::Seen};

/// A snapshot at a position, asked about an instant.
pub(super) struct Snapshot<'a> {
    pub(super) db: Reading<Transaction<'a, Any>>,
    pub(super) position: Position,
    /// The instant asked about.
    pub(super) at: Timestamp,
    pub(super) zone: TimeZone,
    currency: Option<Currency>,
}

/// The newest instant of the log; and a row of the settings, which there may be none of.
type TimesAndSettings = (i64, Option<String>, Option<String>, Option<i64>, Option<i64>);

impl<'a> Snapshot<'a> {
    pub(super) async fn take(
        database: &'a Database,
        least: Position,
        as_of: Option<When>,
        now: Timestamp,
    ) -> Result<Self, ProjectionError> {
        let mut db = database.read().await?;
        let found = checkpoint(&mut db, crate::deals::NAME).await?;
        let understood = found.filter(|found| found.version == crate::deals::VERSION);
        let position = understood.ok_or(ProjectionError::NotBuilt)?.position;
        if position < least {
            return Err(ProjectionError::Behind { position, least });
        }
        // As one statement: what is asked most is asked about one deal, and takes few more than this. What has no clock has
        // folded nothing, and has no settings either.
        let mut sql = Sql::default();
        sql.push(
            "SELECT clock.newest, reporting_currency, time_zone, valid_from, valid_to FROM clock LEFT JOIN settings ON 1 = 1 \
             ORDER BY position",
        );
        let rows: Vec<TimesAndSettings> = sql.fetch_all(&mut db).await?;
        let now = clock::now(rows.first().map(|(newest, ..)| *newest), now)?;
        let rows = rows.into_iter().filter_map(|(_, currency, zone, from, to)| Some((currency, zone, from?, to?)));
        let rows: Vec<_> = rows.collect();
        // Before a setting was first made, its first value counts, as with any other definition.
        let first_currency = rows.iter().find_map(|(currency, ..)| currency.clone());
        let first_zone = rows.iter().find_map(|(_, zone, ..)| zone.clone());
        let mut history = Vec::with_capacity(rows.len());
        for (currency, zone, from, to) in rows {
            let zone = zone.or_else(|| first_zone.clone());
            let zone: TimeZone =
                zone.as_deref().map_or(Ok(TimeZone::UTC), str::parse).map_err(|error| damaged(&error))?;
            history.push((currency.or_else(|| first_currency.clone()), zone, from, to));
        }

        // A past figure does not move when the company does: days and currency are those of then. A day ends by the last
        // zone that had begun by that end.
        let at = as_of.map_or(now, |when| {
            let mut ends = history.iter().rev().map(|(_, zone, from, _)| (when.end(*zone), *from));
            ends.find(|(end, from)| *from <= end.micros()).map_or(when.end(TimeZone::UTC), |(end, _)| end)
        });
        let then = history.iter().find(|(.., from, to)| *from <= at.micros() && at.micros() < *to);
        let zone = then.map_or(TimeZone::UTC, |(_, zone, ..)| *zone);
        let currency = then.and_then(|(currency, ..)| currency.as_deref()).map(str::parse).transpose();
        let currency = currency.map_err(|error| damaged(&error))?;
        Ok(Self { db, position, at, zone, currency })
    }

    /// The currency of the figures.
    pub(super) fn currency(&self) -> Result<Currency, ProjectionError> {
        self.currency.ok_or_else(|| ProjectionError::Query {
            field: "currency",
            message: "no reporting currency is set: set one with PATCH /v1/settings".into(),
        })
    }

    /// The local day of the instant asked about.
    pub(super) fn today(&self) -> NaiveDate {
        self.zone.day_of(self.at)
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { position: self.position, as_of: self.at }
    }

    /// Begins a statement with the deals that had one of `statuses` at the instant asked about: `WITH d AS (...)`.
    pub(super) fn deals(&self, statuses: &[&str], filter: &Filter) -> Sql {
        self.grouped(statuses, filter, &Keys::NONE, MonthOf::Instant("s.created_at"))
    }

    /// The same, each deal with the keys of its group.
    pub(super) fn grouped(&self, statuses: &[&str], filter: &Filter, keys: &Keys, month: MonthOf) -> Sql {
        let mut sql = Sql::default();
        sql.push("WITH d AS (SELECT s.*");
        keys.push(&mut sql, "s", month);
        sql.push(" FROM spans s");
        keys.push_join(&mut sql, "s");
        sql.push(" WHERE s.status IN (");
        for (index, status) in statuses.iter().enumerate() {
            sql.push(if index == 0 { "" } else { ", " }).text(*status);
        }
        sql.push(") AND s.valid_from <= ").time(self.at).push(" AND s.valid_to > ").time(self.at);
        filter.push(&mut sql, "s", self.at, self.zone);
        sql.push(")");
        sql
    }

    /// Refuses to add up amounts of another currency than the reporting one: there is no rate to convert them with.
    /// `found` is what [`CURRENCIES`] selects.
    pub(super) fn check_currencies(&self, found: &Currencies) -> Result<(), ProjectionError> {
        let to = self.currency()?.code();
        match [&found.0, &found.1].into_iter().flatten().find(|found| *found != to) {
            None => Ok(()),
            Some(from) => Err(ProjectionError::NoRate { from: from.clone(), to: to.to_owned(), day: self.today() }),
        }
    }
}

/// The first and the last currency, by the alphabet, of the amounts of deals `d`: where both are the reporting currency, so
/// are all between.
pub(super) const CURRENCIES: &str = "MIN(d.currency), MAX(d.currency)";

/// What [`CURRENCIES`] selects.
pub(super) type Currencies = (Option<String>, Option<String>);

pub(super) fn damaged(error: &dyn std::fmt::Display) -> ProjectionError {
    ProjectionError::Damaged(error.to_string())
}
