//! The values that events are made of: what each accepts, refuses and writes. A value that is wrong here is wrong in every
//! log for ever, so the edges are spelled out, and what is written is read again for many random values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ids;
mod money;
mod probability;
mod round_trips;
mod texts;
mod time_zones;
mod timestamps;

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

pub(crate) const UUID: &str = "0192f3a4-5b6c-7d8e-9f00-112233445566";

pub(crate) fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

pub(crate) fn money(amount: &str, code: &str) -> Result<Money, Invalid> {
    Money::parse(amount, currency(code))
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// `value` as text and as JSON is the same value again.
#[track_caller]
pub(crate) fn assert_round_trip<T>(value: &T)
where
    T: FromStr<Err = Invalid> + ToString + Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(value));
    assert_eq!(json(value), json(&value.to_string()), "JSON is the same text");
    assert_eq!(from_json::<T>(&json(value)).as_ref(), Ok(value));
}

#[track_caller]
pub(crate) fn assert_refused<T: FromStr<Err = Invalid> + DeserializeOwned + Debug>(text: &str, expected: &str) {
    let message = text.parse::<T>().expect_err(text).to_string();
    assert!(message.contains(expected), "`{text}` gave: {message}");
    let in_json = from_json::<T>(&json(&text)).expect_err(text);
    assert!(in_json.contains(expected), "`{text}` in JSON gave: {in_json}");
}
