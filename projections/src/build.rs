//! New tables are built beside the old ones, in a database of their own, and swapped in when they have caught up: queries
//! never see a half-built model, and whoever keeps the old tables up to date goes on until then.
//!
//! The build is the same fold in batches of its own, with a checkpoint of its own: what was interrupted is gone on with. The
//! swap is one transaction of the old database. Under its write lock no worker moves the old checkpoint, so the new tables
//! can be brought at least as far: a caller who has seen a position never meets an earlier one.

use std::path::{Path, PathBuf};

use dealog_events::Position;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::{
    Checkpoint, Database, ProjectionError,
    apply::Applier,
    checkpoint::{self, checkpoint},
    damage, database, lock, standing,
};

impl Database {
    /// Where the next tables of a projection are built; none for a database in memory. Each projection has its own file, so
    /// that throwing one away touches nothing else.
    fn next_file(&self, projection: &str) -> Option<PathBuf> {
        self.file().map(|file| file.with_extension(format!("{projection}.next.db")))
    }

    fn build_lock(&self) -> Option<PathBuf> {
        self.file().map(|file| file.with_extension("next.lock"))
    }

    /// Whether a process is building here.
    pub(crate) fn is_being_built(&self) -> bool {
        self.build_lock().is_some_and(|path| lock::is_taken(&path))
    }
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
    let (Some(file), Some(lock)) = (database.next_file(applier.projection.name()), database.build_lock()) else {
        return in_place(applier, database).await;
    };
    let _alone = lock::alone(&lock).await.map_err(sqlx::Error::Io)?.ok_or(ProjectionError::BeingBuilt)?;
    let next = Next::open(&file).await?;
    let built = beside(applier, database, &next, told).await;
    match &built {
        // What may be damaged is not gone on with.
        Ok(_) | Err(ProjectionError::Damaged(_) | ProjectionError::BuildDamaged(_)) => {
            next.database.close().await;
            damage::remove(&file).map_err(sqlx::Error::Io)?;
        }
        Err(_) => next.database.close().await,
    }
    built
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
    let mut at = begin_or_go_on(applier, &next.database).await?;
    let mut events_max = applier.limits.build_events_max;
    loop {
        let head = applier.store.head().await?.position;
        told(at.position, head);
        let mut db = database.write().await?;
        standing::builds(&mut db, name, &at, head).await?;
        db.commit().await?;
        match applier.next(&next.database, &mut at, &mut events_max).await {
            Ok(true) => {}
            Ok(false) => break,
            // The swap comes to this event once more, and decides.
            Err(error) if error.poison().is_some() => break,
            Err(ProjectionError::Damaged(reason)) => return Err(ProjectionError::BuildDamaged(reason)),
            Err(error) => return Err(error),
        }
    }
    swap(applier, database, next, at).await
}

/// The database that the next tables are in.
struct Next {
    database: Database,
    file: PathBuf,
}

impl Next {
    async fn open(file: &Path) -> Result<Self, ProjectionError> {
        let database = match Database::open_to_build(file).await {
            Err(ProjectionError::Damaged(reason)) => {
                tracing::warn!(reason, "what was built so far is damaged: it is begun anew");
                damage::remove(file).map_err(sqlx::Error::Io)?;
                Database::open_to_build(file).await?
            }
            opened => opened?,
        };
        Ok(Self { database, file: file.to_owned() })
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
    run(&mut db, applier.projection.schema()).await?;
    checkpoint::save(&mut db, applier.projection.name(), &at).await?;
    db.commit().await?;
    Ok(at)
}

async fn catch_up(applier: &mut Applier, database: &Database, at: &mut Checkpoint) -> Result<(), ProjectionError> {
    let mut events_max = applier.limits.batch_events_max;
    while applier.next(database, at, &mut events_max).await? {}
    Ok(())
}

/// Puts the next tables in the place of the old ones.
async fn swap(
    applier: &mut Applier,
    database: &Database,
    next: &Next,
    mut at: Checkpoint,
) -> Result<Checkpoint, ProjectionError> {
    let name = applier.projection.name();
    // A connection to which another database has been attached is of no use to anybody else.
    let mut connection = database.connection().await?;
    let mut db = connection.begin_with("BEGIN IMMEDIATE").await?;
    let old = checkpoint(&mut db, name).await?;
    match catch_up(applier, &next.database, &mut at).await {
        Err(error) if error.poison().is_some() => {
            let further = old.as_ref().is_some_and(|old| old.log_id == at.log_id && old.position > at.position);
            if further {
                return Err(error);
            }
        }
        outcome => outcome?,
    }
    at.build = old.map_or(0, |old| old.build) + 1;
    drop_tables(&mut db, applier).await?;
    run(&mut db, applier.projection.schema()).await?;
    sqlx::query("ATTACH $1 AS next").bind(database::text(&next.file)?).execute(&mut *db).await?;
    for table in applier.projection.tables() {
        // In these words and no others SQLite takes over whole records, without looking into them.
        let copy = format!("INSERT INTO main.{table} SELECT * FROM next.{table}");
        sqlx::query(AssertSqlSafe(copy)).execute(&mut *db).await?;
    }
    run(&mut db, applier.projection.indexes()).await?;
    checkpoint::save(&mut db, name, &at).await?;
    standing::built(&mut db, name).await?;
    db.commit().await?;
    connection.close().await?;
    Ok(at)
}

/// Drops what a projection made before, by the names that it has for its tables now.
async fn drop_tables(db: &mut AnyConnection, applier: &Applier) -> Result<(), ProjectionError> {
    let drops = applier.projection.tables().into_iter().map(|table| format!("DROP TABLE IF EXISTS main.{table}"));
    run(db, drops.collect()).await
}

async fn run(db: &mut AnyConnection, statements: Vec<String>) -> Result<(), ProjectionError> {
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *db).await?;
    }
    Ok(())
}
