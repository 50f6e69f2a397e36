//! What one transaction writes, as rows: those of a batch of appends, or of a piece of a log that is copied.

use dealog_events::{Cause, CommandId, Envelope, Position, StreamId, Timestamp, Version};
use uuid::Uuid;

use crate::{
    Remembered,
    judge::{Accepted, Judged},
};

/// The rows of a transaction.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// The head before it.
    pub(crate) before: Position,
    /// The head after it.
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) events: Vec<EventRow<'a>>,
    /// The commands that brought these events.
    pub(crate) commands: Vec<Remembered>,
    /// The commands that changed nothing.
    pub(crate) unchanged_commands: Vec<Remembered>,
}

/// An event with its place in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventRow<'a> {
    pub(crate) position: Position,
    pub(crate) event_id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    pub(crate) event_type: &'a str,
    pub(crate) schema: u16,
    pub(crate) occurred_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    pub(crate) command_id: CommandId,
    pub(crate) cause: Cause,
    pub(crate) data: &'a str,
}

impl<'a> Batch<'a> {
    /// Of what was accepted, after `before`.
    pub(crate) fn of_accepted(judged: &Judged<'a>, before: Position) -> Self {
        let commands = judged.accepted.iter().map(|Accepted { append, outcome, .. }| Remembered {
            command_id: append.command_id,
            fingerprint: append.fingerprint,
            outcome: *outcome,
        });
        let (unchanged_commands, commands) = commands.partition(|command| command.outcome.events == 0);
        Self {
            before,
            position: judged.position,
            recorded_at: judged.recorded_at,
            events: judged.accepted.iter().flat_map(events).collect(),
            commands,
            unchanged_commands,
        }
    }

    /// Of events as they are elsewhere, and the commands that brought them; none where there are no events.
    pub(crate) fn of_copied(events: &'a [Envelope], commands: &[Remembered]) -> Option<Self> {
        let (first, last) = (events.first()?, events.last()?);
        Some(Self {
            before: Position(first.position.0.saturating_sub(1)),
            position: last.position,
            recorded_at: last.recorded_at,
            events: events.iter().map(EventRow::from).collect(),
            commands: commands.to_vec(),
            unchanged_commands: Vec::new(),
        })
    }
}

fn events<'a>(accepted: &Accepted<'a>) -> impl Iterator<Item = EventRow<'a>> {
    let Accepted { append, outcome, recorded_at } = *accepted;
    let before = append.events.len() as u64;
    let (position, version) = (outcome.position.0 - before, outcome.version.0 - before);
    append.events.iter().enumerate().map(move |(index, event)| {
        let number = index as u64 + 1;
        EventRow {
            position: Position(position + number),
            event_id: append.command_id.event_id(index),
            stream: append.stream,
            version: Version(version + number),
            event_type: event.event_type,
            schema: event.schema,
            occurred_at: event.occurred_at,
            recorded_at,
            command_id: append.command_id,
            cause: append.cause,
            data: &event.data,
        }
    })
}

impl<'a> From<&'a Envelope> for EventRow<'a> {
    fn from(event: &'a Envelope) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            stream: event.stream,
            version: event.version,
            event_type: &event.event_type,
            schema: event.schema,
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
            command_id: event.command_id,
            cause: event.cause,
            data: &event.data,
        }
    }
}
