//! Instants.

use crate::*;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn an_instant_is_written_in_utc_with_six_digits() {
    for (text, written) in [
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00.000000Z"),
        ("2026-03-01T09:30:00.5Z", "2026-03-01T09:30:00.500000Z"),
        ("2026-03-01T09:30:00.000001Z", "2026-03-01T09:30:00.000001Z"),
        ("2026-03-01T09:30:00+02:00", "2026-03-01T07:30:00.000000Z"),
        ("2026-03-01T00:15:00+05:45", "2026-02-28T18:30:00.000000Z"),
        ("2026-12-31T23:00:00.25-03:30", "2027-01-01T02:30:00.250000Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("2028-02-29T12:00:00-00:00", "2028-02-29T12:00:00.000000Z"),
    ] {
        assert_eq!(at(text).to_string(), written);
        assert_round_trip(&at(text));
    }
}

#[test]
fn digits_of_an_instant_beyond_the_sixth_are_cut_off_towards_the_past() {
    assert_eq!(at("2026-03-01T09:30:00.1234569Z").to_string(), "2026-03-01T09:30:00.123456Z");
    assert_eq!(at("1969-12-31T23:59:59.9999999Z").micros(), -1);
}

#[test]
fn what_is_no_instant_is_refused() {
    for garbage in [
        "",
        "now",
        "2026-03-01",
        "09:30:00Z",
        "2026-03-01T09:30:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T09:30:00.Z",
        "1772357400",
        "2026-03-01T09:30:00Z ",
        "2026-03-01T09:30:00+25:00",
    ] {
        assert_refused::<Timestamp>(garbage, "is not an instant");
    }
    assert!(from_json::<Timestamp>("1772357400").is_err());
}

#[test]
fn instants_reach_from_the_first_of_year_1_to_the_last_of_year_9999() {
    assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000000Z");
    assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
    for extreme in [Timestamp::MIN, Timestamp::MAX] {
        assert_round_trip(&extreme);
        assert_eq!(Timestamp::from_micros(extreme.micros()), Ok(extreme));
        assert_eq!(Timestamp::from(extreme.utc()), extreme);
    }
    assert!(Timestamp::from_micros(Timestamp::MIN.micros() - 1).is_err());
    assert!(Timestamp::from_micros(Timestamp::MAX.micros() + 1).is_err());
    assert!(Timestamp::from_micros(i64::MIN).is_err());
    assert_eq!(Timestamp::MAX.saturating_add_micros(1), Timestamp::MAX);
    assert_eq!(Timestamp::MIN.saturating_add_micros(i64::MIN), Timestamp::MIN);
    assert_eq!(Timestamp::MIN.saturating_add_micros(i64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::from(chrono::DateTime::<chrono::Utc>::MAX_UTC), Timestamp::MAX);
    assert_eq!(Timestamp::from(chrono::DateTime::<chrono::Utc>::MIN_UTC), Timestamp::MIN);
}

#[test]
fn an_instant_beyond_the_extremes_is_refused_rather_than_moved() {
    for beyond in ["9999-12-31T23:59:59.999999-00:01", "0001-01-01T00:00:00+00:01", "0000-06-01T00:00:00Z"] {
        assert_refused::<Timestamp>(beyond, "outside the years 1 to 9999");
    }
}
