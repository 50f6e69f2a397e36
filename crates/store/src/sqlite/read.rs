//! The statements that read the log.

use std::collections::HashMap;

use dealog_events::{CommandId, Envelope, Position, StreamId, Version};
use sqlx::{AssertSqlSafe, SqliteConnection, SqliteExecutor};

use super::{check::damage, rows};
use crate::{
    Append, Head, Remembered, StoreError,
    decode::{self, Behind, Columns as _, PageMax, integer, select},
    judge::{self, Known},
};

pub(super) async fn head(executor: impl SqliteExecutor<'_>) -> Result<Head, StoreError> {
    decode::head(sqlx::query(select!(head "head WHERE one = 1")).fetch_optional(executor).await?)
}

pub(super) async fn remembered(
    executor: impl SqliteExecutor<'_>,
    ids: impl Iterator<Item = CommandId>,
) -> Result<Vec<Remembered>, StoreError> {
    let sql = concat!(
        select!(commands "commands WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))"),
        " UNION ALL ",
        select!(unchanged_commands "unchanged_commands WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))")
    );
    let found = sqlx::query(sql).bind(rows::ids(ids)).fetch_all(executor).await?;
    Ok(decode::commands(found.iter().map(decode::remembered))?.into_values().collect())
}

/// Begins to write, and asks for all that a batch is judged by, in one trip to the connection's thread. A row says in its last
/// column what it tells of. The streams come as one value: each row wakes who waits for it, and there are as many as commands.
pub(super) async fn lock_and_know(connection: &mut SqliteConnection, batch: &[Append]) -> Result<Known, StoreError> {
    const STREAMS: usize = 3;
    const KIND: usize = 6;
    let sql = concat!(
        "BEGIN IMMEDIATE; SELECT *,
            (SELECT json_group_array(json_array(stream, version, occurred_at)) FROM streams
             WHERE stream IN (SELECT value FROM json_each(?2))),
            NULL, NULL, 'head' FROM (",
        select!(head "head WHERE one = 1"),
        ") UNION ALL SELECT *, 'command' FROM (",
        select!(commands "commands WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))"),
        ") UNION ALL SELECT *, 'command' FROM (",
        select!(unchanged_commands "unchanged_commands WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))"),
        ")"
    );
    let ids = rows::ids(batch.iter().map(|append| append.command_id));
    let found = sqlx::query(sql).bind(ids).bind(rows::list(judge::streams(batch))).fetch_all(connection).await?;
    let telling = |of: &'static str| found.iter().filter(move |row| row.text(KIND).is_ok_and(|kind| kind == of));
    let head_row = telling("head").next();
    let head = decode::head(head_row.map(|row| Behind(row, 0)))?;
    Ok(Known {
        position: head.position,
        recorded_at: head.recorded_at,
        commands: decode::commands(telling("command").map(decode::remembered))?,
        streams: head_row.map_or(Ok(HashMap::new()), |row| decode::stream_ends(row.text(STREAMS)?, head.position))?,
    })
}

pub(super) async fn events(
    executor: impl SqliteExecutor<'_>,
    after: Position,
    page: PageMax,
    types: &[String],
) -> Result<Vec<Envelope>, StoreError> {
    let (from, limit) = (integer(after.0), integer(page.events as u64));
    if types.is_empty() {
        let query = sqlx::query(select!(events "events WHERE position > ?1 ORDER BY position LIMIT ?2"));
        let found = query.bind(from).bind(limit).fetch(executor);
        return decode::events(found, page, after).await;
    }
    let types = decode::distinct(types);
    let mut query = sqlx::query(AssertSqlSafe(of_types(types.len()))).bind(from).bind(limit);
    for name in &types {
        query = query.bind(*name);
    }
    decode::of_types(query.fetch(executor), page, &types, after).await
}

/// The types of all events. Each is looked for in the index behind the one before it.
pub(super) async fn types(executor: impl SqliteExecutor<'_>) -> Result<Vec<String>, StoreError> {
    let sql = "WITH RECURSIVE types (type) AS (
            SELECT min(type) FROM events
            UNION ALL
            SELECT (SELECT min(type) FROM events WHERE events.type > types.type) FROM types WHERE types.type IS NOT NULL
        ) SELECT type FROM types WHERE type IS NOT NULL";
    Ok(sqlx::query_scalar(sql).fetch_all(executor).await?)
}

