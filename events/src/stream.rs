//! How the name of a stream is written.

use std::fmt;

use crate::StreamId;

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let category = self.category().name();
        match self.id() {
            Some(id) => write!(f, "{category}-{id}"),
            None => f.write_str(category),
        }
    }
}

string_type!(
    StreamId,
    "StreamId",
    "The name of a stream: category-uuid, or settings.",
    None,
    "deal-0192f3a4-5b6c-7d8e-9f00-112233445566"
);
