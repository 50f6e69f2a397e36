//! New tables are built beside the old ones, in a database or a schema of their own, and swapped in when they have caught
//! up: queries never see a half-built model, and whoever keeps the old tables up to date goes on until then.
//!
//! The build is the same fold in batches of its own, with a checkpoint of its own: what was interrupted is gone on with.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use dealog_events::Position;
use dealog_store::failpoints;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::{
    Checkpoint, Database, ProjectionError,
    apply::Applier,
    checkpoint::{self, checkpoint},
    damage,
    database::Place,
    lease::{self, Lease},
    lock,
    postgres::{SCHEMA, Server},
    standing,
    swap::swap,
};

impl Database {
    /// Whether a process is building here.
    pub(crate) async fn is_being_built(
        &self,
        db: &mut AnyConnection,
        projection: &str,
    ) -> Result<bool, ProjectionError> {
        match self.place() {
            Place::Memory => Ok(false),
            Place::File(file) => Ok(lock::is_taken(&lock_file(&file.path))),
            Place::Server(_) => {
                let builder = lease::holder(db, &of_build(projection)).await?;
                Ok(builder.is_some_and(|builder| !builder.process.is_gone()))
            }
        }
    }
}

fn lock_file(views: &Path) -> PathBuf {
    views.with_extension("next.lock")
}

/// What a lease to build is called.
fn of_build(projection: &str) -> String {
    format!("{projection} next")
}

/// Makes the tables anew, or goes on where that was interrupted, and swaps them in. `told` hears of the position reached
/// and of the end of the log.
///
/// Where an event cannot be applied, what comes before it is swapped in all the same, unless the old tables have come
/// further.
pub(crate) async fn build(
    applier: &mut Applier,
    database: &Database,
    told: impl Fn(Position, Position) + Send + Sync,
) -> Result<Checkpoint, ProjectionError> {
    let projection = applier.projection.name();
    let Some(place) = NextPlace::of(database, projection) else { return in_place(applier, database).await };
    let mut turn = Turn::take(database, applier).await?;
    // What is most often needed first, while there is nothing yet to write it into.
    applier.read_ahead(Position::ZERO, applier.limits.build_events_max);
    let next = Next::open(database, place).await?;
    let built = tokio::select! {
        built = beside(applier, database, &next, told) => built,
        lost = turn.keep_on(database) => Err(lost),
    };
    let built = match built {
        Ok(at) => swap(applier, database, &next, turn.lease(), at).await,
        Err(error) => Err(error),
    };
    let built = built.map_err(|error| match error {
        ProjectionError::LeaseLost => ProjectionError::BeingBuilt,
        error => error,
    });
    if built.is_err() {
        // It remembers rows of these tables, and not of those that answer.
        applier.projection.forget();
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

/// What keeps others from building at the same time. That of a file the system takes back at once when its process ends.
enum Turn {
    Lock { _file: File },
    Lease(Lease),
}

impl Turn {
    async fn take(database: &Database, applier: &Applier) -> Result<Self, ProjectionError> {
        let turn = if let Some(file) = database.file() {
            lock::alone(&lock_file(file)).await.map_err(sqlx::Error::Io)?.map(|file| Self::Lock { _file: file })
        } else {
            let of = of_build(applier.projection.name());
            Lease::take(database, &of, applier.limits.lease).await?.map(Self::Lease)
        };
        turn.ok_or(ProjectionError::BeingBuilt)
    }

    fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Lock { .. } => None,
            Self::Lease(lease) => Some(lease),
        }
    }

    /// Comes to an end where another has taken the turn.
    async fn keep_on(&mut self, database: &Database) -> ProjectionError {
        match self {
            Self::Lock { .. } => std::future::pending().await,
            Self::Lease(lease) => lease.keep_on(database).await,
        }
    }

    async fn give_back(self, database: &Database) {
        if let Self::Lease(lease) = self
            && let Err(error) = lease.give_back(database).await
        {
            tracing::debug!(%error, "the lease to build runs out by itself");
        }
    }
}

/// In memory nobody else looks, and there is but one connection.
async fn in_place(applier: &mut Applier, database: &Database) -> Result<Checkpoint, ProjectionError> {
    let mut at = begin(applier, database).await?;
    let outcome = catch_up(applier, database, &mut at).await;
    let mut db = database.write().await?;
    run(&mut db, applier.projection.indexes()).await?;
    db.commit().await?;
    outcome.map(|()| at)
}

async fn beside(
    applier: &mut Applier,
    database: &Database,
    next: &Next,
    told: impl Fn(Position, Position) + Send + Sync,
) -> Result<Checkpoint, ProjectionError> {
    let name = applier.projection.name();
    let mut at = begin_or_go_on(applier, &next.database).await.map_err(blame_the_build)?;
    let mut events_max = applier.limits.build_events_max;
    loop {
        let head = applier.store.head().await?.position;
        told(at.position, head);
        let mut db = database.write().await?;
        standing::builds(&mut db, name, &at, head).await?;
        db.commit().await?;
        match applier.next(&next.database, None, &mut at, &mut events_max).await {
            Ok(true) => continue,
            Ok(false) => {}
            // The swap comes to this event once more, and decides.
            Err(error) if error.poison().is_some() => {}
            Err(error) => return Err(blame_the_build(error)),
        }
        let found = finish(applier, next, &at).await.map_err(blame_the_build)?;
        if found == at {
            failpoints::pass("build-before-swap")?;
            return Ok(at);
        }
        at = found;
        events_max = applier.limits.build_events_max;
    }
}

