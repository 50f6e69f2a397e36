//! What is found to be wrong, in words.

use std::{error::Error, fmt};

/// What is wrong. It is made of any error, so that `?` takes all of them.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

pub(crate) type Result<T> = std::result::Result<T, Broken>;

impl<E: Error> From<E> for Broken {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says when something was found to be wrong.
pub(crate) trait When<T> {
    fn when(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Broken>> When<T> for std::result::Result<T, E> {
    fn when(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Broken(format!("{doing}: {}", error.into())))
    }
}

/// Ends the function with what is wrong, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::broken::Broken(format!($($what)+)));
        }
    };
}
pub(crate) use ensure;
