//! How far a projection has come.

use dealog_events::Position;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use uuid::Uuid;

use crate::{ProjectionError, dialect::Dialect};

/// A projection's place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The version of the projection that its tables were made by.
    pub version: i64,
    /// The log that was folded.
    pub log_id: Uuid,
    /// The last event that was applied.
    pub position: Position,
    /// How often the tables have been made. A worker that remembers rows of another build forgets them.
    pub build: i64,
}

impl Checkpoint {
    /// Refuses tables that another version of Dealog has made.
    pub(crate) fn must_be_of(&self, version: i64) -> Result<(), ProjectionError> {
        if self.version == version {
            return Ok(());
        }
        Err(ProjectionError::OtherVersion { found: self.version, known: version })
    }
}

pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS checkpoints (projection TEXT NOT NULL PRIMARY KEY, \
                                version BIGINT NOT NULL, log_id TEXT NOT NULL, position BIGINT NOT NULL, build BIGINT \
                                NOT NULL)";

const SELECT: &str = "SELECT version, log_id, position, build FROM checkpoints WHERE projection = $1";

/// The checkpoint of a projection; none before it has begun.
pub async fn checkpoint(db: &mut AnyConnection, projection: &str) -> Result<Option<Checkpoint>, ProjectionError> {
    select(db, projection, SELECT.to_owned()).await
}

/// The same for a transaction that is to move it: nobody else does until that ends.
pub(crate) async fn locked(db: &mut AnyConnection, projection: &str) -> Result<Option<Checkpoint>, ProjectionError> {
    let sql = format!("{SELECT}{}", Dialect::of(db).for_update());
    select(db, projection, sql).await
}

async fn select(db: &mut AnyConnection, projection: &str, sql: String) -> Result<Option<Checkpoint>, ProjectionError> {
    let Some(row) = sqlx::query(AssertSqlSafe(sql)).bind(projection).fetch_optional(db).await? else { return Ok(None) };
    let log_id: String = row.try_get("log_id")?;
    let position: i64 = row.try_get("position")?;
    Ok(Some(Checkpoint {
        version: row.try_get("version")?,
        log_id: log_id.parse().map_err(|_| ProjectionError::Damaged(format!("log_id {log_id}")))?,
        position: u64::try_from(position)
            .map(Position)
            .map_err(|_| ProjectionError::Damaged(format!("checkpoint {position}")))?,
        build: row.try_get("build")?,
    }))
}

pub(crate) async fn save(
    db: &mut AnyConnection,
    projection: &str,
    checkpoint: &Checkpoint,
) -> Result<(), ProjectionError> {
    let sql = "INSERT INTO checkpoints (projection, version, log_id, position, build) VALUES ($1, $2, $3, $4, $5) ON \
               CONFLICT (projection) DO UPDATE SET version = excluded.version, log_id = excluded.log_id, position = \
               excluded.position, build = excluded.build";
    sqlx::query(sql)
        .bind(projection)
        .bind(checkpoint.version)
        .bind(checkpoint.log_id.to_string())
        .bind(checkpoint.position.0.cast_signed())
        .bind(checkpoint.build)
        .execute(db)
        .await?;
    Ok(())
}
