//! Data about a person.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::StreamId;

/// A value that says something about a person, with the stream of the one it is about. Kept apart from other data from
/// the first event on, so that it can be sealed under a key of the subject's and erased with that key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(deny_unknown_fields)]
pub enum Personal<T> {
    /// The value is in the event, for anyone who can read the event.
    Open {
        /// Whom it is about: the stream that an erasure names.
        subject: StreamId,
        /// What it says.
        value: T,
    },
    /// It can be read with the subject's key.
    Sealed {
        /// Whom it is about.
        subject: StreamId,
        /// What it says, encrypted, in base64.
        sealed: String,
    },
    /// The subject's key is gone: nobody can read it any more.
    Erased {
        /// Whom it was about.
        subject: StreamId,
        /// Always true.
        erased: True,
    },
}

/// All fields that a personal value may have. It is first parsed as this, so that an error names the wrong field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "T: Deserialize<'de>")]
struct Written<T> {
    subject: StreamId,
    #[serde(default = "none", deserialize_with = "present")]
    value: Option<T>,
    #[serde(default, deserialize_with = "present")]
    sealed: Option<String>,
    #[serde(default, deserialize_with = "present")]
    erased: Option<True>,
}

fn none<T>() -> Option<T> {
    None
}

/// A field that is there has a value: null is none.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { subject, value, sealed, erased } = Written::deserialize(deserializer)?;
        match (value, sealed, erased) {
            (Some(value), None, None) => Ok(Self::Open { subject, value }),
            (None, Some(sealed), None) => Ok(Self::Sealed { subject, sealed }),
            (None, None, Some(erased)) => Ok(Self::Erased { subject, erased }),
            (None, None, None) => Err(D::Error::custom("missing field `value`, or `sealed` or `erased` in its place")),
            _ => Err(D::Error::custom("only one of the fields `value`, `sealed` and `erased` may be there")),
        }
    }
}

/// `true`, and never anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "bool", into = "bool")]
#[schemars(extend("const" = true))]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value { Ok(Self) } else { Err("it is true, or not there") }
    }
}

impl From<True> for bool {
    fn from(True: True) -> Self {
        true
    }
}

/// Why a personal value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Without the subject's key nobody can read it.
    #[error("sealed")]
    Sealed,
    /// Nobody can read it any more.
    #[error("erased")]
    Erased,
}

impl<T> Personal<T> {
    /// An open value about `subject`.
    pub fn new(subject: StreamId, value: T) -> Self {
        Self::Open { subject, value }
    }

    /// Whom it is about.
    pub fn subject(&self) -> StreamId {
        match self {
            Self::Open { subject, .. } | Self::Sealed { subject, .. } | Self::Erased { subject, .. } => *subject,
        }
    }

    /// The value, if it is open. There is no other way to read it.
    pub fn open(&self) -> Result<&T, Closed> {
        match self {
            Self::Open { value, .. } => Ok(value),
            Self::Sealed { .. } => Err(Closed::Sealed),
            Self::Erased { .. } => Err(Closed::Erased),
        }
    }
}

impl<T: ToString> Personal<T> {
    /// What it says, or `(sealed)` or `(erased)` in its place.
    pub fn shown(&self) -> String {
        self.open().map_or_else(|closed| format!("({closed})"), ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Title;

    const SUBJECT: &str = "user-019bb3dd-c767-7f50-b2db-ce1ea08392d4";

    fn read(more: &str) -> Result<Personal<Title>, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"subject":"{SUBJECT}"{more}}}"#))
    }

    #[test]
    fn each_of_its_three_forms_is_written_as_it_was_read() {
        for (more, shown) in
            [(r#","value":"Anna""#, "Anna"), (r#","sealed":"b3Blbg==""#, "(sealed)"), (r#","erased":true"#, "(erased)")]
        {
            let personal = read(more).unwrap();
            assert_eq!(personal.subject().to_string(), SUBJECT);
            assert_eq!(personal.shown(), shown);
            assert_eq!(serde_json::to_string(&personal).unwrap(), format!(r#"{{"subject":"{SUBJECT}"{more}}}"#));
        }
    }

    #[test]
    fn only_what_is_open_can_be_opened() {
        let open = |more| read(more).unwrap().open().map(ToString::to_string);
        assert_eq!(open(r#","value":"Anna""#), Ok("Anna".to_owned()));
        assert_eq!(open(r#","sealed":"b3Blbg==""#), Err(Closed::Sealed));
        assert_eq!(open(r#","erased":true"#), Err(Closed::Erased));
    }

    #[test]
    fn anything_else_is_refused() {
        for more in [
            "",
            r#","value":"Anna","sealed":"b3Blbg==""#,
            r#","erased":false"#,
            r#","value":"""#,
            r#","value":null,"erased":true"#,
            r#","value":"Anna","sealed":null"#,
        ] {
            assert!(read(more).is_err(), "{more}");
        }
    }
}
