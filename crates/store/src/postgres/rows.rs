//! The rows of a batch as parameters of one statement: an array for each column, which `unnest` puts together again.

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use crate::{
    Limits, Remembered,
    batch::{Batch, EventRow},
    decode::integer,
};

/// All that a batch writes, in one trip to the server; streams follow by a trigger, which also sees that events and commands come
/// together. A part that fails takes the rest with it. Who listens is woken once this is committed.
pub(super) const WRITE: &str = "
    WITH appended AS (
        INSERT INTO log.events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor,
            command_id, correlation_id, causation_id, data)
        SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::int[], $7::bigint[],
            $8::bigint[], $9::text[], $10::uuid[], $11::uuid[], $12::uuid[], $13::text[])
    ), remembered AS (
        INSERT INTO log.commands (command_id, fingerprint, stream, version, position, events)
        SELECT * FROM unnest($14::uuid[], $15::bytea[], $16::text[], $17::bigint[], $18::bigint[], $19::int[])
    )
    SELECT pg_notify('dealog_appended', $20)";

/// Writes commands that changed nothing, and removes as many again, and a few more, of those that have been kept for the hours
/// that they must be (`$6`). So the table shrinks where it can, and no batch has much of that to do.
const WRITE_UNCHANGED: &str = "
    WITH removed AS (
        DELETE FROM log.unchanged_commands WHERE command_id IN (
            SELECT command_id FROM log.unchanged_commands WHERE at < now() - $6 * interval '1 hour'
            ORDER BY at LIMIT 2 * cardinality($1::uuid[]))
    )
    INSERT INTO log.unchanged_commands (command_id, fingerprint, stream, version, position)
    SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[])";

type Bound = Query<'static, Postgres, PgArguments>;

/// [`WRITE`] with its parameters.
pub(super) fn write(batch: &Batch<'_>) -> Bound {
    let query = bind_commands(bind_events(sqlx::query(WRITE), &batch.events), &batch.commands);
    query.bind(batch.position.to_string())
}

/// The commands of a batch that changed nothing.
pub(super) fn write_unchanged(batch: &Batch<'_>, limits: &Limits) -> Bound {
    let commands = &batch.unchanged_commands;
    sqlx::query(WRITE_UNCHANGED)
        .bind(column(commands, |command| command.command_id.0))
        .bind(column(commands, |command| command.fingerprint.0.to_vec()))
        .bind(column(commands, |command| command.outcome.stream.to_string()))
        .bind(column(commands, |command| integer(command.outcome.version.0)))
        .bind(column(commands, |command| integer(command.outcome.position.0)))
        .bind(integer(limits.unchanged_commands_hours()))
}

fn bind_events(query: Bound, events: &[EventRow<'_>]) -> Bound {
    query
        .bind(column(events, |event| integer(event.position.0)))
        .bind(column(events, |event| event.event_id))
        .bind(column(events, |event| event.stream.to_string()))
        .bind(column(events, |event| integer(event.version.0)))
        .bind(column(events, |event| event.event_type))
        .bind(column(events, |event| i32::from(event.schema)))
        .bind(column(events, |event| event.occurred_at.micros()))
        .bind(column(events, |event| event.recorded_at.micros()))
        .bind(column(events, |event| event.cause.actor.to_string()))
        .bind(column(events, |event| event.command_id.0))
        .bind(column(events, |event| event.cause.correlation_id))
        .bind(column(events, |event| event.cause.causation_id))
        .bind(column(events, |event| event.data))
}

fn bind_commands(query: Bound, commands: &[Remembered]) -> Bound {
    query
        .bind(column(commands, |command| command.command_id.0))
        .bind(column(commands, |command| command.fingerprint.0.to_vec()))
        .bind(column(commands, |command| command.outcome.stream.to_string()))
        .bind(column(commands, |command| integer(command.outcome.version.0)))
        .bind(column(commands, |command| integer(command.outcome.position.0)))
        .bind(column(commands, |command| i32::try_from(command.outcome.events).unwrap_or(i32::MAX)))
}

fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
