//! The time by the log. Servers have clocks of their own, and the one that answers may be behind the one that appended, or be set
//! back: "now" is never before what has been folded, or an answer would lack events of the very position that it names.

use dealog_events::{Envelope, Event, Timestamp};
use sqlx::AnyConnection;

use crate::ProjectionError;

const RAISE: &str = "INSERT INTO clock (id, newest) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET newest = excluded.newest \
                     WHERE excluded.newest > clock.newest";

/// Notes how late it is by these events.
pub(super) async fn apply(db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
    let instants = events.iter().map(|(envelope, _)| envelope.occurred_at.max(envelope.recorded_at));
    if let Some(newest) = instants.max() {
        sqlx::query(RAISE).bind(newest.micros()).execute(db).await?;
    }
    Ok(())
}

/// What it is now, in a snapshot that has come to `newest`: what the clock says, or later, where the log says so.
pub(super) fn now(newest: Option<i64>, clock: Timestamp) -> Result<Timestamp, ProjectionError> {
    let newest = newest.map(Timestamp::from_micros).transpose();
    let newest = newest.map_err(|error| ProjectionError::Damaged(error.to_string()))?;
    Ok(newest.map_or(clock, |newest| newest.max(clock)))
}
