//! Models that have no tables of their version yet: each gets them by itself, while the others are followed.

use std::sync::Arc;

use dealog_events::Position;
use dealog_followers::Status;
use dealog_store::{EventStore, supervised};
use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    time::timeout,
};

use super::{
    batch::Model,
    build::build,
    checkpoint::{self, Checkpoint, checkpoint},
    standing,
    status::Told,
    worker::Limits,
};
use crate::{Database, Projection, ProjectionError};

/// What it takes to make tables. Cheap to clone.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) database: Database,
    pub(super) limits: Limits,
    pub(super) told: Told,
}

impl Maker {
    /// The tables of its version that are there, if they are. Refuses those of another log, of another history, or of a later
    /// version.
    pub(super) async fn find(&self, projection: &dyn Projection) -> Result<Option<Checkpoint>, ProjectionError> {
        let mut db = self.database.glance().await?;
        let found = checkpoint(&mut db, projection.name()).await?;
        db.rollback().await?;
        let Some(found) = found.filter(|found| found.version >= projection.version()) else { return Ok(None) };
        found.must_be_of(projection.version())?;
        found.must_be_within(&self.store.head().await?)?;
        found.must_be_of_this_history(&*self.store).await?;
        self.told.tell([(projection.name(), Status::Following(found.position))]);
        Ok(Some(found))
    }

    /// Makes tables anew, beside those that are there, whatever these are; or goes on where that was interrupted.
    pub(super) async fn build(&self, projection: &mut dyn Projection) -> Result<Checkpoint, ProjectionError> {
        let name = projection.name();
        let told = |position, head| self.told.tell([(name, Status::CatchingUp { position, head })]);
        let built = build(self, projection, &told).await?;
        self.told.tell([(name, Status::Following(built.position))]);
        Ok(built)
    }

    /// The tables of its version, which are made where they are missing.
    pub(super) async fn make(&self, projection: &mut dyn Projection) -> Result<Checkpoint, ProjectionError> {
        // Another process may have made them meanwhile.
        if let Some(found) = self.find(projection).await? {
            return Ok(found);
        }
        let built = self.build(projection).await;
        if let Err(error) = &built
            && let Some(event) = error.poison()
        {
            self.keep_stop(projection, event, error.to_string()).await?;
        }
        built
    }

    /// Writes down that a build stopped, unless another process has made the tables meanwhile.
    async fn keep_stop(
        &self,
        projection: &dyn Projection,
        event: Position,
        reason: String,
    ) -> Result<(), ProjectionError> {
        let (name, version) = (projection.name(), projection.version());
        let mut db = self.database.write().await?;
        let found = checkpoint::locked(&mut db).await?;
        if found.get(name).is_none_or(|found| found.version != version) {
            standing::stops(&mut db, name, version, event, reason).await?;
            db.commit().await?;
        }
        Ok(())
    }

    /// Makes the tables of all these, one after the other, and hands each model over when its tables are in place. Tries again
    /// where that may help, and when it is to `look`; a model whose tables cannot be made is told of, and left.
    pub(super) async fn make_all(
        self,
        mut missing: Vec<Box<dyn Projection>>,
        made: UnboundedSender<Model>,
        look: Arc<Notify>,
    ) {
        while !missing.is_empty() {
            let mut left = Vec::new();
            for mut projection in missing {
                let outcome = supervised::run("models", self.make(&mut *projection)).await;
                match outcome.unwrap_or(Err(ProjectionError::WorkerFailed)) {
                    Ok(at) => {
                        if made.send(Model::new(projection, at)).is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        if self.may_try_again(&*projection, &error).await {
                            left.push(projection);
                        }
                    }
                }
            }
            missing = left;
            if !missing.is_empty() {
                let _ = timeout(self.limits.retry_interval, look.notified()).await;
            }
        }
    }

    /// Tells why there are no tables yet, and whether to try again.
    async fn may_try_again(&self, projection: &dyn Projection, error: &ProjectionError) -> bool {
        let name = projection.name();
        let (position, reason) = (self.told.position(name), error.to_string());
        match error {
            ProjectionError::BeingBuilt => {
                if let Ok(Some(build)) = self.database.standing(name).await.map(|standing| standing.building) {
                    self.told.tell([(name, Status::CatchingUp { position: build.position, head: build.head })]);
                }
                return true;
            }
            error if error.may_pass() => {
                tracing::error!(projection = name, reason, "projection waits for its database");
                self.told.tell([(name, Status::Waiting { position, reason: error.in_words() })]);
                return true;
            }
            ProjectionError::Damaged(_) => self.database.distrust(&reason),
            error => {
                let position = error.poison().unwrap_or(position);
                tracing::error!(projection = name, %position, reason, "projection stopped");
            }
        }
        self.told.tell([(name, Status::Stopped { position, reason })]);
        false
    }
}
