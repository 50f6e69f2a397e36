//! Parameters that take several values.

use std::str::FromStr;

use dealog_events::UserId;
use serde::{Deserialize, Deserializer, de};

/// Values of a list, separated by commas, each once. A comma within a value is written `\,`.
#[derive(Debug, Clone)]
pub(crate) struct Values<T>(pub(crate) Vec<T>);

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromStr for Values<T>
where
    T: FromStr + PartialEq,
    T::Err: std::fmt::Display,
{
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut values = Vec::new();
        for text in split(list) {
            let value = text.trim().parse().map_err(|error: T::Err| error.to_string())?;
            if !values.contains(&value) {
                values.push(value);
            }
            if values.len() > VALUES_MAX {
                return Err(format!("a list has at most {VALUES_MAX} values"));
            }
        }
        Ok(Self(values))
    }
}

/// Values of a list parameter.
const VALUES_MAX: usize = 100;

/// The parts between commas.
fn split(list: &str) -> Vec<String> {
    let (mut parts, mut escaped) = (vec![String::new()], false);
    for character in list.chars() {
        match (character, parts.last_mut()) {
            ('\\', _) if !escaped => {
                escaped = true;
                continue;
            }
            (',', _) if !escaped => parts.push(String::new()),
            (character, Some(part)) => {
                if escaped && character != ',' && character != '\\' {
                    part.push('\\');
                }
                part.push(character);
            }
            (_, None) => {}
        }
        escaped = false;
    }
    parts
}

impl<'de, T> Deserialize<'de> for Values<T>
where
    T: FromStr + PartialEq,
    T::Err: std::fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A user, or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerOrNone(pub(crate) Option<UserId>);

impl FromStr for OwnerOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse().map(Some).map(Self).map_err(|_| format!("`{text}` is neither a user's id nor `none`"))
    }
}
