//! The runtime of a projection: it follows the log in batches.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dealog_events::{Envelope, Position};
use dealog_store::{EventStore, Head};
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::watch;

use crate::{
    Checkpoint, Database, ProjectionError,
    checkpoint::{self, checkpoint, drop_tables},
};

/// A read model: its tables and the fold that fills them.
#[async_trait]
pub trait Projection: Send {
    /// Its name, as in its checkpoint.
    fn name(&self) -> &'static str;

    /// Raised whenever its tables or its fold change: the tables of another version are made anew.
    fn version(&self) -> i64;

    /// The names of its tables.
    fn tables(&self) -> Vec<&'static str>;

    /// The statements that make its tables and their indexes.
    fn schema(&self) -> Vec<String>;

    /// Applies events, which follow those applied before without a gap, within the transaction that `db` is in.
    async fn apply(&mut self, db: &mut AnyConnection, events: &[Envelope]) -> Result<(), ProjectionError>;

    /// Forgets what it keeps in memory: the tables may have changed by other hands.
    fn forget(&mut self);
}

/// Named limits of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events folded in one transaction.
    pub batch_events_max: usize,
    /// How long a worker sleeps when nobody wakes it.
    pub poll_interval: Duration,
    /// How long it waits after the database failed.
    pub retry_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_events_max: 2_000,
            poll_interval: Duration::from_millis(200),
            retry_interval: Duration::from_secs(1),
        }
    }
}

/// How a projection is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Following, and it has applied this position.
    Following(Position),
    /// Trying again and again, since its database or the log's does not answer; it says why.
    Waiting {
        /// The last position it applied.
        position: Position,
        /// What it waits for.
        reason: String,
    },
    /// Stopped at an event that it cannot apply; it says why.
    Stopped {
        /// The last position it applied.
        position: Position,
        /// Why it goes no further.
        reason: String,
    },
}

impl Status {
    /// The last position that was applied.
    pub fn position(&self) -> Position {
        match self {
            Self::Following(position) | Self::Waiting { position, .. } | Self::Stopped { position, .. } => *position,
        }
    }

    /// Why it does not go on, if it does not.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Following(_) => None,
            Self::Waiting { reason, .. } | Self::Stopped { reason, .. } => Some(reason),
        }
    }
}

/// Follows the log for one projection.
pub struct Worker {
    store: Arc<dyn EventStore>,
    database: Database,
    projection: Box<dyn Projection>,
    limits: Limits,
    status: watch::Sender<Status>,
    /// What this worker last knew of the checkpoint. Another worker may have moved it since.
    checkpoint: Checkpoint,
}

impl Worker {
    /// A worker whose tables exist, in the version of `projection`. Tables of another version are rebuilt first, which
    /// `progress` is told about.
    pub async fn start(
        store: Arc<dyn EventStore>,
        database: Database,
        projection: Box<dyn Projection>,
        limits: Limits,
        progress: impl Fn(Position, Position) + Send,
    ) -> Result<Self, ProjectionError> {
        let (mut worker, found) = Self::idle(store, database, projection, limits).await?;
        match found {
            Some(found) if found.version == worker.projection.version() => {
                check(&found, &worker.store.head().await?)?;
                worker.reached(found);
            }
            _ => worker.rebuild(progress).await?,
        }
        Ok(worker)
    }

    /// A worker whose tables have just been made anew, whatever they were before: `dealog rebuild`.
    pub async fn start_over(
        store: Arc<dyn EventStore>,
        database: Database,
        projection: Box<dyn Projection>,
        limits: Limits,
        progress: impl Fn(Position, Position) + Send,
    ) -> Result<Self, ProjectionError> {
        let (mut worker, _) = Self::idle(store, database, projection, limits).await?;
        worker.rebuild(progress).await?;
        Ok(worker)
    }

    /// A worker that has not looked at its tables yet, and the checkpoint that it found.
    async fn idle(
        store: Arc<dyn EventStore>,
        database: Database,
        projection: Box<dyn Projection>,
        limits: Limits,
    ) -> Result<(Self, Option<Checkpoint>), ProjectionError> {
        let mut db = database.read().await?;
        let found = checkpoint(&mut db, projection.name()).await?;
        db.rollback().await?;
        let log_id = store.head().await?.log_id;
        let checkpoint = Checkpoint { version: projection.version(), log_id, position: Position::ZERO };
        let status = watch::Sender::new(Status::Following(Position::ZERO));
        Ok((Self { store, database, projection, limits, status, checkpoint }, found))
    }

