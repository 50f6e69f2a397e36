//! New tables are built beside the old ones, in a database or a schema of their own, and swapped in when they have caught
//! up: queries never see a half-built model, and whoever keeps the old tables up to date goes on until then.
//!
//! The build follows the log like the models that have tables, in batches of its own, with a checkpoint of its own: what was
//! interrupted is gone on with. It goes no further than the other models have come, so that it can take its place among them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use dealog_events::{Category, Cursor, Envelope, Event, Position, ReadError};
use dealog_followers::{Follower, Lease, OtherHistory, Status, Trouble, Turn, advance, lease::holder};
use dealog_store::{EventStore, failpoints};
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::watch;

use super::{
    batch::{fold, trouble},
    checkpoint::{self, Checkpoint, Checkpoints, checkpoint},
    lease,
    make::Maker,
    standing,
    swap::swap,
};
use crate::{
    Database, Projection, ProjectionError, damage,
    database::Place,
    lock,
    postgres::{SCHEMA, Server},
};

impl Database {
    /// Whether a process is building here.
    pub(crate) async fn is_being_built(&self, db: &mut AnyConnection, model: &str) -> Result<bool, ProjectionError> {
        match self.place() {
            Place::Memory => Ok(false),
            Place::File(file) => Ok(lock::is_taken(&lock_file(&file.path, model))),
            Place::Server(_) => {
                let builder = holder(db, &lease::of_build(model)).await?;
                Ok(builder.is_some_and(|builder| !builder.process.is_gone()))
            }
        }
    }
}

fn lock_file(views: &Path, model: &str) -> PathBuf {
    views.with_extension(format!("{model}.next.lock"))
}

/// Makes the tables anew, or goes on where that was interrupted, and swaps them in. `told` hears of the position reached
/// and of the end of the log.
///
/// Where an event cannot be applied, what comes before it is swapped in all the same, unless the old tables have come
/// further.
pub(super) async fn build(
    maker: &Maker,
    projection: &mut dyn Projection,
    told: &(dyn Fn(Position, Position) + Send + Sync),
) -> Result<Checkpoint, ProjectionError> {
    let Maker { store, database, limits, .. } = maker;
    let Some(place) = NextPlace::of(database, projection.name()) else {
        return in_place(store, database, projection, limits.batch_events_max).await;
    };
    let mut turn = Of::take(maker, projection.name()).await?;
    let next = Next::open(database, place).await?;
    let mut beside = Beside::new(store, database, &next.database, projection, limits.build_events_max, told);
    let built = tokio::select! {
        built = beside.catch_up(&next) => built,
        lost = turn.keep_on(database) => Err(lost),
    };
    let built = match built {
        Ok(()) => swap(&mut beside, database, &next, turn.lease()).await,
        Err(error) => Err(error),
    };
    let built = built.map_err(|error| match error {
        ProjectionError::LeaseLost => ProjectionError::BeingBuilt,
        error => error,
    });
    if built.is_err() {
        // It remembers rows of these tables, and not of those that answer.
        projection.forget();
    }
    let left = match (&built, &next.place) {
        // What may be damaged is not gone on with.
        (Ok(_), NextPlace::File(_)) | (Err(ProjectionError::BuildDamaged(_)), _) => next.remove(database, &turn).await,
        // The swap has taken the schema; or the build is gone on with.
        _ => {
            next.database.close().await;
            Ok(())
        }
    };
    if let Err(error) = left {
        tracing::warn!(%error, "what was built in is still there");
    }
    turn.give_back(database).await;
    built
}

/// What keeps others from building the same tables at the same time. A lock the system takes back at once when its process
/// ends.
enum Of {
    Lock { _file: File },
    Lease(Lease),
}

impl Of {
    async fn take(maker: &Maker, model: &str) -> Result<Self, ProjectionError> {
        let Maker { database, limits, .. } = maker;
        let taken = if let Some(file) = database.file() {
            let file = lock::alone(&lock_file(file, model)).await.map_err(sqlx::Error::Io)?;
            file.map(|file| Self::Lock { _file: file })
        } else {
            database.take_lease(&lease::of_build(model), limits.lease).await?.map(Self::Lease)
        };
        taken.ok_or(ProjectionError::BeingBuilt)
    }

    fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Lock { .. } => None,
            Self::Lease(lease) => Some(lease),
        }
    }

    /// Comes to an end where another has taken it.
    async fn keep_on(&mut self, database: &Database) -> ProjectionError {
        match self {
            Self::Lock { .. } => std::future::pending().await,
            Self::Lease(lease) => database.keep_on(lease).await,
        }
    }

    async fn give_back(self, database: &Database) {
        if let Self::Lease(lease) = self {
            database.give_back(lease).await;
        }
    }
}

/// In memory nobody else looks, and there is but one connection.
async fn in_place(
    store: &Arc<dyn EventStore>,
    database: &Database,
    projection: &mut dyn Projection,
    events_max: usize,
) -> Result<Checkpoint, ProjectionError> {
    let mut build = Beside::new(store, database, database, projection, events_max, &|_, _| ());
    let mut db = database.read().await?;
    let goal = goal(&mut db, build.projection.name()).await?;
    db.rollback().await?;
    build.begin().await?;
    let outcome = build.go_to(goal).await;
    let mut db = database.write().await?;
    run(&mut db, build.projection.indexes()).await?;
    db.commit().await?;
    outcome.map(|()| build.at)
}

/// Where a model has to come to: to the others that go on, and not behind its own old tables. None where there are no others:
/// then it comes as far as the log.
async fn goal(db: &mut AnyConnection, model: &str) -> Result<Option<Position>, ProjectionError> {
    let all = checkpoint::all(db).await?;
    goal_among(db, &all, model).await
}

/// The same among these checkpoints.
pub(super) async fn goal_among(
    db: &mut AnyConnection,
    all: &Checkpoints,
    model: &str,
) -> Result<Option<Position>, ProjectionError> {
    let stops = standing::stops_of_all(db).await?;
    let goes_on = |name: &str, at: &Checkpoint| {
        !stops.iter().any(|(of, version, _)| (of.as_str(), *version) == (name, at.version))
    };
    let others = all.iter().filter(|(name, at)| name.as_str() != model && goes_on(name, at));
    let others = others.map(|(_, at)| at.position).max();
    Ok(others.map(|others| others.max(all.get(model).map_or(Position::ZERO, |own| own.position))))
}

/// Tables of a model that grow beside those that are there.
pub(super) struct Beside<'a> {
    pub(super) store: &'a Arc<dyn EventStore>,
    /// Where the other models are.
    database: &'a Database,
    /// Where these tables grow.
    next: &'a Database,
    pub(super) projection: &'a mut dyn Projection,
    pub(super) at: Checkpoint,
    goal: Goal,
    events_max: usize,
    /// A batch was begun and has not ended well.
    under_way: bool,
    told: &'a (dyn Fn(Position, Position) + Send + Sync),
    /// What went wrong last, with all that is known of it.
    error: Option<ProjectionError>,
}

/// How far a build goes.
#[derive(Clone, Copy)]
enum Goal {
    /// To where the other models are, whenever it looks. It is written down how far it is.
    Others,
    /// To this position, or to the end of the log.
    This(Option<Position>),
}

impl<'a> Beside<'a> {
    fn new(
        store: &'a Arc<dyn EventStore>,
        database: &'a Database,
        next: &'a Database,
        projection: &'a mut dyn Projection,
        events_max: usize,
        told: &'a (dyn Fn(Position, Position) + Send + Sync),
    ) -> Self {
        let nothing = Checkpoint {
            version: projection.version(),
            log_id: uuid::Uuid::nil(),
            position: Position::ZERO,
            proof: None,
            build: 1,
        };
        let (goal, at) = (Goal::Others, nothing);
        Self { store, database, next, projection, at, goal, events_max, under_way: false, told, error: None }
    }

    /// Begins, or goes on, and comes to where the others are. The swap comes to an event that cannot be applied once more, and
    /// decides.
    async fn catch_up(&mut self, next: &Next) -> Result<(), ProjectionError> {
        self.begin_or_go_on().await.map_err(blame_the_build)?;
        loop {
            match self.go(Goal::Others).await.map_err(blame_the_build) {
                Err(error) if error.poison().is_none() => return Err(error),
                _ => {}
            }
            if self.finish(next).await.map_err(blame_the_build)? {
                return Ok(failpoints::pass("build-before-swap")?);
            }
        }
    }

    /// Comes to this position, or to the end of the log.
    pub(super) async fn go_to(&mut self, goal: Option<Position>) -> Result<(), ProjectionError> {
        self.go(Goal::This(goal)).await
    }

