//! Parameters and bodies, with errors that name the field.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use dealog_events::{Invalid, Slug};
use dealog_figures::FieldFilter;
use serde::de::DeserializeOwned;

use crate::{problem::Problem, values::Values};

/// The query string as `T`.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        decode(&pairs(parts)?).map(Self)
    }
}

/// The query string of a figure: as `T`, and the filters by custom fields, `fields.NAME`, which have names of the company's own.
pub(crate) struct FigureParams<T>(pub(crate) T, pub(crate) Vec<FieldFilter>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for FigureParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (fields, others): (_, Vec<_>) =
            pairs(parts)?.into_iter().partition(|(name, _)| name.starts_with("fields."));
        Ok(Self(decode(&others)?, field_filters(fields)?))
    }
}

/// `fields.NAME=one,other`, `fields.NAME.from=3`, `fields.NAME.to=5`.
fn field_filters(pairs: Vec<(String, String)>) -> Result<Vec<FieldFilter>, Problem> {
    let mut filters: Vec<FieldFilter> = Vec::new();
    for (parameter, text) in pairs {
        let wrong = |detail: String| Problem::bad_request(&parameter, detail);
        let name = parameter.strip_prefix("fields.").unwrap_or_default();
        let (name, end) = name.split_once('.').map_or((name, None), |(name, end)| (name, Some(end)));
        let field: Slug = name.parse().map_err(|error: Invalid| wrong(error.to_string()))?;
        let known = filters.iter().position(|filter| filter.field == field);
        let known = known.unwrap_or_else(|| {
            filters.push(FieldFilter { field, values: Vec::new(), from: None, to: None });
            filters.len() - 1
        });
        let Some(filter) = filters.get_mut(known) else { continue };
        let twice = match end {
            None if filter.values.is_empty() => {
                let Values(values) = text.parse().map_err(wrong)?;
                filter.values = values;
                false
            }
            Some("from") => filter.from.replace(text).is_some(),
            Some("to") => filter.to.replace(text).is_some(),
            None => true,
            Some(end) => return Err(wrong(format!("a field has values, or ends `from` and `to`, and no `{end}`"))),
        };
        if twice {
            return Err(wrong(format!("duplicate field `{parameter}`")));
        }
    }
    Ok(filters)
}

/// The parameters of a query string.
fn pairs(parts: &Parts) -> Result<Vec<(String, String)>, Problem> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
        .map_err(|error| Problem::bad_request("query", error.to_string()))?;
    // What is not UTF-8 is decoded into this, and nobody sends it for itself.
    let unreadable = |text: &String| text.contains(char::REPLACEMENT_CHARACTER);
    if pairs.iter().any(|(name, _)| unreadable(name)) {
        return Err(Problem::bad_request("query", "a parameter has a name that is not UTF-8"));
    }
    if let Some((name, _)) = pairs.iter().find(|(_, value)| unreadable(value)) {
        return Err(Problem::bad_request(name, format!("the value of {name} is not UTF-8")));
    }
    Ok(pairs)
}

fn decode<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    // One after another, so that a value that does not fit can be named: the decoder itself does not say which.
    let encode = |pairs: &[(String, String)]| serde_urlencoded::to_string(pairs).unwrap_or_default();
    serde_urlencoded::from_str(&encode(pairs)).map_err(|error: serde_urlencoded::de::Error| {
        let guilty = pairs.iter().enumerate().find(|(index, pair)| {
            let alone = serde_urlencoded::from_str::<T>(&encode(std::slice::from_ref(*pair)));
            let twice = pairs.iter().take(*index).any(|(name, _)| *name == pair.0);
            twice || alone.is_err_and(|alone| alone.to_string() == error.to_string())
        });
        Problem::bad_request(guilty.map_or("query", |(_, (name, _))| name), error.to_string())
    })
}

/// The ids in the path, in order.
pub(crate) struct PathIds(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        Ok(Self(params.map_or_else(
            |_| Vec::new(),
            |params| params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        )))
    }
}

impl PathIds {
    /// The id called `name`.
    pub(crate) fn get<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let value = self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
        value.parse().map_err(|error: T::Err| Problem::bad_request(name, error.to_string()))
    }
}
