//! What the scrub looks at in a database: each event in turn, with the checks that every read makes. What must hold between the tables
//! is left to `dealog check`, which looks at all of them. PostgreSQL itself finds damaged pages, and reports those that are read
//! here.

use dealog_events::Position;
use sqlx::PgPool;

use super::{read, session::in_time};
use crate::{
    Limits, StoreError,
    decode::PageMax,
    history::{Last, PAGE},
    scrub::{PIECE_EVENTS, Pieces},
};

/// Scrubs a database.
pub(super) struct Scrubbing {
    readers: PgPool,
    limits: Limits,
    last: Last,
    end: Position,
}

impl Scrubbing {
    pub(super) fn new(readers: PgPool, limits: Limits) -> Self {
        Self { readers, limits, last: Last::behind(Position::ZERO), end: Position::ZERO }
    }
}

impl Pieces for Scrubbing {
    async fn begin(&mut self) -> Result<Position, StoreError> {
        self.end = in_time(&self.limits, read::head(&self.readers)).await?.position;
        self.last = Last::behind(Position::ZERO);
        Ok(self.end)
    }

    async fn next(&mut self) -> Result<Option<Position>, StoreError> {
        if self.last.position >= self.end {
            return Ok(None);
        }
        let page = PageMax { events: PIECE_EVENTS as usize, ..PAGE };
        let events = in_time(&self.limits, read::events(&self.readers, self.last.position, page, &[])).await?;
        self.last.follow_all(&events)?;
        Ok(Some(self.last.position))
    }
}
