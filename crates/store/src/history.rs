//! That each event follows from the one before it.

use dealog_events::{CommandId, Envelope, Position, Timestamp};

use crate::{Head, StoreError, decode::PageMax};

/// What is decoded at once.
pub(crate) const PAGE: PageMax = PageMax { events: 1_000, bytes: 4 * 1024 * 1024 };

/// More events than a command ever has: which of them an event is that was read alone is looked for among so many.
const COMMAND_EVENTS_MAX: u64 = 65_536;

/// Sees all events up to the end of the log, page after page; `page` reads the one behind a position. `visit` may refuse the
/// log too.
pub(crate) async fn follow(
    head: Head,
    mut page: impl AsyncFnMut(Position) -> Result<Vec<Envelope>, StoreError>,
    mut visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut last = Last::behind(Position::ZERO);
    while last.position < head.position {
        let events = page(last.position).await?;
        last.follow_all(&events)?;
        visit(&events, head)?;
    }
    Ok(())
}

/// The event before, as far as the next one depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(crate) position: Position,
    recorded_at: Timestamp,
    /// Its command, and which of its events it is; none where that event was not seen.
    command: Option<(CommandId, usize)>,
}

impl Last {
    /// An event at this position of which nothing else is known.
    pub(crate) fn behind(position: Position) -> Self {
        Self { position, recorded_at: Timestamp::MIN, command: None }
    }

    /// Checks these events in order and moves to the last. An empty page is damage: the log does not end here.
    pub(crate) fn follow_all(&mut self, events: &[Envelope]) -> Result<(), StoreError> {
        if events.is_empty() {
            let reason = "the log ends before its head says so".into();
            return Err(StoreError::Damaged { position: self.position, reason });
        }
        events.iter().try_for_each(|event| self.follow(event))
    }

    /// Checks that an event can follow, directly or with others between them, and moves to it.
    pub(crate) fn follow(&mut self, event: &Envelope) -> Result<(), StoreError> {
        let reason = if event.recorded_at < self.recorded_at {
            "it was recorded before the event before it"
        } else if let Some(index) = self.index(event) {
            *self = Self {
                position: event.position,
                recorded_at: event.recorded_at,
                command: Some((event.command_id, index)),
            };
            return Ok(());
        } else {
            "its id is not the one that its command gives it"
        };
        Err(StoreError::Damaged { position: event.position, reason: reason.into() })
    }

    /// Which event of its command it is; none where that has no such event.
    fn index(&self, event: &Envelope) -> Option<usize> {
        let gives = |index: &usize| event.command_id.gives(event.event_id, *index);
        match self.command {
            Some((command, index)) if event.position == self.position.next() => {
                Some(if command == event.command_id { index + 1 } else { 0 }).filter(gives)
            }
            // The events of a command are in one stream.
            _ => (0..usize::try_from(event.version.0.min(COMMAND_EVENTS_MAX)).unwrap_or(usize::MAX)).find(gives),
        }
    }
}
