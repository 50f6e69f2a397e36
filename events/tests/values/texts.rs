//! Texts, slugs, addresses, fields.

use crate::*;

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
