//! The statements that read the log.

use dealog_events::{CommandId, Envelope, Position, StreamId, Version};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{
    Head, Remembered, StoreError,
    decode::{self, integer, select},
    judge::StreamEnd,
};

pub(super) async fn head(executor: impl PgExecutor<'_>) -> Result<Head, StoreError> {
    decode::head(sqlx::query(select!(head "log.head WHERE one = 1")).fetch_optional(executor).await?)
}

/// Takes the lock that orders everything: whoever has it appends, and what it reads from then on stays so until it commits.
pub(super) async fn lock_head(executor: impl PgExecutor<'_>) -> Result<Head, StoreError> {
    decode::head(sqlx::query(select!(head "log.head WHERE one = 1 FOR UPDATE")).fetch_optional(executor).await?)
}

pub(super) async fn remembered(
    executor: impl PgExecutor<'_>,
    ids: impl Iterator<Item = CommandId>,
) -> Result<Vec<Remembered>, StoreError> {
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    let sql = select!(commands "log.commands WHERE command_id = ANY($1)");
    decode::remembered(&sqlx::query(sql).bind(ids).fetch_all(executor).await?)
}

/// Where these streams end; nothing of those that do not exist.
pub(super) async fn stream_ends(
    executor: impl PgExecutor<'_>,
    streams: impl Iterator<Item = StreamId>,
    head: Position,
) -> Result<impl Iterator<Item = Result<(StreamId, StreamEnd), StoreError>>, StoreError> {
    let streams: Vec<String> = streams.map(|stream| stream.to_string()).collect();
    let sql = select!(streams "log.streams WHERE stream = ANY($1)");
    let found = sqlx::query(sql).bind(streams).fetch_all(executor).await?;
    Ok(found.into_iter().map(move |row| decode::stream_end(&row, head)))
}

pub(super) async fn events(
    executor: impl PgExecutor<'_>,
    after: Position,
    limit: usize,
    types: &[String],
) -> Result<Vec<Envelope>, StoreError> {
    let (from, limit) = (integer(after.0), integer(limit as u64));
    if types.is_empty() {
        let query = sqlx::query(select!(events "log.events WHERE position > $1 ORDER BY position LIMIT $2"));
        let found = query.bind(from).bind(limit).fetch(executor);
        return decode::events(found, after.0, |event| event.position.0).await;
    }
    let query =
        sqlx::query(select!(events "log.events WHERE position > $1 AND type = ANY($3) ORDER BY position LIMIT $2"));
    decode::some_events(query.bind(from).bind(limit).bind(types).fetch(executor)).await
}

pub(super) async fn stream(
    executor: impl PgExecutor<'_>,
    stream: StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Envelope>, StoreError> {
    let query = sqlx::query(select!(events "log.events WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3"));
    let query = query.bind(stream.to_string()).bind(integer(after.0)).bind(integer(limit as u64));
    decode::events(query.fetch(executor), after.0, |event| event.version.0).await
}
