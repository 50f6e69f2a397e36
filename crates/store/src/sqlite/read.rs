//! The statements that read the log.

use dealog_events::{CommandId, Envelope, Position, StreamId, Version};
use sqlx::SqliteExecutor;

use super::rows;
use crate::{
    Head, Remembered, StoreError,
    decode::{self, integer, select},
    judge::StreamEnd,
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

/// Where these streams end; nothing of those that do not exist.
pub(super) async fn stream_ends(
    executor: impl SqliteExecutor<'_>,
    streams: impl Iterator<Item = StreamId>,
    head: Position,
) -> Result<impl Iterator<Item = Result<(StreamId, StreamEnd), StoreError>>, StoreError> {
    let sql = select!(streams "streams WHERE stream IN (SELECT value FROM json_each(?1))");
    let found = sqlx::query(sql).bind(rows::list(streams)).fetch_all(executor).await?;
    Ok(found.into_iter().map(move |row| decode::stream_end(&row, head)))
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
