//! Weeks, months, quarters and years in the company's time zone.

use chrono::{Datelike as _, Days, Months, NaiveDate};
use dealog_events::{TimeZone, Timestamp};
use serde::{Deserialize, Serialize};

/// What time is divided into. Weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// From Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// Three months: January to March is the first.
    Quarter,
    /// A calendar year.
    Year,
}

impl Interval {
    /// As it is written in questions and answers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The first day of the interval that a day lies in.
    pub fn first_day(self, day: NaiveDate) -> NaiveDate {
        let first = match self {
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
            Self::Quarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        };
        first.unwrap_or(day)
    }

    /// The first day of the next interval, given the first of one.
    pub fn next(self, first: NaiveDate) -> NaiveDate {
        let next = match self {
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Quarter => first.checked_add_months(Months::new(3)),
            Self::Year => first.checked_add_months(Months::new(12)),
        };
        next.unwrap_or(NaiveDate::MAX)
    }

    /// How an interval is written, given its first day: `2026-W09`, `2026-03`, `2026-Q1`, `2026`.
    pub fn name(self, first: NaiveDate) -> String {
        match self {
            Self::Week => format!("{}-W{:02}", first.iso_week().year(), first.iso_week().week()),
            Self::Month => first.format("%Y-%m").to_string(),
            Self::Quarter => format!("{}-Q{}", first.year(), first.month0() / 3 + 1),
            Self::Year => first.year().to_string(),
        }
    }
}

/// The intervals of a stretch of time, for finding that of an instant without asking the time zone each time.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    /// First days, and the instants at which they begin.
    starts: Vec<(i64, NaiveDate)>,
}

impl Calendar {
    /// The intervals from that of `from` to that of `to`.
    pub(crate) fn of(interval: Interval, zone: TimeZone, from: i64, to: i64) -> Self {
        let day = |micros: i64| {
            zone.day_of(Timestamp::MIN.saturating_add_micros(micros.saturating_sub(Timestamp::MIN.micros())))
        };
        let mut first = interval.first_day(day(from));
        let mut starts = vec![(i64::MIN, first)];
        while let next = interval.next(first)
            && next != NaiveDate::MAX
            && zone.day_start(next).micros() <= to
        {
            starts.push((zone.day_start(next).micros(), next));
            first = next;
        }
        Self { starts }
    }

    /// The first day of the interval that an instant of the stretch lies in.
    pub(crate) fn first_day(&self, at: i64) -> NaiveDate {
        let begun = self.starts.partition_point(|(start, _)| *start <= at);
        self.starts.get(begun.saturating_sub(1)).map_or(NaiveDate::MIN, |(_, first)| *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn intervals_are_named_by_what_they_begin_with() {
        let name = |interval: Interval, of: &str| interval.name(interval.first_day(day(of)));
        assert_eq!(name(Interval::Week, "2027-01-03"), "2026-W53");
        assert_eq!(name(Interval::Month, "2026-12-31"), "2026-12");
        assert_eq!(name(Interval::Quarter, "2026-12-31"), "2026-Q4");
        assert_eq!(name(Interval::Year, "2026-12-31"), "2026");
    }

    #[test]
    fn an_instant_is_in_the_local_interval() {
        let zone: TimeZone = "America/New_York".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().micros();
        let calendar = Calendar::of(Interval::Month, zone, at("2026-01-15T00:00:00Z"), at("2026-06-01T00:00:00Z"));
        assert_eq!(calendar.first_day(at("2026-03-01T04:59:59.999999Z")), day("2026-02-01"));
        assert_eq!(calendar.first_day(at("2026-03-01T05:00:00Z")), day("2026-03-01"));
        assert_eq!(calendar.first_day(at("2026-06-01T00:00:00Z")), day("2026-05-01"));
    }
}
