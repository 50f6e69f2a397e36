//! Lists in pages, and single things that may not be there.

use dealog_events::Position;
use serde::Serialize;
use utoipa::ToSchema;

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct ListPage {
    /// At most so many.
    pub limit: u32,
    /// Behind the one that this `next` named.
    pub after: Option<i64>,
}

impl Default for ListPage {
    fn default() -> Self {
        Self { limit: 50, after: None }
    }
}

impl ListPage {
    /// One row more than the page has room for tells whether there is another page.
    pub(super) fn rows(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The position that all of it began before.
    pub(super) fn before(self) -> i64 {
        self.after.unwrap_or(i64::MAX)
    }
}

/// A page of something that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Named<T> {
    /// The position that the list speaks of.
    pub position: Position,
    /// The items, newest first.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null on the last.
    pub next: Option<i64>,
}

/// One thing, if there is such a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The position that the answer speaks of.
    pub position: Position,
    /// The thing.
    pub item: Option<T>,
}

/// Cuts a list to its page, and says what the next one is behind.
pub(super) fn page<R, K>(mut rows: Vec<R>, limit: u32, key: impl Fn(&R) -> K) -> (Vec<R>, Option<K>) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(key);
    (rows, next)
}
