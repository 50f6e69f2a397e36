//! A role that may serve the log and no more tries to break it, while servers work as that very role.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::Run;
use crate::{
    broken::{Broken, Result, ensure},
    place::Faults,
};

const ROLE: &str = "dealog_app";
/// Attempts of a cycle.
const ATTEMPTS: u64 = 12;
/// An event at `$position` with `$version` of the stream `settings`.
const EVENT: &str = "INSERT INTO log.events (position, version, occurred_at, recorded_at, schema, event_id, command_id, \
     correlation_id, stream, type, actor, data) SELECT $position, $version, occurred_at, recorded_at, 1, gen_random_uuid(), \
     gen_random_uuid(), gen_random_uuid(), 'settings', 'settings.time_zone_set', 'local', '{}' \
     FROM log.events ORDER BY position DESC LIMIT 1";
/// What must be refused, whenever it is tried.
const ATTEMPTED: [&str; 17] = [
    "UPDATE log.events SET data = '{}'",
    "DELETE FROM log.events",
    "TRUNCATE log.events CASCADE",
    "UPDATE log.commands SET position = 1",
    "DELETE FROM log.commands",
    "UPDATE log.streams SET version = 9000000000000000000",
    "INSERT INTO log.streams (stream, version, occurred_at) VALUES ('settings', 9000000000000000000, 0) \
     ON CONFLICT (stream) DO UPDATE SET version = excluded.version",
    "INSERT INTO log.streams (stream, version, occurred_at) VALUES ('deal-00000000-0000-0000-0000-000000000000', 7, 0)",
    "DELETE FROM log.streams",
    "UPDATE log.head SET log_id = gen_random_uuid()",
    "DELETE FROM log.tokens",
    "INSERT INTO log.tokens SELECT gen_random_uuid(), decode(repeat('00', 32), 'hex'), 'local', 'mine', '', 0",
    "INSERT INTO log.commands (command_id, fingerprint, stream, version, position, events) \
     SELECT gen_random_uuid(), decode(repeat('00', 32), 'hex'), stream, version, position, 1 FROM log.events LIMIT 1",
    "ALTER TABLE log.events DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "DROP SCHEMA log CASCADE",
    "CREATE TRIGGER mine BEFORE INSERT ON log.events EXECUTE FUNCTION suppress_redundant_updates_trigger()",
];
/// Where an event does not go: far behind the end, a little behind it, and again where one is.
const POSITIONS: [(&str, &str); 4] = [
    ("9223372036854775807", "1"),
    ("position + 500", "(SELECT version + 1 FROM log.streams WHERE stream = 'settings')"),
    ("position", "(SELECT version + 1 FROM log.streams WHERE stream = 'settings')"),
    ("position + 1", "9000000000000000000"),
];

/// The servers work as the role, and the read models are its own.
pub(super) async fn faults(run: &mut Run) -> Result<Faults> {
    let place = run.cluster.place.clone();
    let database = place.postgres.as_ref().ok_or_else(|| Broken("this is trouble of PostgreSQL".into()))?;
    let create = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE} LOGIN; END IF; END $$"
    );
    database.execute(&create).await?;
    place.succeed(&["migrate", "--grant", ROLE]).await?;
    place.remove_read_models().await?;
    run.of_another_role = true;
    Ok(Faults { database: Some(database.url_of(ROLE)), ..Faults::none() })
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let place = run.cluster.place.clone();
    let database = place.postgres.as_ref().ok_or_else(|| Broken("this is trouble of PostgreSQL".into()))?;
    let url = database.url_of(ROLE);
    let mut attempts: Vec<String> = ATTEMPTED.iter().map(|attempt| (*attempt).to_owned()).collect();
    attempts
        .extend(POSITIONS.map(|(position, version)| EVENT.replace("$position", position).replace("$version", version)));
    run.chance.shuffle(&mut attempts);
    for attempt in attempts.into_iter().take(usize::try_from(ATTEMPTS)?) {
        let mut role = PgConnection::connect(&url).await?;
        let tried = sqlx::raw_sql(AssertSqlSafe(attempt.clone())).execute(&mut role).await;
        ensure!(tried.is_err(), "the role {ROLE} may do this: {attempt}");
        run.goes_on(1, 20).await?;
    }
    // At worst it holds up everybody, and not for ever.
    let mut role = PgConnection::connect(&url).await?;
    sqlx::raw_sql("BEGIN; SELECT 1 FROM log.head FOR UPDATE").execute(&mut role).await?;
    drop(role);
    run.goes_on(20, 60).await
}
