//! The rows of a batch as parameters of one statement a table, all sent together.
//!
//! A statement a row costs a trip to the connection's thread each, a statement with a parameter a value must be compiled
//! anew for every number of rows. So the rows of a table travel as one JSON array that `json_each` takes apart; it is
//! written by hand, since every text in it is one that needs no escaping. The events' data travels beside it as bytes,
//! with offsets in the rows: it reaches its column without passing through any encoding.

use std::{
    collections::HashMap,
    fmt::{Display, Write as _},
};

use dealog_events::CommandId;
use uuid::Uuid;

use crate::{Remembered, batch::EventRow};

/// Bytes of the JSON of one event: mostly ids.
const EVENT_ROW_BYTES: usize = 384;

/// Bytes of the JSON of one command.
const ROW_BYTES: usize = 224;

/// Writes the rows of a transaction: events and their data (`?1`, `?2`), commands (`?3`), and the head from `?4` to `?5`, at
/// `?6`. Returns a row if the head was there.
///
/// Events come first: their triggers compare them with the head and the streams as they were. The event before it in its
/// stream is named where it is in the same transaction; otherwise it is the stream's last so far.
pub(super) const INSERT: &str = "
    INSERT INTO events (position, event_id, stream, version, previous, type, schema, occurred_at, recorded_at, actor,
        command_id, correlation_id, causation_id, data)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3,
        coalesce(value ->> 4, (SELECT position FROM streams WHERE stream = value ->> 2)),
        value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, unhex(value ->> 10), unhex(value ->> 11),
        unhex(value ->> 12), CAST(substr(?2, value ->> 13, value ->> 14) AS TEXT)
    FROM jsonb_each(?1);

    INSERT INTO commands (command_id, fingerprint, stream, version, position, events)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM jsonb_each(?3);

    UPDATE head SET position = ?5, recorded_at = ?6 WHERE position = ?4 RETURNING position";

/// Writes commands that changed nothing (`?1`), and removes as many again, and a few more, of those that have been kept for the
/// hours that they must be (`?2`). So the table shrinks where it can, and no batch has much of that to do.
pub(super) const INSERT_UNCHANGED: &str = "
    DELETE FROM unchanged_commands WHERE command_id IN (
        SELECT command_id FROM unchanged_commands WHERE at < (unixepoch('subsec') - ?2 * 3600) * 1000000
        ORDER BY at LIMIT (SELECT 2 * count(*) FROM json_each(?1)));

    INSERT INTO unchanged_commands (command_id, fingerprint, stream, version, position)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1)";

/// For [`INSERT`]: the rows, and the data of all events one after another.
pub(super) fn events(events: &[EventRow<'_>]) -> (String, Vec<u8>) {
    let mut rows = Rows::with_capacity(events.len() * EVENT_ROW_BYTES);
    let mut data = Vec::with_capacity(events.iter().map(|event| event.data.len()).sum());
    let mut last = HashMap::with_capacity(events.len());
    for event in events {
        rows.begin();
        rows.plain(event.position);
        rows.id(event.event_id);
        rows.text(event.stream);
        rows.plain(event.version);
        rows.or_null(last.insert(event.stream, event.position), Rows::plain);
        rows.text(event.event_type);
        rows.plain(event.schema);
        rows.plain(event.occurred_at.micros());
        rows.plain(event.recorded_at.micros());
        rows.text(event.cause.actor);
        rows.id(event.command_id.0);
        rows.id(event.cause.correlation_id);
        rows.or_null(event.cause.causation_id, Rows::id);
        // SQL counts from 1.
        rows.plain(data.len() + 1);
        rows.plain(event.data.len());
        data.extend_from_slice(event.data.as_bytes());
    }
    (rows.end(), data)
}

/// For [`INSERT`] and [`INSERT_UNCHANGED`].
pub(super) fn commands(commands: &[Remembered]) -> String {
    let mut rows = Rows::with_capacity(commands.len() * ROW_BYTES);
    for Remembered { command_id, fingerprint, outcome } in commands {
        rows.begin();
        rows.id(command_id.0);
        rows.hex(&fingerprint.0);
        rows.text(outcome.stream);
        rows.plain(outcome.version);
        rows.plain(outcome.position);
        rows.plain(outcome.events);
    }
    rows.end()
}

/// Ids as a JSON array of hexadecimal texts.
pub(super) fn ids(ids: impl Iterator<Item = CommandId>) -> String {
    list(ids.map(|id| id.0.simple()))
}

/// Values as a JSON array of texts, none of which needs escaping.
pub(super) fn list(texts: impl Iterator<Item = impl Display>) -> String {
    let mut json = String::from("[");
    for text in texts {
        json.push_str(if json.len() > 1 { ",\"" } else { "\"" });
        put(&mut json, text);
        json.push('"');
    }
    json.push(']');
    json
}

fn put(json: &mut String, value: impl Display) {
    // A String takes whatever is written to it.
    let _ = write!(json, "{value}");
}

struct Rows(String);

impl Rows {
    fn with_capacity(bytes: usize) -> Self {
        let mut json = String::with_capacity(bytes + 2);
        json.push('[');
        Self(json)
    }

    fn begin(&mut self) {
        self.0.push_str(if self.0.len() > 1 { "],[" } else { "[" });
    }

    fn next(&mut self) {
        if !self.0.ends_with('[') {
            self.0.push(',');
        }
    }

    fn plain(&mut self, value: impl Display) {
        self.next();
        put(&mut self.0, value);
    }

    fn or_null<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => put(self, value),
            None => self.plain("null"),
        }
    }

    fn text(&mut self, value: impl Display) {
        self.next();
        self.0.push('"');
        put(&mut self.0, value);
        self.0.push('"');
    }

    fn id(&mut self, id: Uuid) {
        self.next();
        self.0.push('"');
        self.0.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        self.0.push('"');
    }

    fn hex(&mut self, bytes: &[u8]) {
        self.next();
        self.0.push('"');
        for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]) {
            self.0.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        self.0.push('"');
    }

    fn end(mut self) -> String {
        self.0.push_str(if self.0.len() > 1 { "]]" } else { "]" });
        self.0
    }
}
