//! JSON of which every key counts: one that comes twice in an object is refused, since readers differ in which of the two
//! they believe.

use std::fmt;

use serde::{
    Deserializer, Serialize as _,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// A key comes twice.
    #[error("the key `{0}` comes twice in an object: send it once")]
    Twice(String),
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// The one value in these bytes.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Unfit> {
    let mut twice = None;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Each { twice: &mut twice }.deserialize(&mut deserializer);
    match (value, twice) {
        (_, Some(key)) => Err(Unfit::Twice(key)),
        (value, None) => {
            let value = value?;
            deserializer.end()?;
            Ok(value)
        }
    }
}

/// Reads a value, and remembers a key that came twice.
struct Each<'a> {
    twice: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Each<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        value.serialize(serde_json::value::Serializer).map_err(E::custom)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element_seed(Each { twice: self.twice })? {
            found.push(item);
        }
        Ok(found.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if found.contains_key(&key) {
                *self.twice = Some(key);
                return Err(A::Error::custom("a key comes twice"));
            }
            found.insert(key, entries.next_value_seed(Each { twice: self.twice })?);
        }
        Ok(found.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_each_key_once_is_read_as_ever() {
        let text = r#"{"a": [1, -2, 0.5, null, true, "x\u0041"], "b": {"a": {}}, "c": 18446744073709551615}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        for text in ["", "{", "{} {}", "nul", "[1,]", "{\"a\"}", "\u{feff}{}"] {
            assert!(matches!(parse(text.as_bytes()), Err(Unfit::NotJson(_))), "{text}");
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_named_wherever_it_is() {
        for text in [r#"{"a": 1, "b": 2, "a": 1}"#, r#"{"b": [{"c": {"a": 1, "\u0061": 2}}]}"#] {
            let refused = parse(text.as_bytes()).unwrap_err();
            assert!(matches!(&refused, Unfit::Twice(key) if key == "a"), "{text}: {refused}");
        }
    }
}
