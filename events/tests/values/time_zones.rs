//! Time zones and their days.

use crate::{timestamps::at, *};

pub(crate) fn zone(name: &str) -> TimeZone {
    name.parse().unwrap()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) const HOUR_MICROS: i64 = 3_600_000_000;

#[test]
fn a_day_lasts_from_its_first_microsecond_to_its_last() {
    let riga = zone("Europe/Riga");
    assert_eq!(riga.day_start(day("2026-01-15")), at("2026-01-14T22:00:00Z"));
    assert_eq!(riga.day_end(day("2026-01-15")), at("2026-01-15T21:59:59.999999Z"));
    assert_eq!(TimeZone::UTC.day_start(day("2026-01-15")), at("2026-01-15T00:00:00Z"));
    assert_eq!(zone("Asia/Kathmandu").day_start(day("2026-01-15")), at("2026-01-14T18:15:00Z"));
    assert_eq!(zone("Pacific/Kiritimati").day_start(day("2026-01-15")), at("2026-01-14T10:00:00Z"));
}

#[test]
fn an_instant_falls_on_the_day_that_the_clock_on_the_wall_shows() {
    assert_eq!(zone("Europe/Riga").day_of(at("2026-01-14T22:00:00Z")), day("2026-01-15"));
    assert_eq!(zone("Europe/Riga").day_of(at("2026-01-14T21:59:59.999999Z")), day("2026-01-14"));
    assert_eq!(zone("America/Los_Angeles").day_of(at("2026-01-15T07:59:59Z")), day("2026-01-14"));
    assert_eq!(TimeZone::UTC.day_of(at("2026-01-15T00:00:00Z")), day("2026-01-15"));
}

#[test]
fn a_day_on_which_the_clocks_change_is_an_hour_shorter_or_longer() {
    for (name, changed, hours) in [
        ("Europe/Riga", "2026-03-29", 23),
        ("Europe/Riga", "2026-10-25", 25),
        ("Europe/Riga", "2026-03-30", 24),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("Asia/Beirut", "2022-03-27", 23),
        ("America/Havana", "2025-11-02", 25),
    ] {
        let (start, end) = (zone(name).day_start(day(changed)), zone(name).day_end(day(changed)));
        assert_eq!(end.micros() - start.micros() + 1, hours * HOUR_MICROS, "{name} {changed}");
        assert_eq!((zone(name).day_of(start), zone(name).day_of(end)), (day(changed), day(changed)), "{name}");
    }
}

#[test]
fn a_day_without_a_midnight_begins_where_its_clock_begins() {
    // 23:59:59 is followed by 01:00:00.
    assert_eq!(zone("America/Sao_Paulo").day_start(day("2018-11-04")), at("2018-11-04T03:00:00Z"));
    assert_eq!(zone("America/Sao_Paulo").day_end(day("2018-11-03")), at("2018-11-04T02:59:59.999999Z"));
    assert_eq!(zone("Asia/Beirut").day_start(day("2022-03-27")), at("2022-03-26T22:00:00Z"));
    assert_eq!(zone("Asia/Beirut").day_end(day("2022-03-26")), at("2022-03-26T21:59:59.999999Z"));
    // The clocks went on by 44 minutes and 30 seconds.
    assert_eq!(zone("Africa/Monrovia").day_start(day("1972-01-07")), at("1972-01-07T00:44:30Z"));
}

#[test]
fn a_day_with_two_midnights_begins_at_the_first() {
    assert_eq!(zone("America/Havana").day_start(day("2025-11-02")), at("2025-11-02T04:00:00Z"));
}

#[test]
fn a_day_that_never_was_is_empty_and_its_neighbours_meet() {
    let (apia, never) = (zone("Pacific/Apia"), day("2011-12-30"));
    let change = at("2011-12-30T10:00:00Z");
    assert_eq!(apia.day_end(day("2011-12-29")), change.saturating_add_micros(-1));
    assert_eq!(apia.day_start(never), change);
    assert_eq!(apia.day_end(never), change.saturating_add_micros(-1));
    assert_eq!(apia.day_start(day("2011-12-31")), change);
}

#[test]
fn days_beyond_the_extremes_begin_and_end_at_the_extremes() {
    for name in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let zone = zone(name);
        for far in [NaiveDate::MIN, day("-9999-01-01"), day("0000-01-01")] {
            assert_eq!((zone.day_start(far), zone.day_end(far)), (Timestamp::MIN, Timestamp::MIN), "{name} {far}");
        }
        for far in [day("+10001-01-01"), NaiveDate::MAX.pred_opt().unwrap(), NaiveDate::MAX] {
            assert_eq!(zone.day_start(far), Timestamp::MAX, "{name} {far}");
            assert!(zone.day_end(far) >= Timestamp::MAX.saturating_add_micros(-1), "{name} {far}");
        }
        assert!(zone.day_of(Timestamp::MIN).year() <= 1 && zone.day_of(Timestamp::MAX).year() >= 9_999);
    }
}

#[test]
fn a_time_zone_goes_by_its_iana_name() {
    for name in ["Europe/Riga", "UTC", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"] {
        assert_eq!(zone(name).to_string(), name);
        assert_round_trip(&zone(name));
    }
    for garbage in ["", "Riga", "europe/riga", "+02:00", "Europe/Riga ", "Mars/Olympus"] {
        assert_refused::<TimeZone>(garbage, "is not a time zone");
    }
}
