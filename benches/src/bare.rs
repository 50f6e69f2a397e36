//! The bare append: what has to be written for a batch of events, and nothing else.
//!
//! The same file as the real log, with its schema, triggers and pragmas: head, streams, command ids and events, each with
//! one statement, and a commit. Nobody is asked, nothing is judged and nobody waits; the statements' parameters are made
//! before the clock starts.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use dealog_events::{
    Actor, Cause, CommandId, DealId, Envelope, Event, PipelineId, Position, StreamId, Timestamp, Version,
};
use dealog_store::{EventStore as _, Limits, sqlite::SqliteStore};
use serde_json::{Value, json};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use crate::{
    Result,
    moving::DEALS,
    table::{millis, rate},
};

/// With what is written of their streams, which a trigger does.
const EVENTS: &str = "
    INSERT INTO events (position, event_id, stream, version, previous, type, schema, occurred_at, recorded_at, actor,
        command_id, correlation_id, causation_id, data)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9, unhex(value ->> 10), unhex(value ->> 11), unhex(value ->> 12), value ->> 13
    FROM jsonb_each(?1)";

const COMMANDS: &str = "
    INSERT INTO commands (command_id, fingerprint, stream, version, position, events)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM jsonb_each(?1)";

const HEAD: &str = "UPDATE head SET position = ?1, recorded_at = ?2";

/// A log that is written to without asking it anything.
pub(crate) struct Bare {
    db: SqliteConnection,
    position: u64,
    /// How often each deal has been moved.
    moved: HashMap<usize, u64>,
    ends: Ends,
}

/// The last event of each stream.
pub(crate) type Ends = HashMap<StreamId, Position>;

/// The parameters of the statements of one transaction.
pub(crate) struct Batch {
    head: (i64, i64),
    events: String,
    commands: String,
}

impl Bare {
    pub(crate) async fn create(folder: &Path) -> Result<Self> {
        let path = folder.join("log.db");
        SqliteStore::open(&path, Limits::default()).await?.close().await;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-16384")
            .pragma("wal_autocheckpoint", "8192")
            .pragma("journal_size_limit", "67108864");
        Ok(Self { db: options.connect().await?, position: 0, moved: HashMap::new(), ends: Ends::new() })
    }

    /// Events a second, where each transaction has so many moves of different deals.
    pub(crate) async fn rate(&mut self, batch_events: usize, slice: Duration) -> Result<f64> {
        let (mut written, mut took) = (0, Duration::ZERO);
        while took < slice {
            let events = (0..batch_events).map(|_| self.next_move()).collect::<Result<Vec<_>>>()?;
            let batch = Batch::of(&events, &mut self.ends)?;
            took += self.write(&batch).await?;
            written += batch_events;
        }
        Ok(rate(written, took))
    }

    /// What appends of one event each took, in milliseconds.
    pub(crate) async fn alone(&mut self, slice: Duration) -> Result<Vec<f64>> {
        let (begun, mut took) = (Instant::now(), Vec::new());
        while begun.elapsed() < slice {
            let event = self.next_move()?;
            let batch = Batch::of(&[event], &mut self.ends)?;
            took.push(millis(self.write(&batch).await?));
        }
        Ok(took)
    }

    /// Writes a batch, and tells how long that took.
    pub(crate) async fn write(&mut self, batch: &Batch) -> Result<Duration> {
        let begun = Instant::now();
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await?;
        // Events first: their triggers compare them with the head as it was.
        sqlx::query(EVENTS).bind(&batch.events).execute(&mut *transaction).await?;
        sqlx::query(COMMANDS).bind(&batch.commands).execute(&mut *transaction).await?;
        sqlx::query(HEAD).bind(batch.head.0).bind(batch.head.1).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(begun.elapsed())
    }

    fn next_move(&mut self) -> Result<Envelope> {
        self.position += 1;
        let deal = usize::try_from(self.position)? % DEALS;
        let version = self.moved.entry(deal).or_default();
        *version += 1;
        let (from, to) = if version.is_multiple_of(2) { ("lead", "offer") } else { ("offer", "lead") };
        let moved = dealog_events::deal::StageMoved {
            pipeline: PipelineId(Uuid::from_u128(1)),
            from: from.parse()?,
            to: to.parse()?,
            reason: None,
        };
        let event = Event::from(moved);
        let (event_type, schema) = event.event_type();
        let (command_id, now) = (CommandId(Uuid::now_v7()), Timestamp::from(chrono::Utc::now()));
        Ok(Envelope {
            position: Position(self.position),
            event_id: command_id.event_id(0),
            stream: StreamId::Deal(DealId(Uuid::from_u128(deal as u128))),
            version: Version(*version),
            event_type: event_type.to_owned(),
            schema,
            occurred_at: now,
            recorded_at: now,
            command_id,
            cause: Cause::new(Actor::Local, command_id),
            data: event.to_json()?.try_into()?,
        })
    }
}

impl Batch {
    /// Of events that follow each other in the log; none of their commands goes on beyond them.
    pub(crate) fn of(events: &[Envelope], ends: &mut Ends) -> Result<Self> {
        let last = events.last().ok_or("a batch has events")?;
        let (mut rows, mut commands) = (Vec::new(), HashMap::new());
        for event in events {
            rows.push(event_row(event, ends.insert(event.stream, event.position)));
            let count = commands.get(&event.command_id).map_or(1, |(_, count)| count + 1);
            commands.insert(event.command_id, (event, count));
        }
        let commands: Vec<Value> = commands.into_values().map(|(last, count)| command_row(last, count)).collect();
        Ok(Self {
            head: (i64::try_from(last.position.0)?, last.recorded_at.micros()),
            events: serde_json::to_string(&rows)?,
            commands: serde_json::to_string(&commands)?,
        })
    }
}

fn event_row(event: &Envelope, previous: Option<Position>) -> Value {
    json!([
        event.position,
        event.event_id.simple(),
        event.stream,
        event.version,
        previous,
        event.event_type,
        event.schema,
        event.occurred_at.micros(),
        event.recorded_at.micros(),
        event.cause.actor,
        event.command_id.0.simple(),
        event.cause.correlation_id.simple(),
        event.cause.causation_id.map(Uuid::simple),
        event.data,
    ])
}

fn command_row(last: &Envelope, events: u32) -> Value {
    let id = last.command_id.0.simple();
    // A fingerprint is twice as long as an id; what it says does not matter here.
    json!([id, format!("{id}{id}"), last.stream, last.version, last.position, events])
}
