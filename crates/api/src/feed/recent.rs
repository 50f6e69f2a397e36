//! The end of the log, kept in memory and rendered once for all subscribers.
//!
//! Everything here goes by position: whoever asks says where they are and gets what follows. So it does not matter which
//! part of the way a subscriber came by pages of the log and which by this, and nothing is left out or told twice.

use std::{collections::VecDeque, io::Write as _, sync::Arc};

use axum::body::Bytes;
use dealog_events::{Envelope, Position};

/// Events that follow each other in the log, rendered as messages of a stream.
#[derive(Debug)]
pub(super) struct Batch {
    /// The position that it leads to: that of its last event, or a later one where only some types were asked for.
    pub(super) last: Position,
    text: Bytes,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    position: Position,
    event_type: String,
    /// Where its text ends; it begins where the one before ends.
    end: usize,
}

impl Batch {
    pub(super) fn render(events: Vec<Envelope>, last: Position) -> Result<Self, serde_json::Error> {
        let mut text = Vec::new();
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            write!(text, "id: {}\nevent: {}\ndata: ", event.position, event.event_type)
                .map_err(serde_json::Error::io)?;
            serde_json::to_writer(&mut text, &event)?;
            text.extend_from_slice(b"\n\n");
            messages.push(Message { position: event.position, event_type: event.event_type, end: text.len() });
        }
        Ok(Self { last, text: text.into(), messages })
    }

    /// The messages after `after` of these types (all types where none is named), and the position of the last of them.
    pub(super) fn select(&self, after: Position, types: &[String]) -> Option<(Bytes, Position)> {
        let seen = self.messages.partition_point(|message| message.position <= after);
        let begin = self.messages.get(..seen)?.last().map_or(0, |message| message.end);
        let new = self.messages.get(seen..)?;
        if types.is_empty() {
            return new.last().map(|last| (self.text.slice(begin..), last.position));
        }
        let (mut text, mut last, mut begin) = (Vec::new(), None, begin);
        for message in new {
            if types.contains(&message.event_type) {
                text.extend_from_slice(self.text.get(begin..message.end)?);
                last = Some(message.position);
            }
            begin = message.end;
        }
        last.map(|last| (text.into(), last))
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
    /// The position before the first of them.
    start: Position,
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
    /// Nothing, at the end of a log.
    pub(super) fn at(head: Position) -> Self {
        Self { start: head, batches: VecDeque::new(), events: 0, bytes: 0 }
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

    /// The last position of what is kept.
    pub(super) fn end(&self) -> Position {
        self.batches.back().map_or(self.start, |batch| batch.last)
    }

    pub(super) fn place(&self, reached: Position) -> Place {
        if reached < self.start {
            return Place::Behind;
        }
        let next = self.batches.partition_point(|batch| batch.last <= reached);
        self.batches.get(next).map_or(Place::AtEnd, |batch| Place::Within(Arc::clone(batch)))
    }
}
