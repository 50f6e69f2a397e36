//! Whether a log can be believed: what must hold between its tables, and every event by itself, for `dealog check`.
//!
//! All of it is asked in one snapshot, so that nodes may append meanwhile. Damage to pages is the server's to find
//! (`pg_amcheck`, data checksums).

use dealog_events::Envelope;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{altered, read, schema};
use crate::{
    Head, StoreError,
    history::{self, PAGE},
};

/// What must hold of every log. Each names the first place where it does not, and says why; nothing where it does.
const INVARIANTS: &[&str] = &[
    "SELECT 'the head', 'it must be one row, and there are ' || count(*) FROM log.head HAVING count(*) <> 1",
    "SELECT 'position ' || coalesce((SELECT min(expected) FROM (
                SELECT position, row_number() OVER (ORDER BY position) AS expected FROM log.events) AS numbered
            WHERE position <> expected), 0),
        'there are ' || events || ' events up to position ' || last
     FROM (SELECT count(*) AS events, coalesce(max(position), 0) AS last FROM log.events) AS counted
     WHERE events <> last",
    "SELECT 'stream ' || coalesce(streams.stream, found.stream), 'its versions are not those of its events'
     FROM (SELECT stream, count(*) AS events, max(version) AS last FROM log.events GROUP BY stream) AS found
     FULL JOIN log.streams USING (stream)
     WHERE events IS DISTINCT FROM streams.version OR last IS DISTINCT FROM streams.version
     LIMIT 1",
    "SELECT 'stream ' || streams.stream, 'its last event happened at another instant'
     FROM log.streams LEFT JOIN log.events USING (stream, version)
     WHERE events.occurred_at IS DISTINCT FROM streams.occurred_at LIMIT 1",
    "SELECT 'position ' || position, 'it happened before the event before it in its stream'
     FROM (SELECT position, occurred_at < lag(occurred_at) OVER (PARTITION BY stream ORDER BY version) AS back
           FROM log.events) AS ordered
     WHERE back LIMIT 1",
    // Positions are dense, so one up to the head is that of an event; and each event has one command.
    "SELECT 'the commands', 'they brought ' || brought || ' events up to position ' || last || ', and the log has ' || events
     FROM (SELECT coalesce(sum(events), 0) AS brought, coalesce(max(position), 0) AS last FROM log.commands) AS commands,
          (SELECT count(*) AS events FROM log.events) AS counted
     WHERE brought <> events OR last <> events",
    "SELECT 'position ' || commands.position, 'it is not the last event of the command that is remembered with it'
     FROM log.commands LEFT JOIN log.events USING (position)
     WHERE events.command_id IS DISTINCT FROM commands.command_id OR events.stream <> commands.stream
        OR events.version <> commands.version
     LIMIT 1",
    "SELECT 'the command ' || command_id, 'it changed nothing at a version or position that there is not'
     FROM log.unchanged_commands AS found LEFT JOIN log.streams USING (stream)
     WHERE found.version > coalesce(streams.version, 0)
        OR found.position > (SELECT coalesce(max(position), 0) FROM log.events)
     LIMIT 1",
    "SELECT 'the command ' || command_id, 'it changed nothing, and it brought events'
     FROM log.unchanged_commands JOIN log.commands USING (command_id) LIMIT 1",
];

/// What the session's limits are for, this is not: it reads everything.
const UNBOUNDED: &str = "SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on";

/// Looks at all of the log. `visit` is given the events, page after page, and the end of the log; it may refuse it too.
pub(super) async fn thorough(
    connection: &mut PgConnection,
    visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
) -> Result<Head, StoreError> {
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    schema::must_be_there(&mut transaction).await?;
    altered::refuse(&mut transaction).await?;
    transaction.execute(UNBOUNDED).await?;
    for invariant in INVARIANTS {
        let broken: Option<(String, String)> = sqlx::query_as(*invariant).fetch_optional(&mut *transaction).await?;
        if let Some((place, reason)) = broken {
            return Err(StoreError::DamagedLog { place, reason });
        }
    }
    let head = read::head(&mut *transaction).await?;
    history::follow(head, async |after| read::events(&mut *transaction, after, PAGE, &[]).await, visit).await?;
    transaction.rollback().await?;
    Ok(head)
}