    async fn go(&mut self, goal: Goal) -> Result<(), ProjectionError> {
        self.goal = goal;
        let store = self.store;
        let limits = dealog_followers::Limits { batch_events_max: self.events_max, ..Default::default() };
        // Whoever makes tables is told of their position where it is written down.
        let status = watch::Sender::new(Status::Following(self.at.position));
        let outcome = advance(store, self, limits, &status).await;
        outcome.map(|_| ()).map_err(|trouble| self.error.take().unwrap_or_else(|| trouble.into()))
    }

    /// The place from which to build: where an earlier build of the same version and log ended, or the beginning.
    async fn begin_or_go_on(&mut self) -> Result<(), ProjectionError> {
        let mut db = self.next.read().await?;
        let found = checkpoint(&mut db, self.projection.name()).await?;
        db.rollback().await?;
        let log_id = self.store.head().await?.log_id;
        match found {
            Some(found) if (found.version, found.log_id) == (self.projection.version(), log_id) => {
                tracing::info!(projection = self.projection.name(), position = %found.position, "building goes on");
                self.projection.forget();
                self.at = found;
                Ok(())
            }
            _ => self.begin().await,
        }
    }

    /// The beginning, with empty tables.
    async fn begin(&mut self) -> Result<(), ProjectionError> {
        self.projection.forget();
        let log_id = self.store.head().await?.log_id;
        self.at = Checkpoint { log_id, ..self.at.at(Cursor::START) };
        let mut db = self.next.write().await?;
        drop_tables(&mut db, self.projection).await?;
        run(&mut db, self.projection.schema(self.next.dialect())).await?;
        checkpoint::save(&mut db, self.projection.name(), &self.at).await?;
        Ok(db.commit().await?)
    }

    /// Makes the tables ready to be swapped in, where they are as far as is believed. Where a crash of their server has taken them
    /// back meanwhile, it says that they are not, and goes on from where they are.
    async fn finish(&mut self, next: &Next) -> Result<bool, ProjectionError> {
        // Once this has been committed, a crash takes back nothing of it, and nothing from before it.
        let mut db = self.next.write_lasting().await?;
        let found = checkpoint::locked(&mut db).await?.remove(self.projection.name());
        let found = found.ok_or_else(|| ProjectionError::Damaged("a checkpoint is gone".into()))?;
        if found != self.at {
            self.projection.forget();
            self.at = found;
            return Ok(false);
        }
        if let NextPlace::Schema(..) = next.place {
            // These are swapped in as they are, and asked at once: how is decided by what is known of their rows.
            let counts = self.projection.tables().into_iter().map(|table| format!("ANALYZE {table}"));
            run(&mut db, self.projection.indexes()).await?;
            run(&mut db, counts.collect()).await?;
        }
        db.commit().await?;
        Ok(true)
    }

    async fn look(&mut self) -> Result<Option<Position>, ProjectionError> {
        if let Goal::This(goal) = self.goal {
            return Ok(goal);
        }
        let head = self.store.head().await?.position;
        (self.told)(self.at.position, head);
        let name = self.projection.name();
        let mut db = self.database.write().await?;
        standing::builds(&mut db, name, &self.at, head).await?;
        let goal = goal(&mut db, name).await?;
        db.commit().await?;
        Ok(goal)
    }

    /// Goes from one checkpoint to the next, or to where another worker has taken the tables meanwhile.
    async fn write(&mut self, events: &[(Envelope, Event)], reached: Cursor) -> Result<(), ProjectionError> {
        if std::mem::replace(&mut self.under_way, true) {
            self.projection.forget();
        }
        let (name, version) = (self.projection.name(), self.projection.version());
        let mut db = self.next.write().await?;
        let found = checkpoint::locked(&mut db).await?.remove(name);
        if found.as_ref() != Some(&self.at) {
            db.rollback().await?;
            let found = found.ok_or_else(|| ProjectionError::Damaged("a checkpoint is gone".into()))?;
            found.must_be_of(version)?;
            self.at = found;
            return Err(ProjectionError::LeaseLost);
        }
        fold(self.projection, &mut db, events).await?;
        checkpoint::move_to(&mut db, &[name], reached).await?;
        failpoints::pass("views-before-commit")?;
        db.commit().await?;
        failpoints::pass("views-after-commit")?;
        self.at = self.at.at(reached);
        self.under_way = false;
        Ok(())
    }

