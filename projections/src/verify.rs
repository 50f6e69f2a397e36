//! Whether read models are what their log says: it is folded once more, elsewhere, and compared row by row.
//!
//! That is what a check of a restored log ends with, and it works beside a server: what is compared is a snapshot.

use std::{ops::Range, sync::Arc};

use dealog_events::Position;
use dealog_store::EventStore;
use futures_util::TryStreamExt as _;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};
use uuid::Uuid;

use crate::{Checkpoint, Database, Dialect, Projection, ProjectionError, checkpoint, projection::decoded};

/// Events folded at once.
const PAGE_EVENTS: usize = 4_000;

/// What became of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// There are no tables of this version to compare.
    NotMade,
    /// All rows are what the log says, up to this position.
    Equal(Position),
    /// A row is not.
    Differs {
        /// The position that the tables speak of.
        position: Position,
        /// The table.
        table: &'static str,
        /// The first bad row as it is, and as it should be; none where there is none.
        found: Option<String>,
        /// As it should be.
        expected: Option<String>,
    },
}

/// Compares the tables of a projection with those that its fold makes anew. `told` hears of the position reached, and of the
/// end.
pub async fn verify(
    store: &Arc<dyn EventStore>,
    database: &Database,
    mut projection: Box<dyn Projection>,
    told: impl Fn(Position, Position),
) -> Result<Verified, ProjectionError> {
    let log_id = store.head().await?.log_id;
    let mut db = database.read().await?;
    let Some(seen) = comparable(&mut db, projection.as_ref(), log_id).await? else { return Ok(Verified::NotMade) };
    db.rollback().await?;
    let folder = tempfile::tempdir().map_err(sqlx::Error::Io)?;
    let anew = Database::open_to_build(&folder.path().join("views.db")).await?;
    let mut db = anew.write().await?;
    for statement in projection.schema(anew.dialect()) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *db).await?;
    }
    db.commit().await?;
    fold(store, &anew, projection.as_mut(), Position::ZERO..seen.position, &told).await?;

    // Nearly all is folded by now: a snapshot holds up whoever would swap tables.
    let mut snapshot = database.read().await?;
    if database.dialect() == Dialect::Postgres {
        let patient = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0";
        sqlx::raw_sql(patient).execute(&mut *snapshot).await?;
    }
    let Some(end) = comparable(&mut snapshot, projection.as_ref(), log_id).await? else {
        return Ok(Verified::NotMade);
    };
    if end.position < seen.position {
        // A crash of their server took them back meanwhile.
        return Err(ProjectionError::Behind { position: end.position, least: seen.position });
    }
    fold(store, &anew, projection.as_mut(), seen.position..end.position, &told).await?;
    let mut expected = anew.read().await?;
    for table in projection.tables() {
        if let Some((found, expected)) = difference(&mut snapshot, &mut expected, table).await? {
            return Ok(Verified::Differs { position: end.position, table, found, expected });
        }
    }
    expected.rollback().await?;
    anew.close().await;
    Ok(Verified::Equal(end.position))
}

/// The checkpoint of tables that this version makes of this log; none where there are none.
async fn comparable(
    db: &mut AnyConnection,
    projection: &dyn Projection,
    log_id: Uuid,
) -> Result<Option<Checkpoint>, ProjectionError> {
    let found = checkpoint(db, projection.name()).await?.filter(|found| found.version == projection.version());
    match found {
        Some(found) if found.log_id != log_id => {
            Err(ProjectionError::OtherLog { expected: log_id, found: found.log_id })
        }
        found => Ok(found),
    }
}

/// Folds what stands behind the start of `range`, up to its end.
async fn fold(
    store: &Arc<dyn EventStore>,
    database: &Database,
    projection: &mut dyn Projection,
    range: Range<Position>,
    told: &impl Fn(Position, Position),
) -> Result<(), ProjectionError> {
    let Range { start: mut reached, end } = range;
    while reached < end {
        let mut events = store.read(reached, PAGE_EVENTS, &[]).await?;
        events.retain(|event| event.position <= end);
        let Some(last) = events.last() else {
            return Err(ProjectionError::BeyondHead { checkpoint: end, head: reached });
        };
        reached = last.position;
        let mut db = database.write().await?;
        projection.apply(&mut db, &decoded(events)?).await?;
        db.commit().await?;
        told(reached, end);
    }
    Ok(())
}

/// The first row that is not the same in both, as it is in each.
async fn difference(
    found: &mut AnyConnection,
    expected: &mut AnyConnection,
    table: &str,
) -> Result<Option<(Option<String>, Option<String>)>, ProjectionError> {
    // A table's key is its first column, or its first two.
    let sql = || AssertSqlSafe(format!("SELECT * FROM {table} ORDER BY 1, 2"));
    let (mut found, mut expected) = (sqlx::query(sql()).fetch(found), sqlx::query(sql()).fetch(expected));
    loop {
        let (found, expected) = tokio::try_join!(found.try_next(), expected.try_next())?;
        let [found, expected] = [found, expected].map(|row| row.as_ref().map(text));
        if found != expected {
            return Ok(Some((found, expected)));
        }
        if found.is_none() {
            return Ok(None);
        }
    }
}

/// A row as people can read it.
fn text(row: &AnyRow) -> String {
    let value = |column: usize| {
        let number = row.try_get::<Option<i64>, _>(column).map(|number| number.map(|number| number.to_string()));
        let value = number
            .or_else(|_| row.try_get::<Option<String>, _>(column).map(|text| text.map(|text| format!("{text:?}"))));
        value.map_or_else(|error| error.to_string(), |value| value.unwrap_or_else(|| "null".into()))
    };
    (0..row.len()).map(value).collect::<Vec<_>>().join(", ")
}
