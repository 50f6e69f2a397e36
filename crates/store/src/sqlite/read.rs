//! The statements that read the log.

use dealog_events::{CommandId, Envelope, Position, StreamId, Version};
use sqlx::SqliteExecutor;

use super::rows;
use crate::{
    Append, Head, Remembered, StoreError,
    decode::{self, Behind, Columns as _, integer, select},
    judge::{self, Known},
};

pub(super) async fn head(executor: impl SqliteExecutor<'_>) -> Result<Head, StoreError> {
    decode::head(sqlx::query(select!(head "head WHERE one = 1")).fetch_optional(executor).await?)
}

pub(super) async fn remembered(
    executor: impl SqliteExecutor<'_>,
    ids: impl Iterator<Item = CommandId>,
) -> Result<Vec<Remembered>, StoreError> {
    let sql = select!(commands "commands WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))");
    let found = sqlx::query(sql).bind(rows::ids(ids)).fetch_all(executor).await?;
    found.iter().map(decode::remembered).collect()
}

/// All that a batch is judged by, in one trip to the connection's thread: each row has the columns of what it tells of, and
/// says in the last one what that is.
pub(super) async fn known(executor: impl SqliteExecutor<'_>, batch: &[Append]) -> Result<Known, StoreError> {
    const KIND: usize = 6;
    let sql = concat!(
        "SELECT *, NULL, NULL, NULL, 'head' FROM (",
        select!(head "head WHERE one = 1"),
        ") UNION ALL SELECT *, 'command' FROM (",
        select!(commands "commands WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))"),
        ") UNION ALL SELECT *, NULL, NULL, NULL, 'stream' FROM (",
        select!(streams "streams WHERE stream IN (SELECT value FROM json_each(?2))"),
        ")"
    );
    let ids = rows::ids(batch.iter().map(|append| append.command_id));
    let found = sqlx::query(sql).bind(ids).bind(rows::list(judge::streams(batch))).fetch_all(executor).await?;
    let telling = |of: &'static str| found.iter().filter(move |row| row.text(KIND).is_ok_and(|kind| kind == of));
    let head = decode::head(telling("head").next().map(|row| Behind(row, 0)))?;
    let commands = telling("command").map(|row| decode::remembered(row).map(|it| (it.command_id, it)));
    let streams = telling("stream").map(|row| decode::stream_end(row, head.position));
    Ok(Known {
        position: head.position,
        recorded_at: head.recorded_at,
        commands: commands.collect::<Result<_, _>>()?,
        streams: streams.collect::<Result<_, _>>()?,
    })
}

pub(super) async fn events(
    executor: impl SqliteExecutor<'_>,
    after: Position,
    limit: usize,
    types: &[String],
) -> Result<Vec<Envelope>, StoreError> {
    let (from, limit) = (integer(after.0), integer(limit as u64));
    if types.is_empty() {
        let query = sqlx::query(select!(events "events WHERE position > ?1 ORDER BY position LIMIT ?2"));
        let found = query.bind(from).bind(limit).fetch(executor);
        return decode::events(found, after.0, |event| event.position.0).await;
    }
    let types = serde_json::to_string(types).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let query = sqlx::query(select!(events
        "events WHERE position > ?1 AND type IN (SELECT value FROM json_each(?3)) ORDER BY position LIMIT ?2"));
    decode::some_events(query.bind(from).bind(limit).bind(types).fetch(executor)).await
}

pub(super) async fn stream(
    executor: impl SqliteExecutor<'_>,
    stream: StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Envelope>, StoreError> {
    let query = sqlx::query(select!(events "events WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3"));
    let query = query.bind(stream.to_string()).bind(integer(after.0)).bind(integer(limit as u64));
    decode::events(query.fetch(executor), after.0, |event| event.version.0).await
}
