//! How far a model has come.

use std::collections::BTreeMap;

use dealog_events::{Cursor, Position};
use dealog_followers::{Lease, OtherHistory, check};
use dealog_store::{EventStore, Head};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use uuid::Uuid;

use crate::{ProjectionError, dialect::Dialect};

/// A model's place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The version of the model that its tables were made by.
    pub version: i64,
    /// The log that was folded.
    pub log_id: Uuid,
    /// The last event that was applied.
    pub position: Position,
    /// The beginning of its id, which proves the history that was folded: see [`Cursor`].
    pub proof: Option<u32>,
    /// How often the tables have been made. A worker that remembers rows of another build forgets them.
    pub build: i64,
}

impl Checkpoint {
    /// Behind what it goes on.
    pub fn cursor(&self) -> Cursor {
        Cursor { position: self.position, proof: self.proof }
    }

    /// The same, further on.
    pub(crate) fn at(&self, cursor: Cursor) -> Self {
        Self { position: cursor.position, proof: cursor.proof, ..self.clone() }
    }

    /// Refuses tables that another version of Dealog has made.
    pub(crate) fn must_be_of(&self, version: i64) -> Result<(), ProjectionError> {
        if self.version == version {
            return Ok(());
        }
        Err(ProjectionError::OtherVersion { found: self.version, known: version })
    }

    /// Refuses tables of another log, and those that have seen what this one does not have.
    pub(crate) fn must_be_within(&self, head: &Head) -> Result<(), ProjectionError> {
        if self.log_id != head.log_id {
            return Err(ProjectionError::OtherLog { expected: head.log_id, found: self.log_id });
        }
        if self.position > head.position {
            return Err(ProjectionError::BeyondHead { checkpoint: self.position, head: head.position });
        }
        Ok(())
    }

    /// Refuses tables that have seen another event there than this log has.
    pub(crate) async fn must_be_of_this_history(&self, store: &dyn EventStore) -> Result<(), ProjectionError> {
        Ok(check(store, self.cursor()).await??)
    }
}

impl From<OtherHistory> for ProjectionError {
    fn from(other: OtherHistory) -> Self {
        match other {
            OtherHistory::BeyondHead { cursor, head } => Self::BeyondHead { checkpoint: cursor.position, head },
            OtherHistory::OtherEvent { cursor, found } => Self::OtherEvent { checkpoint: cursor, found },
        }
    }
}

pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS checkpoints (projection TEXT NOT NULL PRIMARY KEY, \
                                version BIGINT NOT NULL, log_id TEXT NOT NULL, position BIGINT NOT NULL, build BIGINT \
                                NOT NULL, proof BIGINT)";

const SELECT: &str = "SELECT projection, version, log_id, position, proof, build FROM checkpoints";

/// The checkpoint of a model; none before it has begun.
pub async fn checkpoint(db: &mut AnyConnection, model: &str) -> Result<Option<Checkpoint>, ProjectionError> {
    let sql = format!("{SELECT} WHERE projection = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(model).fetch_optional(db).await?;
    Ok(row.as_ref().map(read).transpose()?.map(|(_, checkpoint)| checkpoint))
}

/// The checkpoints of a database, by the names of their models: those of another version of Dealog may be among them.
pub(crate) type Checkpoints = BTreeMap<String, Checkpoint>;

/// All checkpoints.
pub(crate) async fn all(db: &mut AnyConnection) -> Result<Checkpoints, ProjectionError> {
    select(db, SELECT.to_owned()).await
}

/// The same for a transaction that is to move some: nobody else moves any until that ends.
pub(crate) async fn locked(db: &mut AnyConnection) -> Result<Checkpoints, ProjectionError> {
    // In one order, or two who want them all could each wait for the other.
    let sql = format!("{SELECT} ORDER BY projection{}", Dialect::of(db).for_update());
    select(db, sql).await
}

/// The same, under a lease that nobody can take until the transaction ends.
pub(crate) async fn locked_under(db: &mut AnyConnection, lease: &Lease) -> Result<Checkpoints, ProjectionError> {
    let sql =
        format!("{SELECT} JOIN leases ON name = $1 AND fence = $2 ORDER BY projection{}", Dialect::of(db).for_update());
    let found = sqlx::query(AssertSqlSafe(sql)).bind(lease.name()).bind(lease.fence()).fetch_all(db).await?;
    // There is always a checkpoint for a leader, so no row means that the lease was lost.
    if found.is_empty() { Err(ProjectionError::LeaseLost) } else { found.iter().map(read).collect() }
}

async fn select(db: &mut AnyConnection, sql: String) -> Result<Checkpoints, ProjectionError> {
    sqlx::query(AssertSqlSafe(sql)).fetch_all(db).await?.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<(String, Checkpoint), ProjectionError> {
    let log_id: String = row.try_get("log_id")?;
    let (position, proof): (i64, Option<i64>) = (row.try_get("position")?, row.try_get("proof")?);
    let damaged = |what: &str, value: i64| ProjectionError::Damaged(format!("{what} {value}"));
    let checkpoint = Checkpoint {
        version: row.try_get("version")?,
        log_id: log_id.parse().map_err(|_| ProjectionError::Damaged(format!("log_id {log_id}")))?,
        position: position.try_into().map(Position).map_err(|_| damaged("checkpoint", position))?,
        proof: proof.map(|proof| proof.try_into().map_err(|_| damaged("proof", proof))).transpose()?,
        build: row.try_get("build")?,
    };
    Ok((row.try_get("projection")?, checkpoint))
}

/// Writes down a model's checkpoint.
pub(crate) async fn save(db: &mut AnyConnection, model: &str, checkpoint: &Checkpoint) -> Result<(), ProjectionError> {
    let sql = "INSERT INTO checkpoints (projection, version, log_id, position, build, proof) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (projection) DO UPDATE SET version = excluded.version, log_id = excluded.log_id, position = \
               excluded.position, build = excluded.build, proof = excluded.proof";
    sqlx::query(sql)
        .bind(model)
        .bind(checkpoint.version)
        .bind(checkpoint.log_id.to_string())
        .bind(checkpoint.position.0.cast_signed())
        .bind(checkpoint.build)
        .bind(checkpoint.proof.map(i64::from))
        .execute(db)
        .await?;
    Ok(())
}

/// Moves the checkpoints of these models to one place.
pub(crate) async fn move_to(db: &mut AnyConnection, models: &[&str], cursor: Cursor) -> Result<(), ProjectionError> {
    let places: Vec<String> = (3..models.len() + 3).map(|number| format!("${number}")).collect();
    let sql = format!("UPDATE checkpoints SET position = $1, proof = $2 WHERE projection IN ({})", places.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    query = query.bind(cursor.position.0.cast_signed()).bind(cursor.proof.map(i64::from));
    for model in models {
        query = query.bind((*model).to_owned());
    }
    query.execute(db).await?;
    Ok(())
}
