//! The end of the log, kept in memory and rendered once for all subscribers.
//!
//! Everything here goes by position: a subscriber says where it is and gets what follows. So it does not matter which
//! part of the way a subscriber came by pages of the log and which by this, and nothing is left out or told twice.

use std::{collections::VecDeque, io::Write as _, sync::Arc, vec};

use axum::body::Bytes;
use dealog_events::{Cursor, Envelope, Position};

use crate::room::Held;

/// A batch ends when it has this many bytes; the event that reaches them is included. A slow subscriber keeps its batch in memory,
/// and nobody keeps more.
pub(super) const BATCH_BYTES_MAX: usize = 192 * 1024;
/// The same of what is copied for one subscriber, since others are asked for other types.
const COPY_BYTES_MAX: usize = 16 * 1024;

/// Events that follow each other in the log, rendered as messages of a stream.
#[derive(Debug)]
pub(super) struct Batch {
    /// Where it leads to: its last event, or a later one where only some types were asked for.
    pub(super) last: Cursor,
    text: Bytes,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    cursor: Cursor,
    event_type: String,
    /// Where its text ends; it begins where the one before ends.
    end: usize,
}

/// What a subscriber is sent of a batch.
#[derive(Debug)]
pub(super) struct Selected {
    /// Messages, and the last of their ids; none where nothing of the batch was asked for.
    pub(super) text: Option<(Bytes, Cursor)>,
    /// All up to here was sent or was not asked for.
    pub(super) reached: Cursor,
}

/// Text, and the room that it takes: they go together.
struct Kept {
    text: Bytes,
    _room: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Batch {
    /// As many of these events as a batch has, from the first on. It leads to `last` if none is left.
    pub(super) fn render(events: &mut vec::IntoIter<Envelope>, last: Cursor) -> Result<Self, serde_json::Error> {
        let mut text = Vec::new();
        let mut messages = Vec::new();
        while text.len() < BATCH_BYTES_MAX
            && let Some(event) = events.next()
        {
            let cursor = Cursor::at(&event);
            write!(text, "id: {cursor}\nevent: {}\ndata: ", event.event_type).map_err(serde_json::Error::io)?;
            serde_json::to_writer(&mut text, &event)?;
            text.extend_from_slice(b"\n\n");
            messages.push(Message { cursor, event_type: event.event_type, end: text.len() });
        }
        text.shrink_to_fit();
        let cut_off = messages.last().filter(|_| !events.as_slice().is_empty());
        let last = cut_off.map_or(last, |message: &Message| message.cursor);
        Ok(Self { last, text: text.into(), messages })
    }

    /// The same, which takes room for as long as any of its text is kept.
    pub(super) fn in_room(self, mut room: Held) -> Self {
        room.keep(self.text.len());
        Self { text: Bytes::from_owner(Kept { text: self.text, _room: room }), ..self }
    }

    /// How many events it has.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The messages after `after` of these types, or of all types where none is named. Those of some types are copied, and only so
    /// many at once.
    pub(super) fn select(&self, after: Cursor, types: &[String]) -> Selected {
        let seen = self.messages.partition_point(|message| message.cursor.position <= after.position);
        let (old, new) = self.messages.split_at_checked(seen).unwrap_or_default();
        let mut begin = old.last().map_or(0, |message| message.end);
        if types.is_empty() {
            let text = new.last().map(|last| (self.text.slice(begin..), last.cursor));
            return Selected { text, reached: self.last };
        }
        let (mut text, mut last, mut reached) = (Vec::new(), None, self.last);
        for message in new {
            if types.contains(&message.event_type) {
                if text.len() >= COPY_BYTES_MAX {
                    reached = last.unwrap_or(after);
                    break;
                }
                text.extend_from_slice(self.text.get(begin..message.end).unwrap_or_default());
                last = Some(message.cursor);
            }
            begin = message.end;
        }
        Selected { text: last.map(|last| (text.into(), last)), reached }
    }
}

/// How much of the log is kept here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) events_max: usize,
    pub(super) bytes_max: usize,
}

/// The last events of the log, without a gap.
#[derive(Debug)]
pub(super) struct Recent {
    number: u64,
    /// The event before the first of them.
    start: Cursor,
    batches: VecDeque<Arc<Batch>>,
    events: usize,
    bytes: usize,
}

/// What there is for someone at a position.
#[derive(Debug)]
pub(super) enum Place {
    /// Nothing yet.
    AtEnd,
    /// This batch has what follows.
    Within(Arc<Batch>),
    /// What follows is no longer here, or never was.
    Behind,
}

impl Recent {
    /// Nothing, at the end of a log. It has a number of its own.
    pub(super) fn at(head: Cursor, number: u64) -> Self {
        Self { number, start: head, batches: VecDeque::new(), events: 0, bytes: 0 }
    }

    /// Adds what follows, and lets go of what is over the bounds. What was added last stays, whatever its size.
    pub(super) fn push(&mut self, batch: Batch, bounds: Bounds) {
        self.events += batch.messages.len();
        self.bytes += batch.text.len();
        self.batches.push_back(Arc::new(batch));
        while self.batches.len() > 1 && (self.events > bounds.events_max || self.bytes > bounds.bytes_max) {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.events -= oldest.messages.len();
            self.bytes -= oldest.text.len();
            self.start = oldest.last;
        }
    }

    /// Tells it from what was kept earlier: between the two, the reader of the log has rested or met with trouble.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The last event of what is kept.
    pub(super) fn end(&self) -> Cursor {
        self.batches.back().map_or(self.start, |batch| batch.last)
    }

    pub(super) fn place(&self, reached: Position) -> Place {
        if reached < self.start.position {
            return Place::Behind;
        }
        let next = self.batches.partition_point(|batch| batch.last.position <= reached);
        self.batches.get(next).map_or(Place::AtEnd, |batch| Place::Within(Arc::clone(batch)))
    }
}
