//! The two years of the sample: which days people work, how much begins on each, and at what hours.

use chrono::{Datelike as _, Days, NaiveDate, Weekday};
use dealog_events::{Invalid, TimeZone, Timestamp};

use super::dice::Dice;

/// How many days the sample goes back.
pub(super) const SPAN_DAYS: u32 = 730;

const SECOND: i64 = 1_000_000;
/// From half past eight to a quarter to six.
const WORK_BEGINS_SECOND: u32 = 8 * 3_600 + 1_800;
const WORK_ENDS_SECOND: u32 = 17 * 3_600 + 2_700;

/// Days off with a fixed date: month and day.
const HOLIDAYS: [(u32, u32); 9] = [(1, 1), (5, 1), (5, 4), (6, 23), (6, 24), (11, 18), (12, 24), (12, 25), (12, 26)];

/// How much begins in each month, in percent of an ordinary one: little in summer and before the year ends.
const SEASON: [u32; 12] = [85, 105, 115, 110, 105, 85, 60, 75, 120, 125, 115, 70];

/// How much begins from Monday to Sunday, in percent.
const WEEK: [u32; 7] = [95, 120, 115, 105, 75, 4, 1];

/// The days from `first` up to, not including, `until`.
pub(super) struct Calendar {
    zone: TimeZone,
    first: NaiveDate,
    end: Timestamp,
    /// Up to and including each day: how much has begun by then, of how much in all.
    begun: Vec<u32>,
}

impl Calendar {
    /// The last day lies before `until`: a sample until today has nothing in the future.
    pub(super) fn until(until: NaiveDate, zone: TimeZone) -> Result<Self, Invalid> {
        let too_early = || Invalid(format!("{until} is too early: the sample needs {SPAN_DAYS} days before it"));
        let first = until.checked_sub_days(Days::new(u64::from(SPAN_DAYS))).ok_or_else(too_early)?;
        let mut total = 0;
        let begun = first.iter_days().take(SPAN_DAYS as usize).zip(0..).map(|(day, index)| {
            total += weight(day) * growth_percent(index) / 100;
            total
        });
        Ok(Self { zone, first, end: zone.day_start(until), begun: begun.collect() })
    }

    /// The first instant that is not part of the sample.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    /// The day number `index`, from 0.
    pub(super) fn day(&self, index: u32) -> NaiveDate {
        self.first.checked_add_days(Days::new(u64::from(index))).unwrap_or(self.first)
    }

    /// The number of the day that `time` falls on.
    pub(super) fn index_of(&self, time: Timestamp) -> u32 {
        let days = self.date_of(time).signed_duration_since(self.first).num_days();
        u32::try_from(days).unwrap_or(0)
    }

    /// The calendar day that `time` falls on.
    pub(super) fn date_of(&self, time: Timestamp) -> NaiveDate {
        self.zone.day_of(time)
    }

    /// The instant `second` seconds into a day.
    pub(super) fn at(&self, day: NaiveDate, second: u32) -> Timestamp {
        self.zone.day_start(day).saturating_add_micros(i64::from(second) * SECOND)
    }

    /// An instant in the working hours of the day number `index`, or of the next day that people work.
    pub(super) fn in_working_hours(&self, index: u32, dice: &mut Dice) -> Timestamp {
        let wanted = self.day(index);
        let day = wanted.iter_days().find(|day| is_working(*day)).unwrap_or(wanted);
        self.in_hours_of(day, dice)
    }

    fn in_hours_of(&self, day: NaiveDate, dice: &mut Dice) -> Timestamp {
        let micros = dice.below(1_000_000);
        self.at(day, dice.within(WORK_BEGINS_SECOND, WORK_ENDS_SECOND)).saturating_add_micros(i64::from(micros))
    }

    /// When the deal number `index` of `count` begins: later ones never begin on an earlier day.
    pub(super) fn beginning(&self, index: u32, count: u32, dice: &mut Dice) -> Timestamp {
        /// Shares of one deal's place in the order.
        const FINE: u64 = 1_024;
        let total = u64::from(self.begun.last().copied().unwrap_or(0));
        let place = u64::from(index) * FINE + u64::from(dice.below(1_024));
        let wanted = place * total / (u64::from(count.max(1)) * FINE);
        let day = self.begun.partition_point(|begun| u64::from(*begun) <= wanted);
        self.in_hours_of(self.day(u32::try_from(day).unwrap_or(0).min(SPAN_DAYS - 1)), dice)
    }
}

/// Moves an instant by minutes.
pub(super) fn minutes_later(time: Timestamp, minutes: u32) -> Timestamp {
    time.saturating_add_micros(i64::from(minutes) * 60 * SECOND)
}

/// The company grows: 80 % of an ordinary day's beginnings on the first day, 125 % on the last.
fn growth_percent(day: u32) -> u32 {
    80 + 45 * day / SPAN_DAYS
}

fn weight(day: NaiveDate) -> u32 {
    let week = WEEK.get(day.weekday().num_days_from_monday() as usize).copied().unwrap_or(0);
    let season = SEASON.get(day.month0() as usize).copied().unwrap_or(0);
    if is_holiday(day) { 0 } else { week * season }
}

fn is_working(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) && !is_holiday(day)
}

fn is_holiday(day: NaiveDate) -> bool {
    HOLIDAYS.contains(&(day.month(), day.day()))
}
