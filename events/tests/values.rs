//! The values that events are made of: what each accepts, refuses and writes. A value that is wrong here is wrong in every
//! log for ever, so the edges are spelled out, and what is written is read again for many random values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fmt::Debug, str::FromStr};

use chrono::{Datelike, NaiveDate};
use dealog_events::{
    AMOUNT_MAX, Actor, CampaignId, Category, CommandId, Currency, CustomerId, DealId, Email, FieldValue, Fields,
    Invalid, Label, Money, Note, PipelineId, Position, Probability, Reason, Slug, StreamId, TeamId, Text, TimeZone,
    Timestamp, Title, UserId, Version, pipeline::RequiredField,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

const UUID: &str = "0192f3a4-5b6c-7d8e-9f00-112233445566";

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn money(amount: &str, code: &str) -> Result<Money, Invalid> {
    Money::parse(amount, currency(code))
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// `value` as text and as JSON is the same value again.
#[track_caller]
fn assert_round_trip<T>(value: &T)
where
    T: FromStr<Err = Invalid> + ToString + Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(value));
    assert_eq!(json(value), json(&value.to_string()), "JSON is the same text");
    assert_eq!(from_json::<T>(&json(value)).as_ref(), Ok(value));
}

#[track_caller]
fn assert_refused<T: FromStr<Err = Invalid> + DeserializeOwned + Debug>(text: &str, expected: &str) {
    let message = text.parse::<T>().expect_err(text).to_string();
    assert!(message.contains(expected), "`{text}` gave: {message}");
    let in_json = from_json::<T>(&json(&text)).expect_err(text);
    assert!(in_json.contains(expected), "`{text}` in JSON gave: {in_json}");
}

// Money

#[test]
fn an_amount_is_read_with_as_many_digits_as_its_currency_has_or_fewer() {
    for (amount, code, minor) in [
        ("1200", "EUR", 120_000),
        ("1200.5", "EUR", 120_050),
        ("1200.50", "EUR", 120_050),
        ("0.01", "EUR", 1),
        ("0", "EUR", 0),
        ("0.00", "EUR", 0),
        ("007.10", "EUR", 710),
        ("1200", "JPY", 1_200),
        ("4999.125", "BHD", 4_999_125),
        ("4999.1", "BHD", 4_999_100),
        ("1.0001", "CLF", 10_001),
    ] {
        assert_eq!(money(amount, code).map(Money::minor), Ok(minor), "{amount} {code}");
    }
}

#[test]
fn an_amount_is_written_with_all_digits_of_its_currency() {
    for (minor, code, shown) in [
        (120_000, "EUR", "1200.00 EUR"),
        (5, "EUR", "0.05 EUR"),
        (0, "EUR", "0.00 EUR"),
        (1_200, "JPY", "1200 JPY"),
        (0, "JPY", "0 JPY"),
        (4_999_125, "BHD", "4999.125 BHD"),
        (7, "BHD", "0.007 BHD"),
        (10_001, "CLF", "1.0001 CLF"),
    ] {
        assert_eq!(Money::from_minor(minor, currency(code)).unwrap().to_string(), shown);
    }
}

#[test]
fn an_amount_with_more_digits_than_its_currency_has_is_refused_rather_than_rounded() {
    for (amount, code) in [("0.001", "EUR"), ("1.000", "EUR"), ("1.0", "JPY"), ("1.0000", "BHD"), ("1.00000", "CLF")] {
        let message = money(amount, code).expect_err(amount).to_string();
        assert!(message.contains(&format!("at most {}", currency(code).digits())), "{message}");
    }
}