    fn failed(&mut self, error: ProjectionError) -> Trouble {
        let trouble = trouble(&error);
        self.error = Some(error);
        trouble
    }
}

#[async_trait]
impl Follower for Beside<'_> {
    type Item = (Envelope, Event);

    fn name(&self) -> &'static str {
        self.projection.name()
    }

    fn reads(&self) -> &'static [Category] {
        self.projection.reads()
    }

    fn prepare(event: Envelope) -> Result<Self::Item, ReadError> {
        let said = event.event()?;
        Ok((event, said))
    }

    async fn turn(&mut self) -> Result<Turn, Trouble> {
        self.error = None;
        let cursor = self.at.cursor();
        match self.look().await {
            Ok(goal) => Ok(goal.map_or(Turn::Go(cursor), |goal| Turn::Until(cursor, goal))),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn handle(&mut self, events: Vec<Self::Item>, reached: Cursor) -> Result<(), Trouble> {
        let written = self.write(&events, reached).await;
        written.map_err(|error| self.failed(error))
    }

    /// The log was restored from a backup since.
    async fn begin_again(&mut self, _: &OtherHistory) -> Result<(), Trouble> {
        let begun = self.begin().await;
        begun.map_err(|error| self.failed(error))
    }
}

/// Damage is in the tables that are being built, and not in those that answer.
pub(super) fn blame_the_build(error: ProjectionError) -> ProjectionError {
    match error {
        ProjectionError::Damaged(reason) => ProjectionError::BuildDamaged(reason),
        error => error,
    }
}

/// Where the next tables of a model are built. Each model has its own, so that throwing one away touches nothing
/// else.
pub(super) enum NextPlace {
    File(PathBuf),
    Schema(Arc<Server>, String),
}

impl NextPlace {
    /// None for a database in memory.
    fn of(database: &Database, model: &str) -> Option<Self> {
        match database.place() {
            Place::Memory => None,
            Place::File(file) => Some(Self::File(file.path.with_extension(format!("{model}.next.db")))),
            Place::Server(server) => Some(Self::Schema(Arc::clone(server), format!("{SCHEMA}_next_{model}"))),
        }
    }
}

/// What the next tables are in.
pub(super) struct Next {
    pub(super) database: Database,
    pub(super) place: NextPlace,
}

impl Next {
    async fn open(database: &Database, place: NextPlace) -> Result<Self, ProjectionError> {
        let database = match &place {
            NextPlace::Schema(server, schema) => database.open_schema(server, schema.clone()).await?,
            NextPlace::File(file) => {
                damage::only_of_this_boot(file).map_err(sqlx::Error::Io)?;
                match Database::open_to_build(file).await {
                    Err(ProjectionError::Damaged(reason)) => {
                        tracing::warn!(reason, "what was built so far is damaged: it is begun anew");
                        damage::remove(file).map_err(sqlx::Error::Io)?;
                        Database::open_to_build(file).await?
                    }
                    opened => opened?,
                }
            }
        };
        Ok(Self { database, place })
    }

    /// Under the lease to build, where there is one: another may be building in the same schema already.
    async fn remove(&self, database: &Database, turn: &Of) -> Result<(), ProjectionError> {
        self.database.close().await;
        match &self.place {
            NextPlace::File(file) => Ok(damage::remove(file).map_err(sqlx::Error::Io)?),
            NextPlace::Schema(_, schema) => {
                let mut db = database.write().await?;
                if let Some(lease) = turn.lease() {
                    lease.renew(&mut db).await?;
                }
                run(&mut db, vec![format!("DROP SCHEMA IF EXISTS {schema} CASCADE")]).await?;
                Ok(db.commit().await?)
            }
        }
    }
}

/// Drops what a model made before, by the names that it has for its tables now.
pub(super) async fn drop_tables(db: &mut AnyConnection, projection: &dyn Projection) -> Result<(), ProjectionError> {
    let drops = projection.tables().into_iter().map(|table| format!("DROP TABLE IF EXISTS {table}"));
    run(db, drops.collect()).await
}

pub(super) async fn run(db: &mut AnyConnection, statements: Vec<String>) -> Result<(), ProjectionError> {
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *db).await?;
    }
    Ok(())
}
