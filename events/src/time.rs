//! Instants and time zones. Code never asks a clock: it is given a [`Timestamp`].

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeZone as _, Utc};

use crate::{Invalid, text::shorten};

/// An instant in UTC, to the microsecond. In JSON RFC 3339 with six digits: `2026-03-01T09:30:00.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant: the first of 0001, far from where arithmetic on it could overflow.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// The latest instant: the last of 9999.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since 1970-01-01T00:00:00Z.
    pub fn from_micros(micros: i64) -> Result<Self, Invalid> {
        if (Self::MIN.0..=Self::MAX.0).contains(&micros) {
            return Ok(Self(micros));
        }
        Err(Invalid::new(format!("{micros} microseconds lie outside the years 1 to 9999")))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The same instant as a chrono value.
    pub fn utc(self) -> DateTime<Utc> {
        // Within MIN..=MAX, which chrono covers.
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// This instant moved by `micros`, held within MIN..=MAX.
    #[must_use]
    pub fn saturating_add_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros)).clamp(Self::MIN, Self::MAX)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros()).clamp(Self::MIN, Self::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        DateTime::parse_from_rfc3339(text).map(|time| Self::from(time.with_timezone(&Utc))).map_err(|_| {
            Invalid::new(format!(
                "`{}` is not an instant: expected RFC 3339 such as 2026-03-01T09:30:00Z",
                shorten(text)
            ))
        })
    }
}

string_type!(
    Timestamp,
    "Timestamp",
    "An instant, RFC 3339; written in UTC with six digits.",
    None,
    "2026-03-01T09:30:00.000000Z"
);

/// A time zone by its IANA name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZone(chrono_tz::Tz);

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// The instant at which `day` begins here. Where a clock change skips midnight, the first instant that exists.
    pub fn day_start(self, day: NaiveDate) -> Timestamp {
        let midnight = day.and_time(chrono::NaiveTime::MIN);
        // A gap at midnight is at most a few hours long anywhere; the first quarter hour that exists begins the day.
        (0..96)
            .map(|quarter| midnight + chrono::TimeDelta::minutes(15 * quarter))
            .find_map(|local| self.0.from_local_datetime(&local).earliest())
            .map_or(Timestamp::MIN, |start| start.with_timezone(&Utc).into())
    }

    /// The calendar day that `time` falls on here.
    pub fn day_of(self, time: Timestamp) -> NaiveDate {
        time.utc().with_timezone(&self.0).date_naive()
    }

    /// The last microsecond of `day` here.
    pub fn day_end(self, day: NaiveDate) -> Timestamp {
        day.succ_opt().map_or(Timestamp::MAX, |next| self.day_start(next).saturating_add_micros(-1))
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for TimeZone {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self).map_err(|_| {
            Invalid::new(format!("`{}` is not a time zone: expected an IANA name such as Europe/Riga", shorten(text)))
        })
    }
}

string_type!(TimeZone, "TimeZone", "A time zone by its IANA name.", None, "Europe/Riga");
