//! Amounts and currencies.

use crate::*;

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
        (r#""1200.50 EUR""#, r#"expected an amount such as {"amount":"1200.00","currency":"EUR"}"#),
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
