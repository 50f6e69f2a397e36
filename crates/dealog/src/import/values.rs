//! What a cell says: times, amounts, values of fields.

use std::{fmt::Display, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use dealog_events::{FieldValue, Invalid, Money, Timestamp, parse_day, settings::FieldKind};

use super::{
    mapping::{Field, Format, Source},
    rows::Row,
};

/// Why a row is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    /// The column at fault, where it is one.
    pub(super) column: Option<String>,
    /// What stands there.
    pub(super) value: String,
    /// Why that will not do, and what would.
    pub(super) reason: String,
}

impl Bad {
    /// A cell that will not do.
    pub(super) fn cell(row: &Row<'_>, column: &str, reason: impl Display) -> Self {
        Self { column: Some(column.to_owned()), value: row.raw(column).to_owned(), reason: reason.to_string() }
    }

    /// A cell that must not be empty.
    pub(super) fn empty(row: &Row<'_>, column: &str, what: &str) -> Self {
        Self::cell(row, column, format!("it is empty, and {what}"))
    }
}

/// A text, an address or whatever else a cell can be parsed as.
pub(super) fn needed<T: FromStr<Err = Invalid>>(row: &Row<'_>, column: &str) -> Result<T, Bad> {
    row.cell(column).parse().map_err(|error| Bad::cell(row, column, error))
}

/// The same; none where the mapping names no column, or the column is empty.
pub(super) fn optional<T: FromStr<Err = Invalid>>(row: &Row<'_>, column: Option<&String>) -> Result<Option<T>, Bad> {
    column.filter(|column| row.filled(column).is_some()).map(|column| needed(row, column)).transpose()
}

/// Reads values the way the source writes them.
#[derive(Debug)]
pub(super) struct Reading<'m> {
    source: &'m Source,
    format: &'m Format,
    zone: Tz,
    since: Timestamp,
    now: Timestamp,
}

/// A time as it stands in a cell.
enum Written {
    Day(NaiveDate),
    Local(NaiveDateTime),
    Instant(DateTime<Utc>),
}

impl<'m> Reading<'m> {
    pub(super) fn new(source: &'m Source, format: &'m Format, now: Timestamp) -> Self {
        // Both names are IANA's, so what one type takes the other takes too.
        let zone = source.time_zone.to_string().parse().unwrap_or(Tz::UTC);
        Self { source, format, zone, since: source.time_zone.day_start(source.since.0), now }
    }

    /// When the pipeline, the users and all else that deals refer to began.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// The beginning of a day.
    pub(super) fn day_start(&self, day: NaiveDate) -> Timestamp {
        self.source.time_zone.day_start(day)
    }

    /// When something happened; none where the column is empty.
    pub(super) fn time(&self, row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, Bad> {
        let Some(text) = row.filled(column) else { return Ok(None) };
        let time = match self.written(text).map_err(|reason| Bad::cell(row, column, reason))? {
            Written::Day(day) => self.day_start(day),
            Written::Instant(instant) => instant.into(),
            Written::Local(local) => {
                let time = self.zone.from_local_datetime(&local).earliest().ok_or_else(|| {
                    Bad::cell(row, column, format!("a change of clocks skipped this time in {}", self.zone.name()))
                })?;
                time.with_timezone(&Utc).into()
            }
        };
        self.check(time).map_err(|reason| Bad::cell(row, column, reason))?;
        Ok(Some(time))
    }

    /// Whether something can have happened then.
    pub(super) fn check(&self, time: Timestamp) -> Result<(), String> {
        if time > self.now {
            return Err(format!("it lies ahead of now, {}", self.now));
        }
        if time < self.since {
            return Err(format!(
                "it lies before {}, when the pipeline and the users begin: set source.since in the mapping to an \
                 earlier day",
                self.source.since.0
            ));
        }
        Ok(())
    }

    /// A day; none where the column is empty.
    pub(super) fn day(&self, row: &Row<'_>, column: &str) -> Result<Option<NaiveDate>, Bad> {
        let Some(text) = row.filled(column) else { return Ok(None) };
        match self.written(text).map_err(|reason| Bad::cell(row, column, reason))? {
            Written::Day(day) => Ok(Some(day)),
            Written::Local(local) => Ok(Some(local.date())),
            Written::Instant(instant) => Ok(Some(instant.with_timezone(&self.zone).date_naive())),
        }
    }

    /// An amount; none where the column is empty.
    pub(super) fn amount(&self, row: &Row<'_>, column: &str) -> Result<Option<Money>, Bad> {
        let Some(text) = row.filled(column) else { return Ok(None) };
        let amount = Money::parse(&self.format.plain_number(text), self.source.currency);
        amount.map(Some).map_err(|error| Bad::cell(row, column, error))
    }

    /// The value of one of the company's own fields; none where the column is empty.
    pub(super) fn field(&self, row: &Row<'_>, field: &Field) -> Result<Option<FieldValue>, Bad> {
        let column = field.column.as_str();
        let Some(text) = row.filled(column) else { return Ok(None) };
        let bad = |reason: String| Bad::cell(row, column, reason);
        let as_text = |text: &str| text.parse().map(FieldValue::Text).map_err(|error| bad(format!("{error}")));
        let value = match field.kind {
            FieldKind::Text | FieldKind::Choice => as_text(text)?,
            FieldKind::Decimal => as_text(&self.format.plain_number(text))?,
            FieldKind::Date => match self.day(row, column)? {
                Some(day) => as_text(&day.to_string())?,
                None => return Ok(None),
            },
            FieldKind::Integer => match self.format.plain_number(text).parse() {
                Ok(number) => FieldValue::Integer(number),
                Err(_) => return Err(bad("it is not a whole number".into())),
            },
            FieldKind::Boolean => match text.to_lowercase().as_str() {
                "true" | "yes" | "1" => FieldValue::Boolean(true),
                "false" | "no" | "0" => FieldValue::Boolean(false),
                _ => return Err(bad("it is neither true nor false".into())),
            },
        };
        let known = |value: &FieldValue| {
            field
                .options
                .iter()
                .any(|option| matches!(value, FieldValue::Text(text) if text.as_str() == option.as_str()))
        };
        if field.kind == FieldKind::Choice && !known(&value) {
            let options: Vec<_> = field.options.iter().map(dealog_events::Text::as_str).collect();
            return Err(bad(format!("it is not one of: {}", options.join(", "))));
        }
        Ok(Some(value))
    }

    fn written(&self, text: &str) -> Result<Written, String> {
        if let Some(format) = &self.format.date {
            return DateTime::parse_from_str(text, format)
                .map(|time| Written::Instant(time.to_utc()))
                .or_else(|_| NaiveDateTime::parse_from_str(text, format).map(Written::Local))
                .or_else(|_| NaiveDate::parse_from_str(text, format).map(Written::Day))
                .map_err(|_| format!("it is not a date in the form `{format}` that the mapping gives"));
        }
        let local = |form| NaiveDateTime::parse_from_str(text, form).map(Written::Local);
        parse_day(text)
            .map(Written::Day)
            .or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| Written::Instant(time.to_utc())))
            .or_else(|_| local("%Y-%m-%dT%H:%M:%S%.f"))
            .or_else(|_| local("%Y-%m-%d %H:%M:%S%.f"))
            .or_else(|_| local("%Y-%m-%d %H:%M"))
            .map_err(|_| "it is not a date such as 2017-03-01; for another form set format.date in the mapping".into())
    }
}