/// The events behind a position. Where there are none, the log ends there.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    after: Position,
    page: PageMax,
    types: &[String],
) -> Result<Vec<Envelope>, StoreError> {
    let found = events(&mut *connection, after, page, types).await?;
    if !found.is_empty() || !types.is_empty() || page.events == 0 || head(&mut *connection).await?.position <= after {
        return Ok(found);
    }
    // They may have been appended a moment ago.
    let found = events(connection, after, page, types).await?;
    if found.is_empty() {
        return Err(StoreError::Damaged { position: after.next(), reason: "it is missing".into() });
    }
    Ok(found)
}

/// Events of so many types, from `?3` on. Each is in its own order in the index, and SQLite merges them: it goes no further in any
/// than the page does.
fn of_types(types: usize) -> String {
    const FIRST: usize = 3;
    let one = |number: usize| {
        let number = FIRST + number;
        format!("SELECT position FROM events INDEXED BY events_by_type WHERE type = ?{number} AND position > ?1")
    };
    let all: Vec<_> = (0..types).map(one).collect();
    let positions = all.join(" UNION ALL ");
    let select = select!(events "events");
    format!("{select} WHERE position IN ({positions} ORDER BY position LIMIT ?2) ORDER BY position")
}

/// The events of a stream behind a version. Where there are none, the stream ends there.
pub(super) async fn page_of_stream(
    connection: &mut SqliteConnection,
    stream: StreamId,
    after: Version,
    page: PageMax,
) -> Result<Vec<Envelope>, StoreError> {
    let found = self::stream(&mut *connection, stream, after, page).await?;
    if !found.is_empty() || page.events == 0 || !is_behind(connection, stream, after).await? {
        return Ok(found);
    }
    // They may have been appended a moment ago.
    let found = self::stream(connection, stream, after, page).await?;
    if found.is_empty() {
        return Err(damage(format!("stream {stream}"), format!("the events behind version {after} are missing")));
    }
    Ok(found)
}

/// Whether a stream has a version behind this one.
async fn is_behind(connection: &mut SqliteConnection, stream: StreamId, after: Version) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM streams WHERE stream = ?1 AND version > ?2)");
    Ok(query.bind(stream.to_string()).bind(integer(after.0)).fetch_one(connection).await?)
}

/// The events of a stream form a chain, which is gone back on from the end of the stream; in a long one from the nearest
/// event behind those asked for that is in the index.
pub(super) async fn stream(
    executor: impl SqliteExecutor<'_>,
    stream: StreamId,
    after: Version,
    page: PageMax,
) -> Result<Vec<Envelope>, StoreError> {
    let query = sqlx::query(concat!(
        "WITH RECURSIVE chain (position, version, previous) AS (
            SELECT position, version, previous FROM events
            WHERE version > ?2 AND position = coalesce(
                (SELECT position FROM events
                 WHERE stream = ?1 AND version >= ?3 AND version % 256 = 0 ORDER BY version LIMIT 1),
                (SELECT position FROM streams WHERE stream = ?1))
            UNION ALL
            SELECT events.position, events.version, events.previous
            FROM chain JOIN events ON events.position = chain.previous WHERE events.version > ?2
        ) ",
        select!(events "events WHERE position IN (SELECT position FROM chain WHERE version <= ?3) ORDER BY position")
    ));
    let last = after.0.saturating_add(page.events as u64);
    let query = query.bind(stream.to_string()).bind(integer(after.0)).bind(integer(last));
    decode::stream(query.fetch(executor), page, stream, after).await
}