    /// How the projection is doing, now and from now on.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Makes the tables anew from the whole log, in one transaction: queries see the old ones until all is there.
    /// `progress` is told the position reached and the head.
    pub async fn rebuild(&mut self, progress: impl Fn(Position, Position) + Send) -> Result<(), ProjectionError> {
        self.projection.forget();
        let result = self.rebuild_in_one_transaction(progress).await;
        if result.is_err() {
            self.projection.forget();
        }
        result
    }

    async fn rebuild_in_one_transaction(
        &mut self,
        progress: impl Fn(Position, Position) + Send,
    ) -> Result<(), ProjectionError> {
        let Self { store, database, projection, .. } = self;
        let head = store.head().await?;
        let mut db = database.write().await?;
        drop_tables(&mut db, &projection.tables()).await?;
        for statement in projection.schema() {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *db).await?;
        }
        let mut reached = Checkpoint { version: projection.version(), log_id: head.log_id, position: Position::ZERO };
        loop {
            let events = store.read(reached.position, self.limits.batch_events_max, &[]).await?;
            let Some(last) = events.last() else { break };
            projection.apply(&mut db, &events).await?;
            reached.position = last.position;
            progress(reached.position, head.position.max(reached.position));
        }
        checkpoint::save(&mut db, projection.name(), &reached).await?;
        db.commit().await?;
        self.reached(reached);
        Ok(())
    }

    /// Applies what the log has and the tables have not, up to its end as it is found.
    pub async fn catch_up(&mut self) -> Result<Position, ProjectionError> {
        while self.step().await? {}
        Ok(self.checkpoint.position)
    }

    /// Applies one batch. False where there was nothing to apply.
    async fn step(&mut self) -> Result<bool, ProjectionError> {
        let events = self.store.read(self.checkpoint.position, self.limits.batch_events_max, &[]).await?;
        let Some(last) = events.last() else { return Ok(false) };
        let next = Checkpoint { position: last.position, ..self.checkpoint.clone() };

        let mut db = self.database.write().await?;
        let found = checkpoint(&mut db, self.projection.name()).await?;
        if found.as_ref() != Some(&self.checkpoint) {
            // Another worker was here first. Go on from where it left the tables.
            db.rollback().await?;
            self.projection.forget();
            let found = found.ok_or_else(|| ProjectionError::Damaged("a checkpoint is gone".into()))?;
            if found.version != self.projection.version() {
                let version = found.version;
                return Err(ProjectionError::Damaged(format!("version {version} of Dealog's tables took over")));
            }
            self.reached(found);
            return Ok(true);
        }
        let applied = async {
            self.projection.apply(&mut db, &events).await?;
            checkpoint::save(&mut db, self.projection.name(), &next).await?;
            db.commit().await?;
            Ok(())
        };
        match applied.await {
            Ok(()) => self.reached(next),
            Err(error) => {
                self.projection.forget();
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Follows the log until `stop` changes. A failing database is tried again; an event that cannot be applied stops the
    /// projection for good, and its status says so.
    pub async fn follow(mut self, mut stop: watch::Receiver<bool>) {
        let mut wake = self.store.watch();
        loop {
            let pause = match self.catch_up().await {
                Ok(position) => {
                    // Also after waiting, where nothing new had to be applied.
                    self.status.send_if_modified(|status| {
                        let following = Status::Following(position);
                        let changed = *status != following;
                        *status = following;
                        changed
                    });
                    self.limits.poll_interval
                }
                Err(error @ (ProjectionError::Database(_) | ProjectionError::Store(_))) => {
                    tracing::error!(projection = self.projection.name(), %error, "projection waits for its database");
                    let position = self.checkpoint.position;
                    self.status.send_replace(Status::Waiting { position, reason: error.to_string() });
                    self.limits.retry_interval
                }
                Err(error) => {
                    let position = self.checkpoint.position;
                    tracing::error!(projection = self.projection.name(), %position, %error, "projection stopped");
                    self.status.send_replace(Status::Stopped { position, reason: error.to_string() });
                    return;
                }
            };
            // A closed channel says nothing more: the poll interval remains.
            let woken = async {
                if wake.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let stopped = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                () = woken => false,
                () = tokio::time::sleep(pause) => false,
            };
            if stopped {
                return;
            }
        }
    }

    fn reached(&mut self, checkpoint: Checkpoint) {
        self.status.send_replace(Status::Following(checkpoint.position));
        self.checkpoint = checkpoint;
    }
}

fn check(found: &Checkpoint, head: &Head) -> Result<(), ProjectionError> {
    if found.log_id != head.log_id {
        return Err(ProjectionError::OtherLog { expected: head.log_id, found: found.log_id });
    }
    if found.position > head.position {
        return Err(ProjectionError::BeyondHead { checkpoint: found.position, head: head.position });
    }
    Ok(())
}
