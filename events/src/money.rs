//! Money and probability as integers. Nothing here is ever a floating point number but the JSON form of a probability.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

use crate::{Invalid, text::shorten};

/// The largest amount, in minor units: 10^12. Sums of millions of deals stay within 64 bits.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// An ISO 4217 currency that has minor units defined (0, 2, 3 or 4 digits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for EUR, 0 for JPY.
    pub fn digits(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }

    /// Minor units as a decimal number with the digits of the currency. Negative ones are written too: sums and differences
    /// are not amounts, but read the same.
    pub fn format(self, minor: impl Into<i128>) -> String {
        let minor = minor.into();
        let digits = self.digits();
        let unit = 10_u128.pow(digits);
        let (sign, magnitude) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
        if digits == 0 {
            return format!("{sign}{magnitude}");
        }
        format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = digits as usize)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        iso_currency::Currency::from_code(text).filter(|currency| currency.exponent().is_some()).map(Self).ok_or_else(
            || Invalid::new(format!("`{}` is not a currency: expected an ISO 4217 code such as EUR", shorten(text))),
        )
    }
}

string_type!(Currency, "Currency", "An ISO 4217 code.", Some("^[A-Z]{3}$"), "EUR");

/// An amount of money from 0 to [`AMOUNT_MAX`] minor units. In JSON `{"amount":"1200.00","currency":"EUR"}`: a string,
/// so that no reader makes a floating point number of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MoneyText", into = "MoneyText")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// An amount of money: a decimal number as a text, and its currency.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Money")]
#[serde(deny_unknown_fields, expecting = "an amount such as {\"amount\":\"1200.00\",\"currency\":\"EUR\"}")]
struct MoneyText {
    /// The amount with the digits of its currency, such as `1200.00`.
    amount: String,
    currency: Currency,
}

impl Money {
    /// From minor units: cents, for EUR.
    pub fn from_minor(minor: i64, currency: Currency) -> Result<Self, Invalid> {
        if minor < 0 {
            return Err(Invalid::new("an amount is never negative"));
        }
        if minor > AMOUNT_MAX {
            return Err(Invalid::new(format!("an amount is at most {}", currency.format(AMOUNT_MAX))));
        }
        Ok(Self { minor, currency })
    }

    /// From a decimal number such as `1200`, `1200.5` or `1200.50`; no more digits than the currency has.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, Invalid> {
        let expected = || {
            Invalid::new(format!(
                "`{}` is not an amount in {currency}: expected digits with at most {} after the point, such as {}",
                shorten(amount),
                currency.digits(),
                currency.format(120_000)
            ))
        };
        if amount.starts_with('-') {
            return Err(Invalid::new("an amount is never negative"));
        }
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let digits = currency.digits() as usize;
        let only_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let dangling = amount.ends_with('.');
        if whole.is_empty() || !only_digits(whole) || !only_digits(fraction) || fraction.len() > digits || dangling {
            return Err(expected());
        }
        // More than 18 digits would overflow; far below that the limit is passed.
        let minor = format!("{whole}{fraction:0<digits$}");
        let minor = minor.trim_start_matches('0');
        let minor = if minor.len() > 18 { i64::MAX } else { minor.parse().unwrap_or(0) };
        Self::from_minor(minor, currency)
    }

    /// Minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency.format(self.minor), self.currency)
    }
}

impl From<Money> for MoneyText {
    fn from(money: Money) -> Self {
        Self { amount: money.currency.format(money.minor), currency: money.currency }
    }
}

impl TryFrom<MoneyText> for Money {
    type Error = Invalid;
    fn try_from(text: MoneyText) -> Result<Self, Invalid> {
        Self::parse(&text.amount, text.currency)
    }
}

impl schemars::JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        MoneyText::json_schema(generator)
    }
}

/// How money looks in JSON; `pattern` says what the decimal string may be.
#[cfg(feature = "openapi")]
pub fn decimal_with_currency(pattern: &str) -> utoipa::openapi::ObjectBuilder {
    let amount = utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .pattern(Some(pattern))
        .examples(["1200.00"]);
    utoipa::openapi::ObjectBuilder::new()
        .property("amount", amount)
        .required("amount")
        .property("currency", <Currency as utoipa::PartialSchema>::schema())
        .required("currency")
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        decimal_with_currency("^[0-9]+(\\.[0-9]+)?$")
            .description(Some("An amount of money: a decimal string and an ISO 4217 code."))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Money {}

/// A probability in basis points, 0 to 10,000. In JSON a number from 0 to 1 with at most four decimals: `0.35`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "f64")]
pub struct Probability(u16);

impl Probability {
    /// Certainty, in basis points.
    pub const ONE_BASIS_POINTS: u16 = 10_000;

    /// From basis points, 0 to 10,000.
    pub fn from_basis_points(basis_points: u16) -> Result<Self, Invalid> {
        if basis_points <= Self::ONE_BASIS_POINTS {
            return Ok(Self(basis_points));
        }
        Err(Invalid::new("a probability is at most 10,000 basis points"))
    }

    /// Basis points, 0 to 10,000.
    pub fn basis_points(self) -> u16 {
        self.0
    }
}

impl From<Probability> for f64 {
    fn from(probability: Probability) -> Self {
        f64::from(probability.0) / f64::from(Probability::ONE_BASIS_POINTS)
    }
}

impl TryFrom<f64> for Probability {
    type Error = Invalid;
    fn try_from(number: f64) -> Result<Self, Invalid> {
        const ROUNDING_SLACK: f64 = 1e-6;
        let basis_points = number * f64::from(Self::ONE_BASIS_POINTS);
        let whole = basis_points.round();
        if !(0.0..=10_000.0).contains(&whole) || (basis_points - whole).abs() > ROUNDING_SLACK {
            return Err(Invalid::new(format!(
                "{number} is not a probability: expected a number from 0 to 1 with at most four decimals, such as 0.35"
            )));
        }
        // Whole and within 0..=10,000, as just checked.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Self(whole as u16))
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(Number)
    }
}

/// Takes any number that is a probability.
struct Number;

impl Visitor<'_> for Number {
    type Value = Probability;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to 1 with at most four decimals, such as 0.35")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Probability, E> {
        number.try_into().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Probability, E> {
        u32::try_from(number).map_or(f64::MAX, f64::from).try_into().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Probability, E> {
        i32::try_from(number).map_or(f64::MIN, f64::from).try_into().map_err(E::custom)
    }
}

impl schemars::JsonSchema for Probability {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Probability".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            // No multipleOf 0.0001: validators that divide floating point numbers refuse 0.0003 and many others by it.
            "type": "number", "minimum": 0, "maximum": 1,
            "description": "A probability with at most four decimals.", "examples": [0.35]
        })
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Probability {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .description(Some("A probability from 0 to 1 with at most four decimals."))
            .minimum(Some(0))
            .maximum(Some(1))
            .examples([0.35])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Probability {}
