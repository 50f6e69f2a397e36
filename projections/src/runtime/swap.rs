//! Puts new tables in the place of the old ones, in one transaction of the old database.
//!
//! Under its lock nobody moves a checkpoint, so the new tables are brought to where the other models are, and at least as far as
//! the old ones: a caller who has seen a position never meets an earlier one, and a query may join the new tables at once.

use std::path::Path;

use dealog_followers::Lease;
use dealog_store::failpoints;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

use super::{
    build::{Beside, Next, NextPlace, blame_the_build, drop_tables, goal_among, run},
    checkpoint::{self, Checkpoint},
    standing,
};
use crate::{Database, Projection, ProjectionError, database, postgres::SCHEMA};

/// Pages that the copying keeps, 16 MiB, and what an index sorts at once: each table and index is written from its beginning
/// to its end.
const COPY_CACHE: &str = "PRAGMA cache_size = -16384";
/// For the indexes: with millions of deals, what has to be sorted does not fit into memory.
const SORT_IN_FILES: &str = "PRAGMA temp_store = FILE";

pub(super) async fn swap(
    build: &mut Beside<'_>,
    database: &Database,
    next: &Next,
    lease: Option<&Lease>,
) -> Result<Checkpoint, ProjectionError> {
    let name = build.projection.name();
    // A connection to which another database has been attached is of no use to anybody else.
    let mut connection = database.connection().await?;
    let mut db = connection.begin_with(database.dialect().begin_write()).await?;
    if let Some(lease) = lease {
        lease.renew(&mut db).await?;
    }
    let mut all = checkpoint::locked(&mut db).await?;
    let goal = goal_among(&mut db, &all, name).await?;
    let old = all.remove(name);
    match build.go_to(goal).await.map_err(blame_the_build) {
        Err(error) if error.poison().is_some() => {
            let at = &build.at;
            let further = old.as_ref().is_some_and(|old| old.log_id == at.log_id && old.position > at.position);
            if further {
                return Err(error);
            }
        }
        outcome => outcome?,
    }
    let at = Checkpoint { build: old.map_or(0, |old| old.build) + 1, ..build.at.clone() };
    let projection = &*build.projection;
    match &next.place {
        NextPlace::File(file) => {
            // Nothing is written there any more, and the copy has better use for the memory.
            next.database.close().await;
            let copied = copy(&mut db, projection, file).await;
            let of_next = matches!(copied, Err(ProjectionError::Damaged(_))) && next_is_damaged(&mut db).await;
            if of_next { copied.map_err(blame_the_build)? } else { copied? }
        }
        NextPlace::Schema(_, schema) => shift(&mut db, projection, schema).await?,
    }
    checkpoint::save(&mut db, name, &at).await?;
    standing::built(&mut db, name).await?;
    failpoints::pass("swap-before-commit")?;
    db.commit().await?;
    failpoints::pass("swap-after-commit")?;
    connection.close().await?;
    Ok(at)
}

/// SQLite cannot give a table to another file.
async fn copy(db: &mut AnyConnection, projection: &dyn Projection, next: &Path) -> Result<(), ProjectionError> {
    db.execute(COPY_CACHE).await?;
    db.execute(SORT_IN_FILES).await?;
    drop_tables(db, projection).await?;
    run(db, projection.schema(crate::Dialect::Sqlite)).await?;
    sqlx::query("ATTACH $1 AS next").bind(database::text(next)?).execute(&mut *db).await?;
    for table in projection.tables() {
        // In these words and no others SQLite takes over whole records, without looking into them.
        let copy = format!("INSERT INTO main.{table} SELECT * FROM next.{table}");
        sqlx::query(AssertSqlSafe(copy)).execute(&mut *db).await?;
    }
    run(db, projection.indexes()).await
}

/// Which of the two files it is that a statement on both found damaged. One that cannot even be attached is.
async fn next_is_damaged(db: &mut AnyConnection) -> bool {
    let check = sqlx::query_scalar("PRAGMA next.quick_check(1)").fetch_one(db).await;
    check.map_or(true, |answer: String| answer != "ok")
}

/// PostgreSQL gives a table, with its indexes, to another schema.
async fn shift(db: &mut AnyConnection, projection: &dyn Projection, next: &str) -> Result<(), ProjectionError> {
    // Waits for those who read, and lets no other begin: see `Dialect::begin_read`.
    db.execute("LOCK TABLE builds IN ACCESS EXCLUSIVE MODE").await?;
    drop_tables(db, projection).await?;
    let tables = projection.tables().into_iter();
    run(db, tables.map(|table| format!("ALTER TABLE {next}.{table} SET SCHEMA {SCHEMA}")).collect()).await?;
    // With its checkpoint, which a later build would go on from.
    run(db, vec![format!("DROP SCHEMA {next} CASCADE")]).await
}
