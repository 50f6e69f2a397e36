//! The runtime of a projection: it follows the log in batches.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_events::Position;
use dealog_store::{EventStore, Head, failpoints, supervised};
use tokio::sync::watch;

use crate::{
    Checkpoint, Database, Projection, ProjectionError, Status,
    apply::Applier,
    build::build,
    checkpoint::{self, checkpoint},
    lease::Lease,
    standing,
};

/// Named limits of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events folded in one transaction.
    pub batch_events_max: usize,
    /// The same while tables are built, where nobody waits for each batch: a row that changes again within one is written
    /// once. The log gives no more than 10,000 at once.
    pub build_events_max: usize,
    /// How long a worker sleeps when nobody wakes it.
    pub poll_interval: Duration,
    /// How long a projection is a worker's without a sign of life; then another takes over.
    pub lease: Duration,
    /// How long it waits after the database failed, or while another process builds.
    pub retry_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_events_max: 2_000,
            build_events_max: 5_000,
            poll_interval: Duration::from_millis(200),
            lease: Duration::from_secs(5),
            retry_interval: Duration::from_secs(1),
        }
    }
}

/// Follows the log for one projection. Of several, in one process or in many, one leads: it has the lease, and folds. The
/// others look on how far it has come, and take over when it ends.
pub struct Worker {
    applier: Applier,
    database: Database,
    status: watch::Sender<Status>,
    /// What this worker last knew of the checkpoint, which another worker may have moved since; none where there are no
    /// tables of its version.
    at: Option<Checkpoint>,
    /// That this worker leads.
    lease: Option<Lease>,
}

impl Worker {
    /// A worker for tables that fit its projection, or that it has yet to make. Refuses those of another log or of a later
    /// version.
    pub async fn start(
        store: Arc<dyn EventStore>,
        database: Database,
        projection: Box<dyn Projection>,
        limits: Limits,
    ) -> Result<Self, ProjectionError> {
        let mut worker = Self::idle(store, database, projection, limits);
        worker.look().await?;
        if worker.at.is_none() {
            let head = worker.applier.store.head().await?.position;
            worker.status.send_replace(Status::Building { position: Position::ZERO, head });
        }
        Ok(worker)
    }

    /// A worker that takes no notice of the tables that are there: see [`Worker::rebuild`].
    pub fn idle(
        store: Arc<dyn EventStore>,
        database: Database,
        projection: Box<dyn Projection>,
        limits: Limits,
    ) -> Self {
        let status = watch::Sender::new(Status::Following(Position::ZERO));
        Self { applier: Applier::new(store, projection, limits), database, status, at: None, lease: None }
    }

