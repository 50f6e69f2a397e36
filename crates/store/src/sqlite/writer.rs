//! The one connection that writes.
//!
//! `BEGIN IMMEDIATE` takes the file's write lock before anything is read, so what a batch is judged by cannot change until
//! it is committed, whichever process asks. A connection that any statement failed on is closed, which rolls back, and
//! opened again by the next batch.

use std::path::PathBuf;

use dealog_events::CommandId;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::{journal::Turns, read, rows, schema};
use crate::{
    Append, Limits, Remembered, StoreError,
    appender::{WriteError, Writer, Written},
    batch::Batch,
    decode::integer,
    failpoints,
    judge::judge,
};

#[derive(Debug)]
pub(super) struct SqliteWriter {
    path: PathBuf,
    connection: Option<SqliteConnection>,
    /// Those of whoever cuts the write-ahead log, and of this writer.
    turns: Turns,
    limits: Limits,
}

impl SqliteWriter {
    pub(super) fn new(path: PathBuf, connection: SqliteConnection, turns: Turns, limits: Limits) -> Self {
        Self { path, connection: Some(connection), turns, limits }
    }

    async fn take(&mut self) -> Result<SqliteConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(schema::write_options(&self.path).connect().await?),
        }
    }

    /// Keeps the connection for the next batch, unless something failed on it.
    async fn put_back<T, E>(&mut self, connection: SqliteConnection, outcome: Result<T, E>) -> Result<T, E> {
        if outcome.is_ok() {
            self.connection = Some(connection);
        } else if let Err(error) = connection.close().await {
            tracing::warn!(%error, "a connection to the log could not be closed");
        }
        outcome
    }
}

impl Writer for SqliteWriter {
    async fn write(&mut self, batch: &[Append]) -> Result<Written, WriteError> {
        let turns = self.turns.clone();
        let _turn = turns.take().await;
        let mut connection = self.take().await?;
        let outcome = write(&mut connection, batch, &self.limits).await;
        self.put_back(connection, outcome).await
    }

    async fn remembered(&mut self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        let mut connection = self.take().await?;
        let outcome = look_up(&mut connection, ids).await;
        self.put_back(connection, outcome).await
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the log could not be closed");
        }
    }
}

/// Three trips to the connection's thread: for the lock and what the batch is judged by, with what is written, and for the
/// commit, whose failure means something else than that of any statement before it. Commands that change nothing are rare, and
/// take one more.
async fn write(connection: &mut SqliteConnection, batch: &[Append], limits: &Limits) -> Result<Written, WriteError> {
    let known = read::lock_and_know(connection, batch).await?;
    let before = known.position;
    let judged = judge(batch, known, limits);
    if judged.accepted.is_empty() {
        sqlx::query("ROLLBACK").execute(connection).await?;
    } else {
        let batch = Batch::of_accepted(&judged, before);
        if !batch.events.is_empty() {
            insert(connection, &batch).await?;
        }
        if !batch.unchanged_commands.is_empty() {
            insert_unchanged(connection, &batch, limits).await?;
        }
        failpoints::pass("log-before-commit")?;
        sqlx::query("COMMIT").execute(connection).await.map_err(|error| WriteError::InDoubt(error.into()))?;
        failpoints::pass("log-after-commit").map_err(|error| WriteError::InDoubt(error.into()))?;
    }
    Ok(Written { outcomes: judged.outcomes, position: judged.position })
}

/// Looks commands up after a commit that failed, so that what is not found was not written and never will be. A commit that
/// failed at the disk's sync has left its pages in the journal, and a crash would bring them back: so this is a write too,
/// of nothing new, which takes their place.
async fn look_up(connection: &mut SqliteConnection, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let version: i32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {version}"))).execute(&mut *transaction).await?;
    let found = read::remembered(&mut *transaction, ids.iter().copied()).await?;
    transaction.commit().await?;
    Ok(found)
}

/// Writes the commands of a batch that changed nothing.
async fn insert_unchanged(
    connection: &mut SqliteConnection,
    batch: &Batch<'_>,
    limits: &Limits,
) -> Result<(), StoreError> {
    sqlx::query(rows::INSERT_UNCHANGED)
        .bind(rows::commands(&batch.unchanged_commands))
        .bind(integer(limits.unchanged_commands_hours()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the events of a batch and the commands that brought them, under the lock.
pub(super) async fn insert(connection: &mut SqliteConnection, batch: &Batch<'_>) -> Result<(), StoreError> {
    let (events, data) = rows::events(&batch.events);
    let moved = sqlx::query(rows::INSERT)
        .bind(events)
        .bind(data)
        .bind(rows::commands(&batch.commands))
        .bind(integer(batch.before.0))
        .bind(integer(batch.position.0))
        .bind(batch.recorded_at.micros())
        .fetch_all(connection)
        .await?;
    if moved.len() != 1 {
        let reason = "the head moved while its lock was held".into();
        return Err(StoreError::Damaged { position: batch.before, reason });
    }
    Ok(())
}
