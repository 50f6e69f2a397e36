//! Whether a log has the history that a cursor has seen.

use dealog_events::{Cursor, Position};
use dealog_store::{EventStore, StoreError};

/// A cursor names an event that the log does not have at that position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtherHistory {
    /// The log ends before it.
    #[error("position {} has been seen, and the log ends at {head}: it was restored from a backup, or is another log", .cursor.position)]
    BeyondHead {
        /// What was seen.
        cursor: Cursor,
        /// The end of the log.
        head: Position,
    },
    /// Another event is there.
    #[error("at position {} another event has been seen ({cursor}, and this is {found}): the log was restored from a backup, or is another log", .cursor.position)]
    OtherEvent {
        /// What was seen.
        cursor: Cursor,
        /// What is there.
        found: Cursor,
    },
}

/// Whether the log has the history that led to a cursor. A bare position proves nothing, and must only lie within the log.
pub async fn check(store: &dyn EventStore, cursor: Cursor) -> Result<Result<(), OtherHistory>, StoreError> {
    let Some(before) = cursor.position.0.checked_sub(1) else { return Ok(Ok(())) };
    // What this process has heard of is there; without a proof, nothing more is asked.
    if cursor.proof.is_none() && cursor.position <= *store.watch().borrow() {
        return Ok(Ok(()));
    }
    let Some(event) = store.read(Position(before), 1, &[]).await?.pop() else {
        let head = store.head().await?.position;
        return Ok(Err(OtherHistory::BeyondHead { cursor, head }));
    };
    let found = Cursor::at(&event);
    Ok(if cursor.is_of(&event) { Ok(()) } else { Err(OtherHistory::OtherEvent { cursor, found }) })
}
