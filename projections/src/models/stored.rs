//! Stored texts and numbers as what they stand for. No fold writes what does not fit: then the tables are damaged.

use dealog_events::{
    Currency, FieldValue, Fields, Money, Probability, Slug, Timestamp, Version, pipeline::ForecastCategory,
};

use crate::ProjectionError;

pub(super) fn damaged(error: &dyn std::fmt::Display) -> ProjectionError {
    ProjectionError::Damaged(error.to_string())
}

pub(super) fn version(version: i64) -> Version {
    Version(version.cast_unsigned())
}

pub(super) fn parse<T>(text: &str) -> Result<T, ProjectionError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| damaged(&error))
}

/// The same, where there may be nothing.
pub(super) fn maybe<T>(text: Option<&str>) -> Result<Option<T>, ProjectionError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.map(parse).transpose()
}

/// A word of an enum, such as a role.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProjectionError> {
    serde_json::from_value(text.into()).map_err(|error| damaged(&error))
}

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProjectionError> {
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

pub(super) fn time(micros: i64) -> Result<Timestamp, ProjectionError> {
    Timestamp::from_micros(micros).map_err(|error| damaged(&error))
}

pub(super) fn probability(basis_points: i64) -> Result<Probability, ProjectionError> {
    let basis_points = u16::try_from(basis_points).map_err(|error| damaged(&error))?;
    Probability::from_basis_points(basis_points).map_err(|error| damaged(&error))
}

/// An amount in minor units, and its currency.
pub(super) fn money(minor: Option<i64>, currency: Option<&str>) -> Result<Option<Money>, ProjectionError> {
    let Some((minor, currency)) = minor.zip(currency) else { return Ok(None) };
    let currency: Currency = parse(currency)?;
    Money::from_minor(minor, currency).map(Some).map_err(|error| damaged(&error))
}

/// The name of a category as tables and JSON have it.
pub(super) fn name_of(category: ForecastCategory) -> &'static str {
    match category {
        ForecastCategory::Omitted => "omitted",
        ForecastCategory::Pipeline => "pipeline",
        ForecastCategory::BestCase => "best_case",
        ForecastCategory::Commit => "commit",
    }
}

/// Gives a custom field a value, or none, in the JSON object of all of them.
pub(super) fn set_field(stored: &mut String, field: &Slug, to: Option<&FieldValue>) -> Result<(), ProjectionError> {
    let mut fields: Fields = json(stored)?;
    match to {
        Some(value) => drop(fields.insert(field.clone(), value.clone())),
        None => drop(fields.remove(field)),
    }
    *stored = super::json(&fields)?;
    Ok(())
}
