//! The shapes that figures are given in. All are made of integers; a number with decimals appears only in JSON.

use dealog_events::{Currency, Position, Timestamp};
use serde::{Serialize, Serializer};
use utoipa::{PartialSchema, ToSchema};

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// A sum of money. Unlike an amount it has no limit, and a difference may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Minor units.
    pub minor: i128,
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
    pub fn of(part: impl Into<i128>, whole: impl Into<i128>) -> Option<Self> {
        let basis_points = divide(part.into().checked_mul(10_000)?, whole.into())?;
        i64::try_from(basis_points).ok().map(|basis_points| Self { basis_points })
    }
}

/// Rounded half up; none where there is nothing to divide by.
pub(crate) fn divide(above: i128, below: i128) -> Option<i128> {
    (below > 0).then(|| (above + below / 2).div_euclid(below))
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
        let hundredths = divide(micros.checked_mul(100)?, i128::from(count) * i128::from(DAY_MICROS))?;
        i64::try_from(hundredths).ok().map(|hundredths| Self { hundredths })
    }

    /// The median of lengths of time in microseconds, which it puts in another order: of an even number the mean of the middle
    /// two.
    pub fn median(micros: &mut [i64]) -> Option<Self> {
        let upper = micros.len() / 2;
        let even = micros.len().is_multiple_of(2);
        if micros.is_empty() {
            return None;
        }
        let (below, middle, _) = micros.select_nth_unstable(upper);
        let lower = if even { below.iter().max().copied() } else { None };
        let lower = lower.unwrap_or(*middle);
        Self::mean(i128::from(lower) + i128::from(*middle), 2)
    }

    /// This length of time in microseconds.
    pub fn of(micros: i64) -> Option<Self> {
        Self::mean(micros.into(), 1)
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
