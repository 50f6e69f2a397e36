//! Reading, and what a row must be to be believed.
//!
//! Rows are decoded as they arrive, by column number and borrowed from the row wherever the envelope does not keep them.
//! What was checked when it was written is checked again: a row that no append can have written is reported as damage with
//! its position, and so is a gap.

use dealog_events::{CommandId, Envelope, Position, StreamId, Timestamp, Version};
use futures_util::TryStreamExt as _;
use sqlx::{Row as _, SqliteExecutor, sqlite::SqliteRow};
use uuid::Uuid;

use super::rows;
use crate::{Appended, Fingerprint, Head, Remembered, StoreError, judge::StreamEnd};

type Unfit = Box<dyn std::error::Error + Send + Sync>;

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "SELECT position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor, command_id, \
             correlation_id, causation_id, data FROM events ",
            $rest
        )
    };
}

const HEAD: &str = "SELECT log_id, position, recorded_at FROM head WHERE one = 1";

const REMEMBERED: &str = "
    SELECT position, command_id, fingerprint, stream, version, events FROM commands
    WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))";

/// A number that both SQL and we can hold. What lies beyond is never reached by counting events.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) async fn head(executor: impl SqliteExecutor<'_>) -> Result<Head, StoreError> {
    let row = sqlx::query(HEAD).fetch_optional(executor).await?;
    let decode = |row: SqliteRow| -> Result<Head, Unfit> {
        Ok(Head {
            log_id: row.try_get(0)?,
            position: Position(row.try_get::<i64, _>(1)?.try_into()?),
            recorded_at: timestamp(&row, 2)?,
        })
    };
    row.ok_or_else(|| "there is no head".into()).and_then(decode).map_err(damaged(Position::ZERO))
}

pub(super) async fn remembered(
    executor: impl SqliteExecutor<'_>,
    ids: impl Iterator<Item = CommandId>,
) -> Result<Vec<Remembered>, StoreError> {
    let found = sqlx::query(REMEMBERED).bind(rows::ids(ids)).fetch_all(executor).await?;
    found.iter().map(|row| with_position(row, decode_remembered)).collect()
}

pub(super) fn stream_end(row: &SqliteRow, head: Position) -> Result<(StreamId, StreamEnd), StoreError> {
    let decode = || -> Result<_, Unfit> {
        let end = StreamEnd { version: version(row, 1)?, occurred_at: timestamp(row, 2)? };
        Ok((row.try_get::<&str, _>(0)?.parse()?, end))
    };
    decode().map_err(damaged(head))
}

pub(super) async fn events(
    executor: impl SqliteExecutor<'_>,
    after: Position,
    limit: usize,
    types: &[String],
) -> Result<Vec<Envelope>, StoreError> {
    if types.is_empty() {
        let query = sqlx::query(select_events!("WHERE position > ?1 ORDER BY position LIMIT ?2"));
        let query = query.bind(integer(after.0)).bind(integer(limit as u64));
        return collect(query.fetch(executor), after.0, |event| Some(event.position.0)).await;
    }
    let types = serde_json::to_string(types).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let query = sqlx::query(select_events!(
        "WHERE position > ?1 AND type IN (SELECT value FROM json_each(?3)) ORDER BY position LIMIT ?2"
    ));
    let query = query.bind(integer(after.0)).bind(integer(limit as u64)).bind(types);
    collect(query.fetch(executor), after.0, |_| None).await
}

pub(super) async fn stream(
    executor: impl SqliteExecutor<'_>,
    stream: StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Envelope>, StoreError> {
    let query = sqlx::query(select_events!("WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3"));
    let query = query.bind(stream.to_string()).bind(integer(after.0)).bind(integer(limit as u64));
    collect(query.fetch(executor), after.0, |event| Some(event.version.0)).await
}

/// Decodes the rows; where `number` tells a number, each must be one more than the last.
async fn collect(
    mut found: impl futures_util::Stream<Item = Result<SqliteRow, sqlx::Error>> + Unpin,
    after: u64,
    number: impl Fn(&Envelope) -> Option<u64>,
) -> Result<Vec<Envelope>, StoreError> {
    let mut events = Vec::new();
    let mut last = after;
    while let Some(row) = found.try_next().await? {
        let event = with_position(&row, decode_event)?;
        if let Some(number) = number(&event) {
            if number != last + 1 {
                return Err(damaged(event.position)(format!("{number} follows {last}").into()));
            }
            last = number;
        }
        events.push(event);
    }
    Ok(events)
}

/// Decodes a row whose first column is a position.
fn with_position<T>(row: &SqliteRow, decode: fn(&SqliteRow, Position) -> Result<T, Unfit>) -> Result<T, StoreError> {
    let position = row.try_get::<i64, _>(0)?;
    let position = Position(position.try_into().unwrap_or_default());
    decode(row, position).map_err(damaged(position))
}

fn decode_event(row: &SqliteRow, position: Position) -> Result<Envelope, Unfit> {
    Ok(Envelope {
        position,
        event_id: row.try_get(1)?,
        stream: row.try_get::<&str, _>(2)?.parse()?,
        version: version(row, 3)?,
        event_type: row.try_get(4)?,
        schema: row.try_get::<i64, _>(5)?.try_into()?,
        occurred_at: timestamp(row, 6)?,
        recorded_at: timestamp(row, 7)?,
        actor: row.try_get::<&str, _>(8)?.parse()?,
        command_id: CommandId(row.try_get(9)?),
        correlation_id: row.try_get(10)?,
        causation_id: row.try_get::<Option<Uuid>, _>(11)?,
        data: row.try_get(12)?,
    })
}

fn decode_remembered(row: &SqliteRow, position: Position) -> Result<Remembered, Unfit> {
    Ok(Remembered {
        command_id: CommandId(row.try_get(1)?),
        fingerprint: Fingerprint(row.try_get::<&[u8], _>(2)?.try_into()?),
        outcome: Appended {
            stream: row.try_get::<&str, _>(3)?.parse()?,
            version: version(row, 4)?,
            position,
            events: row.try_get::<i64, _>(5)?.try_into()?,
            replayed: true,
        },
    })
}

fn version(row: &SqliteRow, column: usize) -> Result<Version, Unfit> {
    Ok(Version(row.try_get::<i64, _>(column)?.try_into()?))
}

fn timestamp(row: &SqliteRow, column: usize) -> Result<Timestamp, Unfit> {
    Ok(Timestamp::from_micros(row.try_get(column)?)?)
}

fn damaged(position: Position) -> impl Fn(Unfit) -> StoreError {
    move |reason| StoreError::Damaged { position, reason: reason.to_string() }
}
