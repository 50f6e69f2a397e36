//! Probabilities.

use crate::*;

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
