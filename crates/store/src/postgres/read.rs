//! The statements that read the log.

use dealog_events::{CommandId, Envelope, Position, StreamId, Version};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{
    Append, Head, Remembered, StoreError,
    decode::{self, Behind, Columns as _, PageMax, integer, select},
    judge::{self, Known},
};

/// The head with the last event, of which there is none in an empty log.
macro_rules! from_head {
    () => {
        "log.head LEFT JOIN LATERAL (SELECT position, recorded_at FROM log.events ORDER BY position DESC LIMIT 1) AS last \
         ON true WHERE one = 1"
    };
}

pub(super) async fn head(executor: impl PgExecutor<'_>) -> Result<Head, StoreError> {
    decode::head(sqlx::query(concat!(select!(head ""), from_head!())).fetch_optional(executor).await?)
}

/// Begins a transaction with the lock that orders everything: whoever has it appends, and what it reads from then on stays so
/// until it commits. What it reads with the very same statement would be what had been there before it waited.
pub(super) const BEGIN_WITH_LOCK: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT 1 FROM log.head WHERE one = 1 FOR UPDATE";

pub(super) async fn remembered(
    executor: impl PgExecutor<'_>,
    ids: impl Iterator<Item = CommandId>,
) -> Result<Vec<Remembered>, StoreError> {
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    let sql = concat!(
        select!(commands "log.commands WHERE command_id = ANY($1)"),
        " UNION ALL ",
        select!(unchanged_commands "log.unchanged_commands WHERE command_id = ANY($1)")
    );
    let found = sqlx::query(sql).bind(ids).fetch_all(executor).await?;
    Ok(decode::commands(found.iter().map(decode::remembered))?.into_values().collect())
}

/// All that a batch is judged by, in one trip to the server: a row tells of the head, of a command, or of a stream.
pub(super) async fn known(executor: impl PgExecutor<'_>, batch: &[Append]) -> Result<Known, StoreError> {
    const HEAD: usize = 1;
    const COMMAND: usize = 4;
    const STREAM: usize = 10;
    let sql = concat!("
        SELECT 1::bigint, log_id, position, recorded_at, NULL::bigint, NULL::uuid, NULL::bytea, NULL::text, NULL::bigint,
            NULL::bigint, NULL::text, NULL::bigint, NULL::bigint
        FROM ", from_head!(), "
        UNION ALL
        SELECT 4, NULL, NULL, NULL, position, command_id, fingerprint, stream, version, events::bigint, NULL, NULL, NULL
        FROM log.commands WHERE command_id = ANY($1)
        UNION ALL
        SELECT 4, NULL, NULL, NULL, position, command_id, fingerprint, stream, version, 0, NULL, NULL, NULL
        FROM log.unchanged_commands WHERE command_id = ANY($1)
        UNION ALL
        SELECT 10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, stream, version, occurred_at
        FROM log.streams WHERE stream = ANY($2)");
    let commands: Vec<Uuid> = batch.iter().map(|append| append.command_id.0).collect();
    let streams: Vec<String> = judge::streams(batch).map(|stream| stream.to_string()).collect();
    let found = sqlx::query(sql).bind(commands).bind(streams).fetch_all(executor).await?;
    let telling =
        |of: usize| found.iter().filter(move |row| row.integer(0).is_ok_and(|kind| kind == integer(of as u64)));
    let head = decode::head(telling(HEAD).next().map(|row| Behind(row, HEAD)))?;
    let commands = telling(COMMAND).map(|row| decode::remembered(&Behind(row, COMMAND)));
    let streams = telling(STREAM).map(|row| decode::stream_end(&Behind(row, STREAM), head.position));
    Ok(Known {
        position: head.position,
        recorded_at: head.recorded_at,
        commands: decode::commands(commands)?,
        streams: streams.collect::<Result<_, _>>()?,
    })
}

/// The server ends a page by its bytes (`$3`), too: what it sends the driver must take, wanted or not.
pub(super) async fn events(
    executor: impl PgExecutor<'_>,
    after: Position,
    page: PageMax,
    types: &[String],
) -> Result<Vec<Envelope>, StoreError> {
    let (from, limit, bytes) = (integer(after.0), integer(page.events as u64), integer(page.bytes as u64));
    if types.is_empty() {
        let query = sqlx::query(select!(events "(
            SELECT *, sum(octet_length(data)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) - octet_length(data) AS before
            FROM log.events WHERE position > $1 ORDER BY position LIMIT $2
        ) AS page WHERE before < $3 ORDER BY position"));
        let found = query.bind(from).bind(limit).bind(bytes).fetch(executor);
        return decode::events(found, page, after).await;
    }
    // Each type is in its own order in the index: no more of it is looked at than fits in a page.
    let query = sqlx::query(select!(events "(
        SELECT *, sum(octet_length(data)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) - octet_length(data) AS before
        FROM log.events WHERE position IN (
            SELECT found.position FROM unnest($4::text[]) AS wanted CROSS JOIN LATERAL (
                SELECT position FROM log.events WHERE type = wanted AND position > $1 ORDER BY position LIMIT $2
            ) AS found ORDER BY found.position LIMIT $2)
    ) AS page WHERE before < $3 ORDER BY position"));
    let types = decode::distinct(types);
    let found = query.bind(from).bind(limit).bind(bytes).bind(&types).fetch(executor);
    decode::of_types(found, page, &types, after).await
}

/// The types of all events. Each is looked for in the index behind the one before it.
pub(super) async fn types(executor: impl PgExecutor<'_>) -> Result<Vec<String>, StoreError> {
    let sql = "WITH RECURSIVE types (type) AS (
            SELECT min(type) FROM log.events
            UNION ALL
            SELECT (SELECT min(type) FROM log.events WHERE events.type > types.type) FROM types WHERE types.type IS NOT NULL
        ) SELECT type FROM types WHERE type IS NOT NULL";
    Ok(sqlx::query_scalar(sql).fetch_all(executor).await?)
}

pub(super) async fn stream(
    executor: impl PgExecutor<'_>,
    stream: StreamId,
    after: Version,
    page: PageMax,
) -> Result<Vec<Envelope>, StoreError> {
    let query = sqlx::query(select!(events "(
        SELECT *, sum(octet_length(data)) OVER (ORDER BY version ROWS UNBOUNDED PRECEDING) - octet_length(data) AS before
        FROM log.events WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3
    ) AS page WHERE before < $4 ORDER BY version"));
    let query = query.bind(stream.to_string()).bind(integer(after.0));
    let query = query.bind(integer(page.events as u64)).bind(integer(page.bytes as u64));
    decode::stream(query.fetch(executor), page, stream, after).await
}
