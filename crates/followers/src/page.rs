//! Pages of the log, of all its events or of some types.

use dealog_events::{Cursor, Envelope, Position};
use dealog_store::{EventStore, Head, StoreError};

use crate::{OtherHistory, check};

/// Events, and how far they lead.
pub struct Page {
    /// The end of the log, as it was before the events were read.
    pub head: Head,
    /// Events in the order of the log.
    pub events: Vec<Envelope>,
    /// Where to go on: nothing that was asked for lies before it that is not in `events`.
    pub next: Cursor,
}

impl Page {
    /// Events behind a cursor, if it is of this log's history.
    pub async fn behind(
        store: &dyn EventStore,
        cursor: Cursor,
        limit: usize,
        types: &[String],
    ) -> Result<Result<Self, OtherHistory>, StoreError> {
        let before = cursor.position.0.checked_sub(1).filter(|_| cursor.proof.is_some() && types.is_empty());
        let Some(before) = before else {
            return Ok(match check(store, cursor).await? {
                Ok(()) => Ok(Self::read(store, store.head().await?, cursor.position, limit, types).await?),
                Err(other) => Err(other),
            });
        };
        // The event that was seen comes along with those that follow it.
        let head = store.head().await?;
        let mut events = store.read(Position(before), limit + 1, &[]).await?;
        if events.is_empty() {
            return Ok(Err(OtherHistory::BeyondHead { cursor, head: head.position }));
        }
        let seen = events.remove(0);
        if !cursor.is_of(&seen) {
            return Ok(Err(OtherHistory::OtherEvent { cursor, found: Cursor::at(&seen) }));
        }
        if events.is_empty() && cursor.position < head.position {
            // It was as large as a page may be.
            events = store.read(cursor.position, limit, &[]).await?;
        }
        let next = events.last().map_or(cursor, Cursor::at);
        Ok(Ok(Self { head, events, next }))
    }

    /// Events after `after`, at most `limit`; where `types` names any, only those. The caller has asked for `head` before: an event
    /// that comes in between is then after `next`, and not lost.
    pub async fn read(
        store: &dyn EventStore,
        head: Head,
        after: Position,
        limit: usize,
        types: &[String],
    ) -> Result<Self, StoreError> {
        let events = store.read(after, limit, types).await?;
        let next = match events.last() {
            None => at(store, head.position).await?,
            Some(last) if types.is_empty() || events.len() == limit => Cursor::at(last),
            // It is short because nothing follows, or because of its bytes.
            Some(last) if last.position < head.position && store.read(last.position, 1, types).await?.is_empty() => {
                at(store, head.position).await?
            }
            Some(last) => Cursor::at(last),
        };
        Ok(Self { head, events, next })
    }
}

/// The cursor for a position of the log, with the proof that belongs to it.
pub async fn at(store: &dyn EventStore, position: Position) -> Result<Cursor, StoreError> {
    let Some(before) = position.0.checked_sub(1) else { return Ok(Cursor::START) };
    let event = store.read(Position(before), 1, &[]).await?.pop();
    Ok(event.map_or(Cursor::bare(position), |event| Cursor::at(&event)))
}
