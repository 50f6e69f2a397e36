//! What an event says, as text.

use std::{fmt, ops::Deref};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::Invalid;

/// A JSON object as it was written, to the byte. It was parsed once, so no later code has to check it again.
#[derive(Debug, Clone, Serialize)]
pub struct Object(Box<RawValue>);

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl TryFrom<String> for Object {
    type Error = Invalid;
    /// Nothing may stand around the object.
    fn try_from(text: String) -> Result<Self, Invalid> {
        let (is_object, bytes) = (text.starts_with('{'), text.len());
        match RawValue::from_string(text) {
            Ok(value) if is_object && value.get().len() == bytes => Ok(Self(value)),
            _ => Err(Invalid::new("expected a JSON object")),
        }
    }
}

impl Deref for Object {
    type Target = str;
    fn deref(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Object {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_to_the_byte_and_nothing_else_is_one() {
        let text = r#"{ "amount":1.50, "note" : "\u00e9" }"#;
        assert_eq!(&*Object::try_from(text.to_owned()).unwrap(), text);
        for text in ["", "{", "[1]", "1", "null", "{}{}", " {}", "{} ", "{a:1}"] {
            assert!(Object::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