/// Damage is in the tables that are being built, and not in those that answer.
pub(crate) fn blame_the_build(error: ProjectionError) -> ProjectionError {
    match error {
        ProjectionError::Damaged(reason) => ProjectionError::BuildDamaged(reason),
        error => error,
    }
}

/// Makes the tables ready to be swapped in, where they are as far as `at` says. Where a crash of their server has taken them
/// back meanwhile, it says how far they are.
async fn finish(applier: &mut Applier, next: &Next, at: &Checkpoint) -> Result<Checkpoint, ProjectionError> {
    // Once this has been committed, a crash takes back nothing of it, and nothing from before it.
    let mut db = next.database.write_lasting().await?;
    let found = checkpoint::locked(&mut db, applier.projection.name()).await?;
    let found = found.ok_or_else(|| ProjectionError::Damaged("a checkpoint is gone".into()))?;
    if found != *at {
        applier.projection.forget();
        return Ok(found);
    }
    if let NextPlace::Schema(..) = next.place {
        // These are swapped in as they are, and asked at once: how is decided by what is known of their rows.
        let counts = applier.projection.tables().into_iter().map(|table| format!("ANALYZE {table}"));
        run(&mut db, applier.projection.indexes()).await?;
        run(&mut db, counts.collect()).await?;
    }
    db.commit().await?;
    Ok(found)
}

/// Where the next tables of a projection are built. Each projection has its own, so that throwing one away touches nothing
/// else.
pub(crate) enum NextPlace {
    File(PathBuf),
    Schema(Arc<Server>, String),
}

impl NextPlace {
    /// None for a database in memory.
    fn of(database: &Database, projection: &str) -> Option<Self> {
        match database.place() {
            Place::Memory => None,
            Place::File(file) => Some(Self::File(file.path.with_extension(format!("{projection}.next.db")))),
            Place::Server(server) => Some(Self::Schema(Arc::clone(server), format!("{SCHEMA}_next_{projection}"))),
        }
    }
}

/// What the next tables are in.
pub(crate) struct Next {
    pub(crate) database: Database,
    pub(crate) place: NextPlace,
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
    async fn remove(&self, database: &Database, turn: &Turn) -> Result<(), ProjectionError> {
        self.database.close().await;
        match &self.place {
            NextPlace::File(file) => Ok(damage::remove(file).map_err(sqlx::Error::Io)?),
            NextPlace::Schema(_, schema) => {
                let mut db = database.write().await?;
                if let Some(lease) = turn.lease() {
                    lease.renew_in(&mut db).await?;
                }
                run(&mut db, vec![format!("DROP SCHEMA IF EXISTS {schema} CASCADE")]).await?;
                Ok(db.commit().await?)
            }
        }
    }
}

/// The place from which to build: where an earlier build of the same version and log ended, or the beginning.
async fn begin_or_go_on(applier: &mut Applier, database: &Database) -> Result<Checkpoint, ProjectionError> {
    applier.projection.forget();
    let mut db = database.read().await?;
    let found = checkpoint(&mut db, applier.projection.name()).await?;
    db.rollback().await?;
    let log_id = applier.store.head().await?.log_id;
    match found {
        Some(found) if (found.version, found.log_id) == (applier.projection.version(), log_id) => {
            tracing::info!(projection = applier.projection.name(), position = %found.position, "building goes on");
            Ok(found)
        }
        _ => begin(applier, database).await,
    }
}

/// The beginning, with empty tables.
async fn begin(applier: &mut Applier, database: &Database) -> Result<Checkpoint, ProjectionError> {
    applier.projection.forget();
    let log_id = applier.store.head().await?.log_id;
    let version = applier.projection.version();
    let at = Checkpoint { version, log_id, position: Position::ZERO, build: 1 };
    let mut db = database.write().await?;
    drop_tables(&mut db, applier).await?;
    run(&mut db, applier.projection.schema(database.dialect())).await?;
    checkpoint::save(&mut db, applier.projection.name(), &at).await?;
    db.commit().await?;
    Ok(at)
}

pub(crate) async fn catch_up(
    applier: &mut Applier,
    database: &Database,
    at: &mut Checkpoint,
) -> Result<(), ProjectionError> {
    let mut events_max = applier.limits.batch_events_max;
    while applier.next(database, None, at, &mut events_max).await? {}
    Ok(())
}

/// Drops what a projection made before, by the names that it has for its tables now.
pub(crate) async fn drop_tables(db: &mut AnyConnection, applier: &Applier) -> Result<(), ProjectionError> {
    let drops = applier.projection.tables().into_iter().map(|table| format!("DROP TABLE IF EXISTS {table}"));
    run(db, drops.collect()).await
}

pub(crate) async fn run(db: &mut AnyConnection, statements: Vec<String>) -> Result<(), ProjectionError> {
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *db).await?;
    }
    Ok(())
}
