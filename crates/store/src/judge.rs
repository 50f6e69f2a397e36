//! Who of a batch is appended and who is not.
//!
//! Many appends share one transaction, but each is judged alone and in order, against what the database said under the
//! head lock plus what the ones before it changed. So no append of a batch can harm its neighbours, and both back ends
//! judge by the same code: nothing here knows SQL.

use std::collections::HashMap;

use dealog_events::{CommandId, Position, StreamId, Timestamp, Version};

use crate::{Append, AppendError, Appended, Limits, Remembered};

/// Where a stream ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamEnd {
    pub(crate) version: Version,
    pub(crate) occurred_at: Timestamp,
}

/// What the database says, under the head lock, of all that a batch names.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) commands: HashMap<CommandId, Remembered>,
    pub(crate) streams: HashMap<StreamId, StreamEnd>,
}

/// An append that is to be written: its events, or that there were none.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) append: &'a Append,
    pub(crate) outcome: Appended,
    pub(crate) recorded_at: Timestamp,
}

/// The verdict on a batch: one outcome for each append, in order, and what to write so that the outcomes come true.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) outcomes: Vec<Result<Appended, AppendError>>,
    pub(crate) accepted: Vec<Accepted<'a>>,
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
}

/// What can be told from the append alone; asked before it is queued, so that it costs the caller and not the queue.
pub(crate) fn check(append: &Append, limits: &Limits) -> Result<(), AppendError> {
    at_most("events of one command", append.events.len(), limits.append_events_max)?;
    for event in &append.events {
        at_most("bytes of the data of one event", event.data.len(), limits.event_bytes_max)?;
        if !is_type_name(event.event_type) || event.schema == 0 {
            let (event_type, schema) = (event.event_type, event.schema);
            return Err(AppendError::Malformed(format!("`{event_type}` version {schema} is not an event type")));
        }
        if !is_json_object(&event.data) {
            return Err(AppendError::Malformed(format!("the data of `{}` is not a JSON object", event.event_type)));
        }
    }
    Ok(())
}

/// The streams that a batch names: those that would grow, and those that must not have grown.
pub(crate) fn streams(batch: &[Append]) -> impl Iterator<Item = StreamId> {
    batch
        .iter()
        .flat_map(|append| std::iter::once(append.stream).chain(append.unchanged.iter().map(|(stream, _)| *stream)))
}

/// Judges the appends in order.
pub(crate) fn judge<'a>(batch: &'a [Append], known: Known, limits: &Limits) -> Judged<'a> {
    let mut bench =
        Bench { known, stream_events_max: limits.stream_events_max, grown: HashMap::new(), accepted: vec![] };
    let outcomes = batch.iter().map(|append| bench.judge(append)).collect();
    Judged { outcomes, accepted: bench.accepted, position: bench.known.position, recorded_at: bench.known.recorded_at }
}

struct Bench<'a> {
    known: Known,
    stream_events_max: u64,
    grown: HashMap<StreamId, StreamEnd>,
    accepted: Vec<Accepted<'a>>,
}

impl<'a> Bench<'a> {
    fn judge(&mut self, append: &'a Append) -> Result<Appended, AppendError> {
        // The first outcome stands whatever has become of the streams since, so it is asked for before all else.
        if let Some(first) = self.known.commands.get(&append.command_id) {
            return replay(first, append);
        }
        let end = self.end(append.stream);
        self.expect(append.stream, append.expected)?;
        append.unchanged.iter().try_for_each(|(stream, version)| self.expect(*stream, *version))?;
        if append.events.is_empty() {
            return Ok(self.accept(append, end));
        }
        let version = Version(end.version.0.saturating_add(append.events.len() as u64));
        if version.0 > self.stream_events_max {
            let (max, found) = (self.stream_events_max, version.0);
            return Err(AppendError::Limit { what: "events of one stream", max, found });
        }
        let occurred_at = last_occurred(append, end.occurred_at)?;
        Ok(self.accept(append, StreamEnd { version, occurred_at }))
    }

    fn end(&self, stream: StreamId) -> StreamEnd {
        let none = StreamEnd { version: Version::ZERO, occurred_at: Timestamp::MIN };
        self.grown.get(&stream).or_else(|| self.known.streams.get(&stream)).copied().unwrap_or(none)
    }

    fn expect(&self, stream: StreamId, expected: Version) -> Result<(), AppendError> {
        let found = self.end(stream).version;
        if found == expected { Ok(()) } else { Err(AppendError::Conflict { stream, expected, found }) }
    }

    fn accept(&mut self, append: &'a Append, end: StreamEnd) -> Appended {
        let known = &mut self.known;
        if !append.events.is_empty() {
            known.position = Position(known.position.0.saturating_add(append.events.len() as u64));
            known.recorded_at = known.recorded_at.max(append.now);
            self.grown.insert(append.stream, end);
        }
        let outcome = Appended {
            stream: append.stream,
            version: end.version,
            position: known.position,
            events: u32::try_from(append.events.len()).unwrap_or(u32::MAX),
            replayed: false,
            looked_up: false,
        };
        let Append { command_id, fingerprint, .. } = *append;
        let remembered = Remembered { command_id, fingerprint, outcome: Appended { replayed: true, ..outcome } };
        known.commands.insert(command_id, remembered);
        self.accepted.push(Accepted { append, outcome, recorded_at: known.recorded_at });
        outcome
    }
}

/// What a command that was appended before is told.
pub(crate) fn replay(first: &Remembered, append: &Append) -> Result<Appended, AppendError> {
    if first.fingerprint == append.fingerprint {
        Ok(first.outcome)
    } else {
        Err(AppendError::FingerprintMismatch(append.command_id))
    }
}

fn last_occurred(append: &Append, end: Timestamp) -> Result<Timestamp, AppendError> {
    append.events.iter().try_fold(end, |last, event| {
        if event.occurred_at >= last {
            return Ok(event.occurred_at);
        }
        let (stream, found) = (append.stream, event.occurred_at);
        Err(AppendError::Malformed(format!("time runs backwards in {stream}: {found} after {last}")))
    })
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), AppendError> {
    if found <= max { Ok(()) } else { Err(AppendError::Limit { what, max: max as u64, found: found as u64 }) }
}

/// Dotted lower case: such a name needs no escaping anywhere.
pub(crate) fn is_type_name(name: &str) -> bool {
    name.contains('.') && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_'))
}

pub(crate) fn is_json_object(data: &str) -> bool {
    let value = serde_json::from_str::<&serde_json::value::RawValue>(data);
    // Nothing may stand around it: it is kept to the byte.
    data.starts_with('{') && value.is_ok_and(|value| value.get().len() == data.len())
}
