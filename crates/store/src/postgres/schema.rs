//! Bringing a database to the schema of this version.
//!
//! The schema is a list of steps, each a script; what is missing runs in one transaction, under a lock, so that many nodes
//! may start at once. A database has all of a version or nothing of it. One from a newer version, or with a schema `log` of
//! another program, is refused rather than guessed at.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, error::DatabaseError};
use uuid::Uuid;

use super::session::BEGIN;
use crate::StoreError;

/// What each version of the schema added; the first made the log. A step stays as it was written.
const STEPS: &[(usize, &str)] = &[
    (1, include_str!("schema.sql")),
    (2, include_str!("unchanged_commands.sql")),
    (3, include_str!("token_keys.sql")),
    (4, include_str!("types.sql")),
    (5, include_str!("append_rules.sql")),
];

/// What a role needs that only serves, for a role and a database of these names.
const GRANTS: &str = include_str!("grants.sql");

/// PostgreSQL's number for the oldest version that is supported, 14.
const SERVER_VERSION_MIN: i32 = 140_000;

/// "Deal": the advisory lock of whoever brings the schema up.
const LOCK: i64 = 0x4465_616C;

/// PostgreSQL's code for what a role may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Sees to it that the schema is that of this version. A new log has this identity.
pub(super) async fn bring_up(connection: &mut PgConnection, log_id: Uuid) -> Result<(), StoreError> {
    fit(connection).await?;
    if missing(connection).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin_with(BEGIN).await?;
    // A step may have all of a long log to go through.
    transaction.execute("SET LOCAL statement_timeout = 0").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // Another node may have been faster.
    let missing = missing(&mut transaction).await?;
    for (version, step) in missing {
        run(&mut transaction, *version, step, log_id).await.map_err(|error| denied(error, *version))?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether there is a log.
pub(super) async fn exists(connection: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(missing(connection).await?.len() < STEPS.len())
}

/// Lets a role serve the log: it may append and read, and no more, whatever it was granted before.
pub(super) async fn grant(connection: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    let sql = "SELECT quote_ident($1), quote_ident(current_database())";
    let (role, database): (String, String) = sqlx::query_as(sql).bind(role).fetch_one(&mut *connection).await?;
    let grants = GRANTS.replace("dealog_app", &role).replace("current_database", &database);
    let mut transaction = connection.begin_with(BEGIN).await?;
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Refuses a database without a log of this version.
pub(super) async fn must_be_there(connection: &mut PgConnection) -> Result<(), StoreError> {
    match missing(connection).await?.len() {
        0 => Ok(()),
        length if length == STEPS.len() => Err(StoreError::Schema("there is no log in this database".into())),
        _ => Err(StoreError::Schema("the log is of an older version: `dealog migrate` brings it up".into())),
    }
}

/// Refuses a server that is too old, a database that cannot hold every text, and warns of a server that does not keep what
/// it says it has kept.
async fn fit(connection: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
               current_setting('fsync')::bool AND current_setting('full_page_writes')::bool";
    let (version, encoding, durable): (i32, String, bool) = sqlx::query_as(sql).fetch_one(connection).await?;
    if version < SERVER_VERSION_MIN {
        return Err(StoreError::Schema(format!(
            "the server is PostgreSQL {}, and {} or newer is needed",
            version / 10_000,
            SERVER_VERSION_MIN / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(StoreError::Schema(format!(
            "the database is encoded in {encoding}, and the log needs UTF8: make another with CREATE DATABASE … ENCODING \
             'UTF8' TEMPLATE template0"
        )));
    }
    if !durable {
        tracing::warn!("the server runs without fsync or full_page_writes: a power cut may lose what was acknowledged");
    }
    Ok(())
}

/// The steps that the database lacks, with the versions they lead to.
async fn missing(connection: &mut PgConnection) -> Result<&'static [(usize, &'static str)], StoreError> {
    let sql = "SELECT to_regnamespace('log') IS NOT NULL AND EXISTS (SELECT 1 FROM pg_class \
               WHERE relnamespace = to_regnamespace('log')), to_regclass('log.migrations') IS NOT NULL";
    let (used, ours): (bool, bool) = sqlx::query_as(sql).fetch_one(&mut *connection).await?;
    if used && !ours {
        let reason = "the schema log belongs to another program; choose another database";
        return Err(StoreError::Schema(reason.into()));
    }
    if !ours {
        return Ok(STEPS);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM log.migrations";
    let found: i32 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    let known = STEPS.len();
    usize::try_from(found).ok().and_then(|found| STEPS.get(found..)).ok_or_else(|| {
        StoreError::Schema(format!(
            "the schema log has version {found} and this program knows {known}; use a newer dealog"
        ))
    })
}

async fn run(
    connection: &mut PgConnection,
    version: usize,
    step: &'static str,
    log_id: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(step).execute(&mut *connection).await?;
    if version == 1 {
        sqlx::query("INSERT INTO log.head (one, log_id) VALUES (1, $1)").bind(log_id).execute(&mut *connection).await?;
    }
    sqlx::query("INSERT INTO log.migrations (version) VALUES ($1)")
        .bind(i32::try_from(version).unwrap_or(i32::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// A role that only serves may not change the schema.
fn denied(error: sqlx::Error, version: usize) -> StoreError {
    if is_denied(&error) {
        return StoreError::Schema(format!(
            "this role may not bring the schema log to version {version} ({error}): run `dealog migrate --database …` as the \
             role that owns the database"
        ));
    }
    error.into()
}

/// Whether this is something that a role may not do.
pub(super) fn is_denied(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == INSUFFICIENT_PRIVILEGE)
}
