//! Parameters and bodies, with errors that name the field.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The query string as `T`.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
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
        // One after another, so that a value that does not fit can be named: the decoder itself does not say which.
        let encode = |pairs: &[(String, String)]| serde_urlencoded::to_string(pairs).unwrap_or_default();
        serde_urlencoded::from_str(&encode(&pairs)).map(Self).map_err(|error: serde_urlencoded::de::Error| {
            let guilty = pairs.iter().enumerate().find(|(index, pair)| {
                let alone = serde_urlencoded::from_str::<T>(&encode(std::slice::from_ref(*pair)));
                let twice = pairs.iter().take(*index).any(|(name, _)| *name == pair.0);
                twice || alone.is_err_and(|alone| alone.to_string() == error.to_string())
            });
            Problem::bad_request(guilty.map_or("query", |(_, (name, _))| name), error.to_string())
        })
    }
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
