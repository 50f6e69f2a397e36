//! How a model stands, as every process can see it: kept beside the checkpoint, where it outlives the worker that it
//! speaks of.

use chrono::Utc;
use dealog_events::{Position, Timestamp};
use dealog_followers::lease::holder;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    checkpoint::{Checkpoint, checkpoint},
    lease,
};
use crate::{
    Database, ProjectionError,
    dialect::Dialect,
    table::{Row as _, columns, create, upsert},
};

/// How a model stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The tables that are there; none before they were first made.
    pub tables: Option<Checkpoint>,
    /// Why these tables go no further, where they do not.
    pub stopped: Option<Stop>,
    /// What is being made beside them.
    pub building: Option<Build>,
    /// Whose worker keeps them up to date, as `host:process`; none where none does.
    pub leader: Option<String>,
}

/// An event that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Where it stands. All before it has been applied.
    pub position: Position,
    /// Why it cannot be applied.
    pub reason: String,
    /// When that was first noticed.
    pub since: Timestamp,
}

/// Tables that are being made, or whose making was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The version of the model that makes them.
    pub version: i64,
    /// How far it has come.
    pub position: Position,
    /// The end of the log when it was last there.
    pub head: Position,
    /// Why it goes no further, where it does not.
    pub stopped: Option<Stop>,
    /// Whether a process is at it. What was interrupted is gone on with by the next one.
    pub under_way: bool,
}

impl Build {
    /// How much of the log it has applied, from 0 to 100.
    pub fn percent(&self) -> u64 {
        (self.position.0 * 100).checked_div(self.head.0).unwrap_or(100).min(100)
    }
}

table!(
    /// An event at which a version of a projection stopped.
    "stops"("projection, version") StopRow {
        projection: String,
        version: i64,
        position: i64,
        reason: String,
        since: i64,
    }
);

table!(
    /// How far a build has come.
    "builds"("projection") BuildRow {
        projection: String,
        version: i64,
        position: i64,
        head: i64,
    }
);

/// The statements that make the tables where they are missing.
pub(crate) fn schema(dialect: Dialect) -> [String; 2] {
    [create::<StopRow>(dialect), create::<BuildRow>(dialect)]
        .map(|sql| sql.replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
}

impl Database {
    /// How a model stands, in one snapshot.
    pub async fn standing(&self, projection: &str) -> Result<Standing, ProjectionError> {
        let mut db = self.glance().await?;
        let tables = checkpoint(&mut db, projection).await?;
        let sql = format!("SELECT {} FROM {} WHERE projection = $1", columns::<BuildRow>(), BuildRow::TABLE);
        let build: Option<BuildRow> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(projection).fetch_optional(&mut *db).await?;
        let mut stopped = None;
        if let Some(tables) = &tables {
            stopped = stop_of(&mut db, projection, tables.version).await?;
        }
        let mut building = None;
        if let Some(build) = build {
            building = Some(Build {
                version: build.version,
                position: position(build.position),
                head: position(build.head),
                stopped: stop_of(&mut db, projection, build.version).await?.map(Stop::from),
                under_way: self.is_being_built(&mut db, projection).await?,
            });
        }
        let mut leader = None;
        if tables.is_some() && stopped.is_none() {
            leader = holder(&mut db, lease::OF_ALL).await?.filter(|holder| !holder.process.is_gone());
        }
        let leader = leader.map(|holder| holder.process.name());
        Ok(Standing { tables, stopped: stopped.map(Stop::from), building, leader })
    }
}

impl From<StopRow> for Stop {
    fn from(row: StopRow) -> Self {
        let since = Timestamp::from_micros(row.since).unwrap_or(Timestamp::MIN);
        Self { position: position(row.position), reason: row.reason, since }
    }
}

fn position(stored: i64) -> Position {
    Position(stored.try_into().unwrap_or_default())
}

async fn stop_of(db: &mut AnyConnection, projection: &str, version: i64) -> Result<Option<StopRow>, ProjectionError> {
    let sql = format!("SELECT {} FROM {} WHERE projection = $1 AND version = $2", columns::<StopRow>(), StopRow::TABLE);
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(projection).bind(version).fetch_optional(db).await?)
}

/// Where versions of models have stopped, by their names.
pub(crate) async fn stops_of_all(db: &mut AnyConnection) -> Result<Vec<(String, i64, Stop)>, ProjectionError> {
    let sql = format!("SELECT {} FROM {}", columns::<StopRow>(), StopRow::TABLE);
    let rows: Vec<StopRow> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.projection.clone(), row.version, Stop::from(row))).collect())
}

/// Keeps that a version of a projection stopped there, and why. A restart that stops there again leaves the time as it was.
pub(crate) async fn stops(
    db: &mut AnyConnection,
    projection: &str,
    version: i64,
    at: Position,
    reason: String,
) -> Result<(), ProjectionError> {
    let before = stop_of(db, projection, version).await?.filter(|before| position(before.position) == at);
    let since = before.map_or_else(|| Timestamp::from(Utc::now()).micros(), |before| before.since);
    let row = StopRow { projection: projection.to_owned(), version, position: at.0.cast_signed(), reason, since };
    Ok(upsert(db, &[row]).await?)
}

/// Forgets that a version of a projection stopped.
pub(crate) async fn goes_on(db: &mut AnyConnection, projection: &str, version: i64) -> Result<(), ProjectionError> {
    let sql = "DELETE FROM stops WHERE projection = $1 AND version = $2";
    sqlx::query(sql).bind(projection).bind(version).execute(db).await?;
    Ok(())
}

/// Keeps how far a build has come.
pub(crate) async fn builds(
    db: &mut AnyConnection,
    projection: &str,
    at: &Checkpoint,
    head: Position,
) -> Result<(), ProjectionError> {
    let (position, head) = (at.position.0.cast_signed(), head.0.cast_signed());
    let row = BuildRow { projection: projection.to_owned(), version: at.version, position, head };
    Ok(upsert(db, &[row]).await?)
}

/// Forgets builds, and where they or other versions stopped: new tables are there.
pub(crate) async fn built(db: &mut AnyConnection, projection: &str) -> Result<(), ProjectionError> {
    for sql in ["DELETE FROM builds WHERE projection = $1", "DELETE FROM stops WHERE projection = $1"] {
        sqlx::query(sql).bind(projection).execute(&mut *db).await?;
    }
    Ok(())
}
