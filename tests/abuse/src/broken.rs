//! What was found to be wrong, in words.

use std::{error::Error, fmt};

/// What is wrong. Any error becomes one, so `?` takes them all.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

pub(crate) type Result<T> = std::result::Result<T, Broken>;

impl<E: Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