    /// How the projection is doing, now and from now on.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Looks whether there are tables of this version, and how far they are.
    async fn look(&mut self) -> Result<(), ProjectionError> {
        let version = self.applier.projection.version();
        let mut db = self.database.glance().await?;
        let found = checkpoint(&mut db, self.applier.projection.name()).await?;
        db.rollback().await?;
        match found {
            Some(found) if found.version >= version => {
                found.must_be_of(version)?;
                check(&found, &self.applier.store.head().await?)?;
                if self.at.as_ref() != Some(&found) {
                    // Others have written the tables, or a crash of their server has taken them back.
                    self.applier.projection.forget();
                }
                self.reached(found);
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes the tables anew from the whole log, beside those that are there, whatever these are; or goes on where that
    /// was interrupted. Where another process is at it, it waits for as long as a lease lasts: that one may have been killed.
    pub async fn rebuild(&mut self) -> Result<(), ProjectionError> {
        let begun = Instant::now();
        loop {
            match self.build().await {
                Err(ProjectionError::BeingBuilt) if begun.elapsed() <= self.applier.limits.lease => {
                    tokio::time::sleep(self.applier.limits.poll_interval).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn build(&mut self) -> Result<(), ProjectionError> {
        let status = &self.status;
        let told = |position, head| {
            status.send_replace(Status::Building { position, head });
        };
        let built = build(&mut self.applier, &self.database, told).await?;
        self.reached(built);
        Ok(())
    }

    /// Sees to it that there are tables of this version.
    pub async fn ready(&mut self) -> Result<(), ProjectionError> {
        if self.at.is_none() {
            // Another process may have made them meanwhile.
            self.look().await?;
        }
        if self.at.is_none() {
            self.build().await?;
        }
        Ok(())
    }

    /// Applies what the log has and the tables have not, up to its end as it is found; or, where another worker leads, waits
    /// for that one to do so. Where there are no tables of this version, it makes them first.
    pub async fn catch_up(&mut self) -> Result<Position, ProjectionError> {
        let outcome = self.catch_up_in_turn().await;
        self.give_back().await;
        outcome
    }

    async fn catch_up_in_turn(&mut self) -> Result<Position, ProjectionError> {
        let head = self.applier.store.head().await?.position;
        loop {
            let position = self.advance().await?;
            if position >= head || self.lease.is_some() {
                return Ok(position);
            }
            tokio::time::sleep(self.applier.limits.poll_interval).await;
        }
    }

    /// Applies what is new where this worker leads, else looks how far the one that leads has come.
    async fn advance(&mut self) -> Result<Position, ProjectionError> {
        let outcome = self.try_advance().await;
        if let Err(error) = &outcome
            && let Some(event) = error.poison()
        {
            self.keep_stop(event, error.to_string()).await?;
        }
        outcome
    }

    async fn try_advance(&mut self) -> Result<Position, ProjectionError> {
        failpoints::pass("worker")?;
        self.ready().await?;
        match self.lead().await {
            Err(ProjectionError::LeaseLost) => {
                tracing::warn!(projection = self.applier.projection.name(), "another worker has taken over");
                self.lease = None;
            }
            led => led?,
        }
        if self.lease.is_none() {
            self.look().await?;
        }
        Ok(self.at.as_ref().ok_or(ProjectionError::NotBuilt)?.position)
    }

    /// Applies what is new, if the lease is this worker's or can be had.
    async fn lead(&mut self) -> Result<(), ProjectionError> {
        let renewed = if let Some(lease) = &mut self.lease {
            lease.keep(&self.database).await?
        } else {
            let (name, time) = (self.applier.projection.name(), self.applier.limits.lease);
            self.lease = Lease::take(&self.database, name, time).await?;
            self.lease.is_some()
        };
        if renewed {
            // Where nothing new comes, no batch would find that the tables are elsewhere than this worker thinks.
            self.look().await?;
        }
        let (Some(mut at), true) = (self.at.clone(), self.lease.is_some()) else { return Ok(()) };
        let mut events_max = self.applier.limits.batch_events_max;
        while self.applier.next(&self.database, self.lease.as_mut(), &mut at, &mut events_max).await? {
            self.reached(at.clone());
        }
        Ok(())
    }

    async fn give_back(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Err(error) = lease.give_back(&self.database).await
        {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }

    /// Follows the log until `stop` changes. A failing database is tried again; an event that cannot be applied stops the
    /// projection for good: its status says so, and so does what is kept beside its checkpoint.
    pub async fn follow(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            // A batch or a swap under way comes to its end, or to nothing.
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.go_on() => {}
        }
        self.give_back().await;
    }

    async fn go_on(&mut self) {
        let mut wake = self.applier.store.watch();
        loop {
            let advanced = supervised::run("projection", self.advance()).await;
            let pause = match advanced.unwrap_or(Err(ProjectionError::WorkerFailed)) {
                Ok(position) => {
                    // Also after waiting, where nothing new had to be applied.
                    self.tell(Status::Following(position));
                    self.applier.limits.poll_interval
                }
                Err(error) => {
                    let pause = self.failed(error).await;
                    // Another process may be able to.
                    self.give_back().await;
                    let Some(pause) = pause else { return };
                    pause
                }
            };
            // A closed channel says nothing more: the poll interval remains.
            let woken = async {
                if wake.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How long to wait before trying again; none where that would be of no use.
    async fn failed(&self, error: ProjectionError) -> Option<Duration> {
        let projection = self.applier.projection.name();
        let position = self.status.borrow().position();
        let reason = error.to_string();
        match error {
            ProjectionError::BeingBuilt => {
                if let Ok(Some(build)) = self.database.standing(projection).await.map(|standing| standing.building) {
                    self.status.send_replace(Status::Building { position: build.position, head: build.head });
                }
                return Some(self.applier.limits.retry_interval);
            }
            error if error.poison().is_some() => {
                let event = error.poison().unwrap_or_default();
                tracing::error!(projection, position = %event, reason, "projection stopped");
            }
            error @ (ProjectionError::Database(_)
            | ProjectionError::Store(_)
            | ProjectionError::BuildDamaged(_)
            | ProjectionError::WorkerFailed) => {
                tracing::error!(projection, %reason, "projection waits for its database");
                self.status.send_replace(Status::Waiting { position, reason: error.in_words() });
                return Some(self.applier.limits.retry_interval);
            }
            ProjectionError::Damaged(_) => self.database.distrust(&reason),
            _ => tracing::error!(projection, %position, reason, "projection stopped"),
        }
        self.status.send_replace(Status::Stopped { position, reason });
        None
    }

    /// Writes down that the projection stopped, unless another worker has come further meanwhile.
    async fn keep_stop(&self, event: Position, reason: String) -> Result<(), ProjectionError> {
        let (name, version) = (self.applier.projection.name(), self.applier.projection.version());
        let mut db = self.database.write().await?;
        let found = checkpoint::locked(&mut db, name).await?;
        if self.at.is_none() || found == self.at {
            standing::stops(&mut db, name, version, event, reason).await?;
            db.commit().await?;
        }
        Ok(())
    }

    fn reached(&mut self, checkpoint: Checkpoint) {
        self.tell(Status::Following(checkpoint.position));
        self.at = Some(checkpoint);
    }

    /// Wakes those who wait for the status only where it is another one.
    fn tell(&self, new: Status) {
        self.status.send_if_modified(|status| {
            let changed = *status != new;
            *status = new;
            changed
        });
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
