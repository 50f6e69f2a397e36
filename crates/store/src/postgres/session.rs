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
        let set_up = set_up(&self.limits);
        PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(self.limits.database_connect_timeout)
            .after_connect(move |connection, _| {
                let set_up = set_up.clone();
                Box::pin(async move { connection.execute(AssertSqlSafe(set_up)).await.map(|_| ()) })
            })
            .after_release(|connection, _| Box::pin(is_done(connection)))
            .connect_lazy_with(self.options.clone())
    }
}

/// Who stops waiting while a transaction begins, or is refused a lock with which it does, leaves it to the connection: the
/// driver knows of none, and the next would be refused in it or read from its snapshot. Where there is none, this does nothing.
async fn is_done(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    connection.execute("BEGIN; ROLLBACK").await?;
    Ok(true)
}

/// What holds for every connection.
///
/// Whoever stands in a transaction without doing anything holds up all nodes, so that ends before they give up waiting.
/// Statements find what they look for by its key; a plan that was made while the log was small, and read all of it, would be
/// kept when it is not small any more. `synchronous_commit` may be anything but off: acknowledged means on disk.
fn set_up(limits: &Limits) -> String {
    let [lock, statement, idle] =
        [limits.database_lock_timeout, limits.database_statement_timeout, limits.database_lock_timeout / 2]
            .map(|timeout: Duration| timeout.as_millis());
    format!(
        "SET lock_timeout = {lock}; SET statement_timeout = {statement}; SET idle_in_transaction_session_timeout = {idle}; \
         SET enable_seqscan = off; SET jit = off; SET client_min_messages = warning; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
}
