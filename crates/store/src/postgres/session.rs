//! Connections to the log, all of them set up alike.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::{Limits, StoreError};

/// Where the log is, and how to talk to it. It may know a password, and cannot be shown.
#[derive(Clone)]
pub(super) struct Session {
    options: PgConnectOptions,
    limits: Limits,
}

impl Session {
    /// Of a URL such as `postgres://role@host/database?sslmode=verify-full`. The password may be in the environment
    /// (`PGPASSWORD`) or in a password file instead.
    pub(super) fn new(url: &str, limits: Limits) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(StoreError::Address)?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("dealog"),
        };
        Ok(Self { options, limits })
    }

    /// The server and the database, without the password.
    pub(super) fn address(&self) -> String {
        let (user, host, port) = (self.options.get_username(), self.options.get_host(), self.options.get_port());
        let database = self.options.get_database().unwrap_or(user);
        format!("postgres://{user}@{host}:{port}/{database}")
    }

    /// A connection of its own.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let unreachable = |source| StoreError::Unreachable { address: self.address(), source };
        let connect = async {
            let mut connection = self.options.connect().await?;
            connection.execute(AssertSqlSafe(set_up(&self.limits))).await?;
            Ok(connection)
        };
        let connected = timeout(self.limits.database_connect_timeout, connect).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(unreachable)
    }

    /// Connections for many; the first is made when it is needed.
    pub(super) fn pool(&self, connections_max: u32) -> PgPool {
        let (set_up, answer_timeout) = (set_up(&self.limits), answer_timeout(&self.limits));
        PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(self.limits.database_connect_timeout)
            .after_connect(move |connection, _| {
                let set_up = set_up.clone();
                Box::pin(async move { connection.execute(AssertSqlSafe(set_up)).await.map(|_| ()) })
            })
            .after_release(move |connection, _| Box::pin(is_done(connection, answer_timeout)))
            .connect_lazy_with(self.options.clone())
    }
}

/// Who stops waiting while a transaction begins, or is refused a lock with which it does, leaves it to the connection: the
/// driver knows of none, and the next would be refused in it or read from its snapshot. Where there is none, this does nothing.
///
/// A connection through which nothing comes any more is ended here, or it would take a place in the pool for good.
async fn is_done(connection: &mut PgConnection, within: Duration) -> Result<bool, sqlx::Error> {
    let ended = timeout(within, connection.execute("BEGIN; ROLLBACK")).await;
    ended.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|_| true)
}

/// What may pass until an answer: the server's own limits are below this.
fn answer_timeout(limits: &Limits) -> Duration {
    limits.database_lock_timeout + limits.database_statement_timeout
}

/// What a connection through which nothing comes any more costs.
pub(super) async fn in_time<T>(
    limits: &Limits,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let max = answer_timeout(limits);
    timeout(max, work).await.unwrap_or(Err(StoreError::NoAnswer(max)))
}

/// What a session with PostgreSQL is, whatever the server, the database, the role or a pooler would have it be. The log and the
/// read models begin theirs with this.
#[derive(Debug, Clone, Copy)]
pub struct SessionSettings<'a> {
    /// Where names without a schema are looked up.
    pub search_path: &'a str,
    /// How long a statement may take; zero for as long as it needs.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// How long a transaction may do nothing.
    pub idle_in_transaction_timeout: Duration,
}

impl SessionSettings<'_> {
    /// The statements that a session begins with, in one trip to the server. The timeout comes first, since a role's own may be
    /// too short for the others.
    ///
    /// A policy that would hide rows is an error (`row_security`); each statement has its limit, so a transaction needs none; and
    /// a connection that nobody uses for a while stays.
    pub fn sql(&self) -> String {
        let Self { search_path, .. } = self;
        let [statement, lock, idle] = [self.statement_timeout, self.lock_timeout, self.idle_in_transaction_timeout]
            .map(|timeout| timeout.as_millis());
        format!(
            "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
             SET idle_in_transaction_session_timeout = {idle}; SET idle_session_timeout = 0; \
             SET search_path = {search_path}; SET default_transaction_isolation = 'read committed'; \
             SET default_transaction_read_only = off; SET default_transaction_deferrable = off; SET row_security = off; \
             SET standard_conforming_strings = on; SET quote_all_identifiers = off; SET transform_null_equals = off; \
             SET array_nulls = on; SET client_encoding = 'UTF8'; SET bytea_output = 'hex'; SET extra_float_digits = 1; \
             SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET jit = off; \
             SET client_min_messages = warning; \
             SELECT set_config('transaction_timeout', '0', false) \
             WHERE current_setting('server_version_num')::int >= {TRANSACTION_TIMEOUT_SINCE}"
        )
    }
}

/// PostgreSQL's number for the first version that has `transaction_timeout`, 17.
const TRANSACTION_TIMEOUT_SINCE: i32 = 170_000;

/// What holds for every connection to the log, whose statements name its schema.
///
/// Whoever stands in a transaction without doing anything holds up all nodes, so that ends before they give up waiting.
/// Statements find what they look for by its key, those of triggers too; a plan that was made while the log was small, and read
/// all of a table or of its index, would be kept when it is not small any more. `synchronous_commit` may be anything but off: acknowledged means on disk.
fn set_up(limits: &Limits) -> String {
    let settings = SessionSettings {
        search_path: "pg_catalog, pg_temp",
        statement_timeout: limits.database_statement_timeout,
        lock_timeout: limits.database_lock_timeout,
        idle_in_transaction_timeout: limits.database_lock_timeout / 2,
    };
    format!(
        "{}; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = auto; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        settings.sql()
    )
}

/// Begins a transaction that writes, whatever a transaction is by default where a pooler gives each another connection.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