#[test]
fn an_amount_goes_up_to_the_limit_and_not_beyond() {
    for (limit, beyond, code) in [
        ("10000000000.00", "10000000000.01", "EUR"),
        ("1000000000000", "1000000000001", "JPY"),
        ("1000000000.000", "1000000000.001", "BHD"),
    ] {
        assert_eq!(money(limit, code).map(Money::minor), Ok(AMOUNT_MAX));
        assert_eq!(money(beyond, code), Err(Invalid(format!("an amount is at most {limit}"))));
    }
    for nines in [18, 19, 20, 40, 10_000] {
        assert!(money(&"9".repeat(nines), "JPY").unwrap_err().to_string().starts_with("an amount is at most"));
    }
    assert_eq!(
        money(&format!("{}1.00", "0".repeat(100)), "EUR").map(Money::minor),
        Ok(100),
        "zeros in front are no size"
    );
    assert!(Money::from_minor(AMOUNT_MAX + 1, currency("EUR")).is_err());
    assert!(Money::from_minor(i64::MAX, currency("EUR")).is_err());
}

#[test]
fn an_amount_is_never_negative() {
    let never = Err(Invalid("an amount is never negative".into()));
    assert_eq!(money("-1.00", "EUR"), never);
    assert_eq!(money("-0", "EUR"), never);
    assert_eq!(Money::from_minor(-1, currency("EUR")), never);
    assert_eq!(Money::from_minor(i64::MIN, currency("EUR")), never);
}

#[test]
fn what_is_no_decimal_number_is_no_amount() {
    for garbage in [
        "", " ", ".", "1.", ".5", "1.2.3", "1,50", "1 000", " 1", "1 ", "+1", "1e3", "0x10", "NaN", "inf", "١٢",
        "１２", "1.-5", "1.+5", "abc", "1_000", "1\u{0}",
    ] {
        let message = money(garbage, "EUR").expect_err(garbage).to_string();
        assert!(message.contains("is not an amount in EUR"), "`{garbage}` gave: {message}");
    }
}

