//! One snapshot of the models that a query joins.

use dealog_events::Position;
use sqlx::{Any, Transaction};

use super::Model;
use crate::{Database, ProjectionError, database::Reading, position_of};

/// A snapshot, and the position that an answer from it speaks of.
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
