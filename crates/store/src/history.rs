//! That each event follows from the one before it, for whoever looks at all of a log.

use dealog_events::{CommandId, Envelope, Position, Timestamp};

use crate::{Head, StoreError, decode::PageMax};

/// What is decoded at once.
pub(crate) const PAGE: PageMax = PageMax { events: 1_000, bytes: 4 * 1024 * 1024 };

/// Sees all events up to the end of the log, page after page; `page` reads the one behind a position. `visit` may refuse the
/// log too.
pub(crate) async fn follow(
    head: Head,
    mut page: impl AsyncFnMut(Position) -> Result<Vec<Envelope>, StoreError>,
    mut visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut last = Last { position: Position::ZERO, recorded_at: Timestamp::MIN, command: None };
    while last.position < head.position {
        let events = page(last.position).await?;
        if events.is_empty() {
            let reason = "the log ends before its head says so".into();
            return Err(StoreError::Damaged { position: last.position, reason });
        }
        events.iter().try_for_each(|event| last.follow(event))?;
        visit(&events, head)?;
    }
    Ok(())
}

/// The event before, as far as the next one depends on it.
struct Last {
    position: Position,
    recorded_at: Timestamp,
    /// Its command, and how many events of it there were.
    command: Option<(CommandId, usize)>,
}

impl Last {
    fn follow(&mut self, event: &Envelope) -> Result<(), StoreError> {
        let index = match self.command {
            Some((command, events)) if command == event.command_id => events,
            _ => 0,
        };
        let reason = if event.recorded_at < self.recorded_at {
            "it was recorded before the event before it"
        } else if !event.command_id.gives(event.event_id, index) {
            "its id is not the one that its command gives it"
        } else {
            *self = Self {
                position: event.position,
                recorded_at: event.recorded_at,
                command: Some((event.command_id, index + 1)),
            };
            return Ok(());
        };
        Err(StoreError::Damaged { position: event.position, reason: reason.into() })
    }
}
