//! The rows of a batch as parameters of one statement: an array for each column, which `unnest` puts together again.

use sqlx::{Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use crate::{
    decode::integer,
    judge::{Accepted, Judged},
};

/// All that a batch writes, in one trip to the server. A part that fails takes the rest with it. The answer tells whether
/// the head moved, and wakes who listens once this is committed.
pub(super) const WRITE: &str = "
    WITH moved AS (
        UPDATE log.head SET position = $2, recorded_at = $3 WHERE position = $1 RETURNING position
    ), appended AS (
        INSERT INTO log.events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor,
            command_id, correlation_id, causation_id, data)
        SELECT * FROM unnest($4::bigint[], $5::uuid[], $6::text[], $7::bigint[], $8::text[], $9::int[], $10::bigint[],
            $11::bigint[], $12::text[], $13::uuid[], $14::uuid[], $15::uuid[], $16::text[])
    ), remembered AS (
        INSERT INTO log.commands (command_id, fingerprint, stream, version, position, events)
        SELECT * FROM unnest($17::uuid[], $18::bytea[], $19::text[], $20::bigint[], $21::bigint[], $22::int[])
    ), grown AS (
        INSERT INTO log.streams (stream, version, occurred_at)
        SELECT * FROM unnest($23::text[], $24::bigint[], $25::bigint[])
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, occurred_at = excluded.occurred_at
    )
    SELECT pg_notify('dealog_appended', position::text) FROM moved";

type Bound = Query<'static, Postgres, PgArguments>;

/// [`WRITE`] with its parameters.
pub(super) fn write(judged: &Judged<'_>, before: u64) -> Bound {
    let query =
        sqlx::query(WRITE).bind(integer(before)).bind(integer(judged.position.0)).bind(judged.recorded_at.micros());
    bind_streams(bind_commands(bind_events(query, &judged.accepted), &judged.accepted), judged)
}

fn bind_events(query: Bound, accepted: &[Accepted<'_>]) -> Bound {
    let events = || {
        accepted.iter().flat_map(|Accepted { append, outcome, recorded_at }| {
            let before = append.events.len() as u64;
            let (position, version) = (outcome.position.0 - before, outcome.version.0 - before);
            append.events.iter().enumerate().map(move |(index, event)| {
                let number = index as u64 + 1;
                (*append, event, index, position + number, version + number, *recorded_at)
            })
        })
    };
    let column = |of: fn(u64, u64) -> u64| -> Vec<i64> {
        events().map(|(_, _, _, position, version, _)| integer(of(position, version))).collect()
    };
    query
        .bind(column(|position, _| position))
        .bind(events().map(|(append, _, index, ..)| append.command_id.event_id(index)).collect::<Vec<_>>())
        .bind(events().map(|(append, ..)| append.stream.to_string()).collect::<Vec<_>>())
        .bind(column(|_, version| version))
        .bind(events().map(|(_, event, ..)| event.event_type).collect::<Vec<_>>())
        .bind(events().map(|(_, event, ..)| i32::from(event.schema)).collect::<Vec<_>>())
        .bind(events().map(|(_, event, ..)| event.occurred_at.micros()).collect::<Vec<_>>())
        .bind(events().map(|(.., recorded_at)| recorded_at.micros()).collect::<Vec<_>>())
        .bind(events().map(|(append, ..)| append.actor.to_string()).collect::<Vec<_>>())
        .bind(events().map(|(append, ..)| append.command_id.0).collect::<Vec<_>>())
        .bind(events().map(|(append, ..)| append.correlation_id).collect::<Vec<_>>())
        .bind(events().map(|(append, ..)| append.causation_id).collect::<Vec<Option<Uuid>>>())
        .bind(events().map(|(_, event, ..)| event.data.as_str()).collect::<Vec<_>>())
}

fn bind_commands(query: Bound, accepted: &[Accepted<'_>]) -> Bound {
    let each = || accepted.iter();
    query
        .bind(each().map(|command| command.append.command_id.0).collect::<Vec<_>>())
        .bind(each().map(|command| command.append.fingerprint.0.as_slice()).collect::<Vec<_>>())
        .bind(each().map(|command| command.outcome.stream.to_string()).collect::<Vec<_>>())
        .bind(each().map(|command| integer(command.outcome.version.0)).collect::<Vec<_>>())
        .bind(each().map(|command| integer(command.outcome.position.0)).collect::<Vec<_>>())
        .bind(each().map(|command| i32::try_from(command.outcome.events).unwrap_or(i32::MAX)).collect::<Vec<_>>())
}

fn bind_streams(query: Bound, judged: &Judged<'_>) -> Bound {
    query
        .bind(judged.grown.keys().map(ToString::to_string).collect::<Vec<_>>())
        .bind(judged.grown.values().map(|end| integer(end.version.0)).collect::<Vec<_>>())
        .bind(judged.grown.values().map(|end| end.occurred_at.micros()).collect::<Vec<_>>())
}
