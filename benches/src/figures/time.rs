//! The six years of the log, in microseconds UTC.

use dealog_events::Timestamp;

use crate::Result;

/// A day in microseconds.
pub(super) const DAY: i64 = 86_400_000_000;
/// The first instant, 2020-01-15. Everything is defined then.
pub(super) const FIRST: i64 = 1_579_046_400_000_000;
/// The first instant that is not part of the log, and now in every question: 2026-01-15.
pub(super) const END: i64 = 1_768_435_200_000_000;
/// The instant that questions about the past are as of, two years before the end: 2024-01-15.
pub(super) const TWO_YEARS_AGO: i64 = 1_705_276_800_000_000;

/// The instant.
pub(super) fn at(micros: i64) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(micros)?)
}

/// When deal `number` of `deals` begins: twice as many in a month at the end as at the beginning.
pub(super) fn begins(number: u64, deals: u64) -> i64 {
    // As many begin up to x, where the whole time is 1, as (x + x²/2) / 1.5.
    let x = (1.0 + 3.0 * (number as f64 + 0.5) / deals as f64).sqrt() - 1.0;
    // The first day is for what is defined.
    #[expect(clippy::cast_possible_truncation, reason = "from 0 up to the length of six years")]
    let after = (x * (END - FIRST - DAY) as f64) as i64;
    FIRST + DAY + after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instants_are_the_days_that_they_say() {
        let day = |micros| at(micros).unwrap().to_string();
        assert!(day(FIRST).starts_with("2020-01-15T00:00:00"), "{}", day(FIRST));
        assert!(day(END).starts_with("2026-01-15T00:00:00"), "{}", day(END));
        assert!(day(TWO_YEARS_AGO).starts_with("2024-01-15T00:00:00"), "{}", day(TWO_YEARS_AGO));
    }

    #[test]
    fn deals_begin_one_after_another_within_the_six_years() {
        let begins: Vec<i64> = (0..1_000).map(|number| begins(number, 1_000)).collect();
        assert!(begins.is_sorted() && begins[0] > FIRST && begins[999] < END);
        let later = begins.iter().filter(|at| **at > i64::midpoint(FIRST, END)).count();
        assert!((550..650).contains(&later), "{later}");
    }
}