#[test]
fn money_in_json_is_a_decimal_text_and_a_currency() {
    let text = r#"{"amount":"1200.50","currency":"EUR"}"#;
    let money: Money = from_json(text).unwrap();
    assert_eq!((money.minor(), money.currency().code()), (120_050, "EUR"));
    assert_eq!(json(&money), text);
    for (refused, expected) in [
        (r#"{"amount":1200.5,"currency":"EUR"}"#, "expected a string"),
        (r#"{"amount":"1200.505","currency":"EUR"}"#, "is not an amount in EUR"),
        (r#"{"amount":"-1","currency":"EUR"}"#, "never negative"),
        (r#"{"amount":"1","currency":"ABC"}"#, "is not a currency"),
        (r#"{"amount":"1"}"#, "missing field `currency`"),
        (r#"{"currency":"EUR"}"#, "missing field `amount`"),
        (r#"{"amount":"1","currency":"EUR","rate":"1"}"#, "unknown field `rate`"),
        (r#""1200.50 EUR""#, "expected struct"),
    ] {
        let message = from_json::<Money>(refused).expect_err(refused);
        assert!(message.contains(expected), "{refused} gave: {message}");
    }
}

#[test]
fn a_currency_is_an_upper_case_iso_code_that_has_minor_units() {
    for (code, digits) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("ISK", 0), ("BHD", 3), ("KWD", 3), ("CLF", 4)] {
        assert_eq!(currency(code).digits(), digits, "{code}");
        assert_round_trip(&currency(code));
    }
    for garbage in ["", "eur", "Eur", "EURO", "EU", " EUR", "ABC", "978", "XXX", "XTS", "XAU", "€"] {
        assert_refused::<Currency>(garbage, "is not a currency");
    }
}

// Probability

#[test]
fn a_probability_is_a_json_number_with_at_most_four_decimals() {
    for (text, basis_points, written) in [
        ("0.35", 3_500, "0.35"),
        ("0.3333", 3_333, "0.3333"),
        ("0.0001", 1, "0.0001"),
        ("0.9999", 9_999, "0.9999"),
        ("0.29", 2_900, "0.29"),
        ("0.35000", 3_500, "0.35"),
        ("35e-2", 3_500, "0.35"),
        ("0", 0, "0.0"),
        ("-0.0", 0, "0.0"),
        ("1", 10_000, "1.0"),
        ("1.0000", 10_000, "1.0"),
    ] {
        let probability: Probability = from_json(text).unwrap();
        assert_eq!(probability.basis_points(), basis_points, "{text}");
        assert_eq!(json(&probability), written);
    }
}

#[test]
fn a_probability_beyond_its_decimals_or_its_range_is_refused() {
    for refused in ["0.33333", "0.00001", "0.99999", "1.0001", "1.00001", "-0.1", "-0.00001", "2", "35", "1e308", "-1"]
    {
        let message = from_json::<Probability>(refused).expect_err(refused);
        assert!(message.contains("is not a probability"), "{refused} gave: {message}");
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Probability::try_from(number).is_err(), "{number}");
    }
    for refused in [r#""0.35""#, r#""35%""#, "null", "true", "[0.35]"] {
        assert!(from_json::<Probability>(refused).is_err(), "{refused}");
    }
    assert!(Probability::from_basis_points(10_001).is_err());
}

#[test]
fn every_probability_is_itself_again_after_json_and_valid_by_its_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Probability)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    // Validators that divide floating point numbers find that 0.0003 is no multiple of 0.0001.
    assert_eq!(schema.get("multipleOf"), None, "many validators would refuse what we write");
    for basis_points in 0..=10_000 {
        let probability = Probability::from_basis_points(basis_points).unwrap();
        let text = json(&probability);
        assert!(text.len() <= "0.0001".len(), "{text}");
        assert_eq!(from_json(&text), Ok(probability));
        assert!(validator.is_valid(&serde_json::from_str(&text).unwrap()), "{text}");
    }
}

// Timestamp

fn at(text: &str) -> Timestamp {
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

// TimeZone

fn zone(name: &str) -> TimeZone {
    name.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

const HOUR_MICROS: i64 = 3_600_000_000;

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

// Texts

#[test]
fn a_slug_is_lower_case_letters_digits_and_underscores_after_a_letter() {
    for fit in ["a", "offer_made", "q3", "a_", "x".repeat(63).as_str()] {
        assert_round_trip(&fit.parse::<Slug>().unwrap());
    }
    for unfit in
        ["", "_a", "1st", "Offer", "offer made", "offer-made", "offer.made", "é", "ä", " a", "a ", "a\n", "a\u{0}"]
    {
        assert_refused::<Slug>(unfit, "is not a slug");
    }
    assert_refused::<Slug>(&"x".repeat(64), "at most 63 characters");
}

#[test]
fn a_text_is_trimmed() {
    assert_eq!("  200 licences \n".parse::<Title>().unwrap().as_str(), "200 licences");
    assert_eq!("\u{a0}\u{2003}Riga\u{3000}".parse::<Title>().unwrap().as_str(), "Riga");
    assert_eq!(from_json::<Label>(r#"" Trade fair\t""#).unwrap().as_str(), "Trade fair");
}

#[test]
fn a_text_with_nothing_in_it_is_refused() {
    for empty in ["", " ", "\n\t\r", "\u{a0}\u{2003}"] {
        assert_refused::<Title>(empty, "it is empty");
    }
}

#[test]
fn a_text_keeps_line_breaks_and_tabs_but_no_other_control_characters() {
    assert_eq!("a\n\tb\r\nc".parse::<Note>().unwrap().as_str(), "a\n\tb\r\nc");
    for unfit in ["a\u{0}b", "a\u{7}b", "a\u{1b}[31mb", "a\u{7f}b", "a\u{85}b", "a\u{b}b", "\u{0}"] {
        assert_refused::<Note>(unfit, "control characters");
    }
}

#[test]
fn the_length_of_a_text_is_counted_in_characters_after_trimming() {
    for (wide, bytes) in [("x", 1), ("я", 2), ("漢", 3), ("🦀", 4)] {
        let longest = wide.repeat(200);
        assert_eq!(longest.len(), 200 * bytes);
        assert_round_trip(&longest.parse::<Title>().unwrap());
        assert!(format!("   {longest}   ").parse::<Title>().is_ok());
        assert_refused::<Title>(&wide.repeat(201), "201 characters; at most 200");
    }
    assert_refused::<Label>(&"x".repeat(101), "at most 100");
    assert_refused::<Reason>(&"x".repeat(501), "at most 500");
    assert_refused::<Text<1000>>(&"x".repeat(1_001), "at most 1000");
    assert_refused::<Note>(&"x".repeat(4_001), "at most 4000");
}

#[test]
fn a_refusal_repeats_no_more_than_the_beginning_of_what_was_sent() {
    let huge = "Я".repeat(1_000_000);
    for message in [
        huge.parse::<Slug>().unwrap_err(),
        huge.parse::<Email>().unwrap_err(),
        huge.parse::<DealId>().unwrap_err(),
        huge.parse::<Actor>().unwrap_err(),
        huge.parse::<StreamId>().unwrap_err(),
        huge.parse::<Currency>().unwrap_err(),
        huge.parse::<Timestamp>().unwrap_err(),
        huge.parse::<TimeZone>().unwrap_err(),
        huge.parse::<RequiredField>().unwrap_err(),
        money(&huge, "EUR").unwrap_err(),
    ] {
        assert!(message.to_string().chars().count() < 300, "{message}");
    }
}

#[test]
fn an_e_mail_address_has_something_an_at_sign_and_a_domain() {
    for fit in ["anna@example.com", "a.b+c@mail.example.co.uk", "üñ@exämple.com", "\"odd@name\"@example.com"] {
        assert_round_trip(&fit.parse::<Email>().unwrap());
    }
    for unfit in [
        "",
        "anna",
        "anna@",
        "@example.com",
        "anna@example",
        "anna@.com",
        "anna@example.",
        "an na@example.com",
        " anna@example.com",
        "anna@example.com\n",
        "anna@exa mple.com",
        "anna\u{0}@example.com",
    ] {
        assert_refused::<Email>(unfit, "is not an e-mail address");
    }
    let longest = format!("{}@example.com", "x".repeat(254 - "@example.com".len()));
    assert_round_trip(&longest.parse::<Email>().unwrap());
    assert_refused::<Email>(&format!("x{longest}"), "is not an e-mail address");
}

#[test]
fn a_required_field_is_one_of_every_deal_or_one_of_the_companys_own() {
    for fit in ["amount", "customer", "owner", "expected_close", "source", "campaign", "fields.seats", "fields.amount"]
    {
        let field: RequiredField = fit.parse().unwrap();
        assert_eq!(field.to_string(), fit);
        assert_round_trip(&field);
    }
    for unfit in ["", "title", "Amount", "seats", "field.seats"] {
        assert_refused::<RequiredField>(unfit, "cannot be required");
    }
    assert_refused::<RequiredField>("fields.", "is not a slug");
    assert_refused::<RequiredField>("fields.Seats", "is not a slug");
}

#[test]
fn a_custom_field_holds_a_text_a_whole_number_or_a_truth() {
    for (text, value) in [
        ("true", FieldValue::Boolean(true)),
        ("-9223372036854775808", FieldValue::Integer(i64::MIN)),
        ("9223372036854775807", FieldValue::Integer(i64::MAX)),
        (r#""12.50""#, FieldValue::Text("12.50".parse().unwrap())),
        (r#""true""#, FieldValue::Text("true".parse().unwrap())),
    ] {
        assert_eq!(from_json::<FieldValue>(text).as_ref(), Ok(&value));
        assert_eq!(json(&value), text);
    }
    for unfit in ["12.5", "1.0", "1e3", "9223372036854775808", "null", r#""""#, r#"" ""#, "[1]", "{}"] {
        let message = from_json::<FieldValue>(unfit).expect_err(unfit);
        assert!(
            message.contains("a text of 1 to 1,000 characters, a whole number, true or false"),
            "{unfit}: {message}"
        );
    }
}

#[test]
fn custom_fields_are_written_in_the_order_of_their_names() {
    let fields: Fields = from_json(r#"{"seats":200,"colour":"red","needs_visit":false}"#).unwrap();
    assert_eq!(json(&fields), r#"{"colour":"red","needs_visit":false,"seats":200}"#);
    assert!(from_json::<Fields>(r#"{"Not a slug":1}"#).unwrap_err().contains("is not a slug"));
}

// Ids, streams, actors

#[test]
fn an_id_is_a_hyphenated_uuid_and_nothing_else() {
    fn check<T>(what: &str)
    where
        T: FromStr<Err = Invalid> + ToString + Serialize + DeserializeOwned + PartialEq + Debug,
    {
        assert_round_trip(&UUID.parse::<T>().unwrap());
        assert_eq!(UUID.to_uppercase().parse::<T>().unwrap().to_string(), UUID, "written in lower case");
        for unfit in other_spellings() {
            assert_refused::<T>(&unfit, &format!("is not the id of a {what}"));
        }
    }
    check::<DealId>("deal");
    check::<PipelineId>("pipeline");
    check::<CustomerId>("customer");
    check::<UserId>("user");
    check::<TeamId>("team");
    check::<CampaignId>("campaign");
}

/// What is no UUID, or one in a spelling that is not ours.
fn other_spellings() -> Vec<String> {
    let mut others = vec![
        UUID.replace('-', ""),
        format!("{{{UUID}}}"),
        format!("urn:uuid:{UUID}"),
        format!(" {UUID}"),
        UUID[..35].into(),
    ];
    others.extend(
        ["", "1", "deal-1", "0192f3a4_5b6c_7d8e_9f00_112233445566", "0192f3a4-5b6c-7d8e-9f00-11223344556g"]
            .map(Into::into),
    );
    others
}

fn streams(id: Uuid) -> [StreamId; 6] {
    [
        StreamId::Deal(DealId(id)),
        StreamId::Pipeline(PipelineId(id)),
        StreamId::Customer(CustomerId(id)),
        StreamId::User(UserId(id)),
        StreamId::Team(TeamId(id)),
        StreamId::Settings,
    ]
}

fn actors(id: Uuid) -> [Actor; 5] {
    [Actor::User(UserId(id)), Actor::Service(id), Actor::Rule(id), Actor::Import(id), Actor::Local]
}

#[test]
fn a_stream_is_named_by_its_category_and_id() {
    let streams = streams(UUID.parse().unwrap());
    let names = streams.map(|stream| stream.to_string());
    let with_id = ["deal", "pipeline", "customer", "user", "team"].map(|category| format!("{category}-{UUID}"));
    assert_eq!(names[..5], with_id);
    assert_eq!(names[5], "settings");
    let categories: BTreeSet<Category> = streams.iter().map(|stream| stream.category()).collect();
    assert_eq!(categories.len(), streams.len());
}

#[test]
fn what_names_no_stream_is_refused() {
    for unfit in ["", "deal", "settings-", "Settings", "Deal-x", "robot-1", "-", UUID, "$all"] {
        assert_refused::<StreamId>(unfit, "is not a stream");
    }
    assert_refused::<StreamId>(&format!("settings-{UUID}"), "is not a stream");
    assert_refused::<StreamId>(&format!("deal:{UUID}"), "is not");
    for other in other_spellings() {
        assert_refused::<StreamId>(&format!("deal-{other}"), "is not the id of a deal");
    }
}

#[test]
fn an_actor_is_a_kind_and_a_uuid_or_local() {
    let names = actors(UUID.parse().unwrap()).map(|actor| actor.to_string());
    assert_eq!(names[..4], ["user", "service", "rule", "import"].map(|kind| format!("{kind}:{UUID}")));
    assert_eq!(names[4], "local");
    for unfit in ["", "Local", "local:", "user", "user:", "root:1", UUID, ":"] {
        assert_refused::<Actor>(unfit, "is not an actor");
    }
    assert_refused::<Actor>(&format!("local:{UUID}"), "is not an actor");
    assert_refused::<Actor>(&format!("user-{UUID}"), "is not an actor");
}

#[test]
fn an_actor_has_one_spelling() {
    for kind in ["user", "service", "rule", "import"] {
        for other in other_spellings() {
            assert_refused::<Actor>(&format!("{kind}:{other}"), "is not an actor");
        }
    }
}

#[test]
fn positions_and_versions_count_from_one_and_are_plain_numbers_in_json() {
    assert_eq!((Position::ZERO.next(), Version::ZERO.next()), (Position(1), Version(1)));
    assert_eq!(json(&Position(u64::MAX)), u64::MAX.to_string());
    assert_eq!(from_json::<Version>("7"), Ok(Version(7)));
    for unfit in ["-1", "1.0", r#""1""#, "null", "18446744073709551616"] {
        assert!(from_json::<Position>(unfit).is_err(), "{unfit}");
    }
}

// What is written is read again

fn any_zone() -> impl Strategy<Value = TimeZone> {
    proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()).prop_map(|tz| zone(tz.name()))
}

/// Any day from 1970 to 2099.
fn any_day() -> impl Strategy<Value = NaiveDate> {
    (0..47_482_i32).prop_map(|days| NaiveDate::from_epoch_days(days).unwrap())
}

fn any_currency() -> impl Strategy<Value = Currency> {
    proptest::sample::select(vec!["EUR", "JPY", "BHD", "CLF", "SEK"]).prop_map(currency)
}

proptest! {
    #[test]
    fn any_money_is_itself_again_after_json(minor in 0..=AMOUNT_MAX, currency in any_currency()) {
        let money = Money::from_minor(minor, currency).unwrap();
        prop_assert_eq!(from_json::<Money>(&json(&money)), Ok(money));
        let shown = money.to_string();
        prop_assert_eq!(Money::parse(shown.split_once(' ').unwrap().0, currency), Ok(money));
    }

    #[test]
    fn any_instant_is_itself_again_after_text(micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros()) {
        let time = Timestamp::from_micros(micros).unwrap();
        assert_round_trip(&time);
        prop_assert_eq!(time.to_string().len(), "2026-03-01T09:30:00.000000Z".len());
    }

    #[test]
    fn instants_sort_as_their_texts_do(
        a in Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
        b in Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
    ) {
        let (a, b) = (Timestamp::from_micros(a).unwrap(), Timestamp::from_micros(b).unwrap());
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn days_follow_each_other_without_a_gap_in_any_zone(zone in any_zone(), day in any_day()) {
        let (start, end) = (zone.day_start(day), zone.day_end(day));
        prop_assert_eq!(end.saturating_add_micros(1), zone.day_start(day.succ_opt().unwrap()));
        // A day that never was is empty.
        if start < end {
            prop_assert_eq!(zone.day_of(start), day);
            prop_assert_eq!(zone.day_of(end), day);
            prop_assert!((16 * HOUR_MICROS..=32 * HOUR_MICROS).contains(&(end.micros() - start.micros() + 1)));
        }
    }

    #[test]
    fn any_text_that_is_accepted_is_itself_again_after_json(text in any::<String>()) {
        if let Ok(note) = text.parse::<Note>() {
            assert_round_trip(&note);
        }
    }

    #[test]
    fn any_stream_and_any_actor_is_itself_again_after_text(id in any::<u128>()) {
        for stream in streams(Uuid::from_u128(id)) {
            assert_round_trip(&stream);
        }
        for actor in actors(Uuid::from_u128(id)) {
            assert_round_trip(&actor);
        }
    }

    #[test]
    fn events_of_one_command_have_ids_of_their_own(command in any::<u128>(), a in 0..1_000_usize, b in 0..1_000_usize) {
        let command = CommandId(Uuid::from_u128(command));
        prop_assert_eq!(command.event_id(a) == command.event_id(b), a == b);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*") {
        let _ = (text.parse::<Slug>(), text.parse::<Email>(), text.parse::<Actor>(), text.parse::<StreamId>());
        let _ = (text.parse::<Timestamp>(), text.parse::<TimeZone>(), text.parse::<DealId>(), money(&text, "EUR"));
    }
}
