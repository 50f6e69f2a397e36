//! The models of a process, and all that keeps them: see [`runtime`](super).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_events::Position;
use dealog_followers::Status;
use dealog_store::EventStore;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::sleep,
};

use super::{
    batch::Model,
    follow::{Coming, Live},
    make::Maker,
    status::{Told, Watch},
};
use crate::{Database, Projection, ProjectionError};

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
    /// How long the models are a worker's without a sign of life; then another takes over.
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

impl From<Limits> for dealog_followers::Limits {
    fn from(limits: Limits) -> Self {
        let Limits { batch_events_max, poll_interval, retry_interval, .. } = limits;
        Self { batch_events_max, poll_interval, retry_interval }
    }
}

/// Keeps models up to date. Of several workers on a database, in one process or in many, one leads: it has the lease, and
/// writes. The others look on how far it has come, and take over when it ends.
pub struct Worker {
    maker: Maker,
    live: Live,
    /// Models of which it is not known that there are tables of their version.
    missing: Vec<Box<dyn Projection>>,
    following: watch::Sender<Status>,
}

impl Worker {
    /// A worker for models whose tables fit them, or that it has yet to make. Refuses tables of another log, of another history,
    /// and of a later version.
    pub async fn start(
        store: Arc<dyn EventStore>,
        database: Database,
        models: Vec<Box<dyn Projection>>,
        limits: Limits,
    ) -> Result<Self, ProjectionError> {
        let mut worker = Self::idle(store, database, models, limits);
        worker.look().await?;
        if !worker.missing.is_empty() {
            let head = worker.maker.store.head().await?.position;
            let building = Status::CatchingUp { position: Position::ZERO, head };
            let missing = worker.missing.iter().map(|model| (model.name(), building.clone()));
            worker.maker.told.tell(missing);
        }
        Ok(worker)
    }

    /// A worker that takes no notice of the tables that are there: see [`Worker::rebuild`].
    pub fn idle(
        store: Arc<dyn EventStore>,
        database: Database,
        models: Vec<Box<dyn Projection>>,
        limits: Limits,
    ) -> Self {
        let told = Told::of(&models);
        let live = Live::new(Arc::clone(&store), database.clone(), limits, told.clone());
        let following = watch::Sender::new(Status::Following(Position::ZERO));
        Self { maker: Maker { store, database, limits, told }, live, missing: models, following }
    }

    /// How the models are doing, now and from now on.
    pub fn status(&self) -> Watch {
        self.maker.told.watch(&self.following)
    }

    /// Looks for tables of the models that have none yet.
    async fn look(&mut self) -> Result<(), ProjectionError> {
        let mut missing = Vec::new();
        let mut outcome = Ok(());
        for projection in self.missing.drain(..) {
            match self.maker.find(&*projection).await {
                Ok(Some(at)) => self.live.models.push(Model::new(projection, at)),
                Ok(None) => missing.push(projection),
                Err(error) => {
                    missing.push(projection);
                    outcome = Err(error);
                }
            }
        }
        self.missing = missing;
        outcome
    }

    /// Makes the tables of all models anew from the whole log, one after the other, beside those that are there, whatever these
    /// are; or goes on where that was interrupted.
    pub async fn rebuild(&mut self) -> Result<(), ProjectionError> {
        let mut outcome = Ok(());
        for name in self.status().now().into_iter().map(|model| model.name) {
            outcome = outcome.and(self.rebuild_one(name).await);
        }
        outcome
    }

    /// The same for the model of this name. Where another process is at it, it waits for as long as a lease lasts: that one may
    /// have been killed.
    pub async fn rebuild_one(&mut self, name: &str) -> Result<(), ProjectionError> {
        let missing = self.missing.iter().position(|model| model.name() == name);
        let live = self.live.models.iter().position(|model| model.projection.name() == name);
        let mut projection = match (missing, live) {
            (Some(index), _) => self.missing.remove(index),
            (None, Some(index)) => self.live.models.remove(index).projection,
            (None, None) => return Ok(()),
        };
        let begun = Instant::now();
        loop {
            match self.maker.build(&mut *projection).await {
                Err(ProjectionError::BeingBuilt) if begun.elapsed() <= self.maker.limits.lease => {
                    sleep(self.maker.limits.poll_interval).await;
                }
                Ok(built) => {
                    self.live.models.push(Model::new(projection, built));
                    return Ok(());
                }
                Err(error) => {
                    self.missing.push(projection);
                    return Err(error);
                }
            }
        }
    }

    /// Sees to it that there are tables of all models, as far as these can be made.
    pub async fn ready(&mut self) -> Result<(), ProjectionError> {
        let (mut missing, mut outcome) = (Vec::new(), Ok(()));
        for mut projection in std::mem::take(&mut self.missing) {
            match self.maker.make(&mut *projection).await {
                Ok(at) => self.live.models.push(Model::new(projection, at)),
                Err(error) => {
                    missing.push(projection);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        self.missing = missing;
        outcome
    }

    /// Applies what the log has and the tables have not, up to its end as it is found; or, where another worker leads, waits
    /// for that one to do so. Where there are no tables of a model's version, it makes them first.
    ///
    /// A model that cannot go on keeps none of the others: the error is given when they are there.
    pub async fn catch_up(&mut self) -> Result<Position, ProjectionError> {
        let ready = match self.ready().await {
            // The others are brought as far as that goes.
            Err(error) if error.poison().is_some() && !self.live.models.is_empty() => Err(error),
            ready => Ok(ready?),
        };
        let outcome = self.catch_up_live().await;
        dealog_followers::Follower::rest(&mut self.live).await;
        match (self.live.stopped(), outcome) {
            // That one of them stopped is all there is to say, unless something else went wrong, too.
            (Some(stopped), Ok(_) | Err(ProjectionError::Ended(_))) => Err(stopped),
            (Some(stopped), Err(error)) if error.poison().is_some() => Err(stopped),
            (_, Err(error)) => Err(error),
            (None, Ok(position)) => ready.map(|()| position),
        }
    }

    async fn catch_up_live(&mut self) -> Result<Position, ProjectionError> {
        let limits = self.maker.limits.into();
        loop {
            let reached = dealog_followers::catch_up(&self.maker.store, &mut self.live, limits, &self.following).await;
            let reached = reached.map_err(|trouble| self.live.error.take().unwrap_or_else(|| trouble.into()))?;
            if self.live.has_done_its_part() {
                return Ok(reached);
            }
        }
    }

    /// Follows the log until `stop` changes, and makes the tables that are missing meanwhile. A failing database is tried again;
    /// a model that cannot apply an event stops: its status says so, and so does what is kept beside its checkpoint. Ends by
    /// itself where none goes on.
    pub async fn follow(self, stop: watch::Receiver<bool>) {
        let Self { maker, mut live, missing, following } = self;
        let (store, limits) = (Arc::clone(&maker.store), maker.limits.into());
        // What is left of it goes with it.
        let mut making = JoinSet::new();
        if !missing.is_empty() {
            let (made, models) = mpsc::unbounded_channel();
            let expected = missing.iter().map(|model| (model.name(), model.version())).collect();
            let look = Arc::<Notify>::default();
            live.coming = Some(Coming { models, expected, look: Arc::clone(&look), one_is_due: false });
            making.spawn(maker.make_all(missing, made, look));
        }
        // A batch or a swap under way comes to its end, or to nothing.
        dealog_followers::follow(store, live, limits, following, stop).await;
        making.shutdown().await;
    }
}
