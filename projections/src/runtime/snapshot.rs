//! The one position at which a query sees all models that it joins.

use dealog_events::Position;
use sqlx::AnyConnection;

use crate::ProjectionError;

/// With each model's checkpoint, where it stopped, if it did.
const STANDING: &str = "SELECT c.projection, c.version, c.position, s.position, s.reason FROM checkpoints AS c \
                        LEFT JOIN stops AS s ON s.projection = c.projection AND s.version = c.version";

type Row = (String, i64, i64, Option<i64>, Option<String>);

/// The position at which all of these models stand, each by its name and the version that is understood, in the snapshot that
/// `db` reads.
///
/// Fails with [`ProjectionError::NotBuilt`] where one of them has no tables of that version; where one has stopped and the
/// others have gone on, with [`ProjectionError::ModelStopped`]; and where one has yet to come to the others, which takes a
/// moment after it was mended, with [`ProjectionError::Behind`].
pub async fn position_of(db: &mut AnyConnection, models: &[(&str, i64)]) -> Result<Position, ProjectionError> {
    let rows: Vec<Row> = sqlx::query_as(STANDING).fetch_all(db).await?;
    let mut found = Vec::with_capacity(models.len());
    for (name, version) in models {
        let row = rows.iter().find(|row| row.0 == *name && row.1 == *version).ok_or(ProjectionError::NotBuilt)?;
        found.push((position(row.2)?, row));
    }
    let front = found.iter().map(|(position, _)| *position).max().unwrap_or_default();
    let behind = found.iter().filter(|(position, _)| *position < front);
    match behind.min_by_key(|(_, (.., stop, _))| stop.is_none()) {
        None => Ok(front),
        Some((_, (model, _, _, Some(at), reason))) => Err(ProjectionError::ModelStopped {
            model: model.clone(),
            position: position(*at)?,
            reason: reason.clone().unwrap_or_default(),
        }),
        Some((behind, _)) => Err(ProjectionError::Behind { position: *behind, least: front }),
    }
}

/// Where each of these models stands, in the same order; none where it has no tables of that version.
pub(crate) async fn positions_of(
    db: &mut AnyConnection,
    models: &[(&str, i64)],
) -> Result<Vec<Option<Position>>, ProjectionError> {
    let rows: Vec<Row> = sqlx::query_as(STANDING).fetch_all(db).await?;
    let of = |(name, version): &(&str, i64)| {
        let row = rows.iter().find(|row| row.0 == *name && row.1 == *version);
        row.map(|row| position(row.2)).transpose()
    };
    models.iter().map(of).collect()
}

fn position(stored: i64) -> Result<Position, ProjectionError> {
    stored.try_into().map(Position).map_err(|_| ProjectionError::Damaged(format!("checkpoint {stored}")))
}
