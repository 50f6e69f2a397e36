//! The one connection that writes.
//!
//! A batch is a transaction that begins by locking the head row: what it is judged by is read after that, at READ COMMITTED,
//! and cannot change until it is committed, whichever node asks. A connection that anything failed on is dropped, which ends
//! its transaction, and the next batch opens another.
//!
//! What became of a commit without an answer is asked under the same lock: as long as the old transaction is neither
//! committed nor gone, nobody else has it.

use dealog_events::CommandId;
use sqlx::{Connection as _, PgConnection};

use super::{
    altered, read, rows,
    session::{Session, in_time},
};
use crate::{
    Append, Limits, Remembered, StoreError,
    appender::{WriteError, Writer, Written},
    batch::Batch,
    failpoints,
    judge::{Judged, judge},
    trouble::is_lost,
};

pub(super) struct PgWriter {
    session: Session,
    connection: Option<PgConnection>,
    limits: Limits,
}

impl PgWriter {
    pub(super) fn new(session: Session, connection: PgConnection, limits: Limits) -> Self {
        Self { session, connection: Some(connection), limits }
    }

    async fn attempt(&mut self, batch: &[Append]) -> Result<Written, WriteError> {
        let mut connection = self.take().await?;
        let written = write(&mut connection, batch, &self.limits).await?;
        self.connection = Some(connection);
        Ok(written)
    }

    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = self.session.connect().await?;
        // Another database may have taken the place of the one that was there, or somebody its triggers.
        in_time(&self.limits, altered::refuse(&mut connection)).await?;
        Ok(connection)
    }
}

impl Writer for PgWriter {
    async fn write(&mut self, batch: &[Append]) -> Result<Written, WriteError> {
        let reused = self.connection.is_some();
        match self.attempt(batch).await {
            // The server was restarted, or closed what nobody used for long. Nothing was written, and it may well be there.
            Err(WriteError::NotWritten(StoreError::Database(error))) if reused && is_lost(&error) => {
                tracing::warn!(%error, "the connection to the log was lost; another is opened");
                self.attempt(batch).await
            }
            outcome => outcome,
        }
    }

    async fn remembered(&mut self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        let mut connection = self.take().await?;
        let looked_up = async {
            let mut transaction = connection.begin_with(read::BEGIN_WITH_LOCK).await?;
            let found = read::remembered(&mut *transaction, ids.iter().copied()).await?;
            // Like any commit this waits for the disk, and for replicas that are waited for.
            transaction.commit().await?;
            Ok(found)
        };
        let found = in_time(&self.limits, looked_up).await?;
        self.connection = Some(connection);
        Ok(found)
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the log could not be closed");
        }
    }
}

async fn write(connection: &mut PgConnection, batch: &[Append], limits: &Limits) -> Result<Written, WriteError> {
    let prepared = async {
        let mut transaction = connection.begin_with(read::BEGIN_WITH_LOCK).await?;
        let known = read::known(&mut *transaction, batch).await?;
        let before = known.position;
        let judged = judge(batch, known, limits);
        if !judged.accepted.is_empty() {
            let batch = Batch::of_accepted(&judged, before);
            if !batch.events.is_empty() {
                rows::write(&batch).execute(&mut *transaction).await?;
            }
            if !batch.unchanged_commands.is_empty() {
                rows::write_unchanged(&batch, limits).execute(&mut *transaction).await?;
            }
        }
        Ok((transaction, judged))
    };
    let (transaction, Judged { outcomes, accepted, position, .. }) = in_time(limits, prepared).await?;
    if accepted.is_empty() {
        in_time(limits, async { Ok(transaction.rollback().await?) }).await?;
    } else {
        failpoints::pass("log-before-commit")?;
        in_time(limits, async { Ok(transaction.commit().await?) }).await.map_err(WriteError::InDoubt)?;
        failpoints::pass("log-after-commit").map_err(|error| WriteError::InDoubt(error.into()))?;
    }
    Ok(Written { outcomes, position })
}
