//! The shapes that figures are given in. All are made of integers; a number with decimals appears only in JSON.

use dealog_events::{Currency, Position, Timestamp};
use serde::{Serialize, Serializer};
use utoipa::{PartialSchema, ToSchema};

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// A sum of money. Unlike an amount it has no limit and may, as a difference, be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Minor units.
    pub minor: i64,
    /// The reporting currency.
    pub currency: Currency,
}

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Total", 2)?;
        out.serialize_field("amount", &self.currency.format(self.minor))?;
        out.serialize_field("currency", &self.currency)?;
        out.end()
    }
}

impl PartialSchema for Total {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        dealog_events::decimal_with_currency("^-?[0-9]+(\\.[0-9]+)?$")
            .description(Some("A sum of money: a decimal string and an ISO 4217 code."))
            .into()
    }
}

impl ToSchema for Total {}

/// A ratio to four decimals, rounded half up: a conversion, a win rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// Ten-thousandths.
    pub basis_points: i64,
}

impl Rate {
    /// `part / whole`; none where there is no whole to speak of.
    pub fn of(part: i64, whole: i64) -> Option<Self> {
        if whole <= 0 {
            return None;
        }
        let (part, whole) = (i128::from(part), i128::from(whole));
        i64::try_from((part * 10_000 + whole / 2) / whole).ok().map(|basis_points| Self { basis_points })
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exact to four decimals for any ratio that occurs: far below 2^53 ten-thousandths.
        #[expect(clippy::cast_precision_loss)]
        serializer.serialize_f64(self.basis_points as f64 / 10_000.0)
    }
}

impl PartialSchema for Rate {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .description(Some("A ratio, to four decimals."))
            .examples([0.4823])
            .into()
    }
}

impl ToSchema for Rate {}

/// A length of time in days, to two decimals, rounded half up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days {
    /// Hundredths of a day.
    pub hundredths: i64,
}

impl Days {
    /// `micros / count`; none where nothing was counted.
    pub fn mean(micros: i128, count: i64) -> Option<Self> {
        if count <= 0 {
            return None;
        }
        let whole = i128::from(count) * i128::from(DAY_MICROS);
        i64::try_from((micros * 100 + whole / 2) / whole).ok().map(|hundredths| Self { hundredths })
    }

    /// The median, given the two middle values in microseconds (twice the same where their number is odd).
    pub fn median(lower_micros: i64, upper_micros: i64) -> Option<Self> {
        Self::mean(i128::from(lower_micros) + i128::from(upper_micros), 2)
    }
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exact to two decimals for any time that occurs: far below 2^53 hundredths.
        #[expect(clippy::cast_precision_loss)]
        serializer.serialize_f64(self.hundredths as f64 / 100.0)
    }
}

impl PartialSchema for Days {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .description(Some("Days, to two decimals."))
            .examples([12.25])
            .into()
    }
}

impl ToSchema for Days {}

/// What an answer speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Seen {
    /// The last position that the read model had applied.
    pub position: Position,
    /// The instant that the figures are for.
    pub as_of: Timestamp,
}
