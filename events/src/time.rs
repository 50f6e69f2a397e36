//! Instants and time zones. Code never asks a clock: it is given a [`Timestamp`].

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone as _, Utc};

use serde::{Deserialize, Deserializer, de::Error as _};

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
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
            Invalid::new(format!(
                "`{}` is not an instant: expected RFC 3339 such as 2026-03-01T09:30:00Z",
                shorten(text)
            ))
        })?;
        Self::from_micros(time.timestamp_micros())
    }
}

string_type!(
    Timestamp,
    "Timestamp",
    "An instant, RFC 3339; written in UTC with six digits.",
    None,
    "2026-03-01T09:30:00.000000Z"
);

/// A day as it is written here: exactly `2026-03-01`. What chrono reads besides, such as `+2026-3-1`, is refused: of two
/// ways to write a day one is a mistake.
pub fn parse_day(text: &str) -> Result<NaiveDate, Invalid> {
    let day = text.parse::<NaiveDate>().ok().filter(|day| text.len() == 10 && day.to_string() == text);
    day.ok_or_else(|| Invalid::new(format!("`{}` is not a day: expected one such as 2026-03-01", shorten(text))))
}

/// Such a day, or none, where it is deserialized.
pub fn optional_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    text.map(|text| parse_day(&text).map_err(D::Error::custom)).transpose()
}

/// An instant, or a local day: `2026-03-01T09:30:00Z` or `2026-03-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An instant.
    Instant(Timestamp),
    /// A day in the company's time zone.
    Day(NaiveDate),
}

impl When {
    /// As a bound: a day begins at its first instant.
    pub fn start(self, zone: TimeZone) -> Timestamp {
        match self {
            Self::Instant(time) => time,
            Self::Day(day) => zone.day_start(day),
        }
    }

    /// As an instant at which something is: a day means its end.
    pub fn end(self, zone: TimeZone) -> Timestamp {
        match self {
            Self::Instant(time) => time,
            Self::Day(day) => zone.day_end(day),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(time) => time.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}

impl FromStr for When {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Days are compared as texts in places: those of other years would not stand in their order.
        if let Some(day) = parse_day(text).ok().filter(|day| day.year() >= 1) {
            return Ok(Self::Day(day));
        }
        text.parse().map(Self::Instant).map_err(|_| {
            let found = shorten(text);
            Invalid::new(format!(
                "`{found}` is neither a day such as 2026-03-01 nor an instant such as 2026-03-01T09:30:00Z"
            ))
        })
    }
}

string_type!(When, "When", "An instant (RFC 3339), or a day in the company's time zone.", None, "2026-03-01");

/// A time zone by its IANA name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZone(chrono_tz::Tz);

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// The instant at which `day` begins here. Where a clock change skips midnight, the first instant that exists; where
    /// it skips the whole day, the beginning of the next.
    pub fn day_start(self, day: NaiveDate) -> Timestamp {
        // Local times that a clock change skips are at most a day and lie in one piece: the end of the gap is found by
        // halving.
        const GAP_SECONDS_MAX: i64 = 24 * 3_600;
        let after_midnight = |seconds| {
            let local = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::seconds(seconds))?;
            self.0.from_local_datetime(&local).earliest()
        };
        let start = after_midnight(0).or_else(|| {
            let (mut skipped, mut exists) = (0, GAP_SECONDS_MAX);
            while skipped + 1 < exists {
                let middle = i64::midpoint(skipped, exists);
                if after_midnight(middle).is_some() { exists = middle } else { skipped = middle }
            }
            after_midnight(exists)
        });
        // Only days far outside the years 1 to 9999 begin at no instant that can be told.
        let outside = if day.year() < 1 { Timestamp::MIN } else { Timestamp::MAX };
        start.map_or(outside, |start| start.with_timezone(&Utc).into())
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
