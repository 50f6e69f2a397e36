//! One snapshot of the models that a query joins.

use std::collections::HashMap;

use dealog_events::Position;
use sqlx::{Any, AnyConnection, Transaction};

use super::Model;
use crate::{Database, ProjectionError, database::Reading, position_of};

/// A snapshot, and the position that it speaks of.
pub(super) struct Snapshot<'a> {
    pub(super) db: Reading<Transaction<'a, Any>>,
    pub(super) position: Position,
}

/// A snapshot of `models`, not from before `least`. Refuses where one of them has no tables that this program understands, or has
/// stopped while others went on: see [`position_of`].
pub(super) async fn snapshot<'a>(
    database: &'a Database,
    least: Position,
    models: &[Model],
) -> Result<Snapshot<'a>, ProjectionError> {
    let mut db = database.read().await?;
    let models: Vec<_> = models.iter().map(|model| (model.name, model.version)).collect();
    let position = position_of(&mut db, &models).await?;
    if position < least {
        return Err(ProjectionError::Behind { position, least });
    }
    Ok(Snapshot { db, position })
}

/// How far all of `models` have come.
pub(super) async fn position(db: &mut AnyConnection, models: &[Model]) -> Result<Position, ProjectionError> {
    let sql = "SELECT projection, version, position FROM checkpoints";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(sql).fetch_all(db).await?;
    let found: HashMap<(&str, i64), i64> =
        rows.iter().map(|(name, version, position)| ((name.as_str(), *version), *position)).collect();
    let mut least = Position(u64::MAX);
    for model in models {
        let position = found.get(&(model.name, model.version)).ok_or(ProjectionError::NotBuilt)?;
        let position = u64::try_from(*position);
        let position = position.map_err(|error| ProjectionError::Damaged(format!("checkpoint: {error}")))?;
        least = least.min(Position(position));
    }
    Ok(least)
}
