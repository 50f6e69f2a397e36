//! Hearing of what other nodes append.
//!
//! A notification only wakes: who follows the log looks for itself, and looks again after a while in any case. So a lost
//! notification, or a lost connection, costs a poll interval and never an event.

use std::time::Duration;

use dealog_events::Position;
use sqlx::{Executor as _, PgPool, postgres::PgListener};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::read;
use crate::{Head, StoreError, appender::publish, failpoints, supervised};

/// What a batch notifies: see [`super::rows::WRITE`].
const CHANNEL: &str = "dealog_appended";

/// How long after a failure it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long it may be quiet before the connection is tried: one that the network has lost says nothing.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// Tells `positions` of what is appended, by whomever, for ever.
pub(super) async fn listen(pool: PgPool, positions: watch::Sender<Position>) {
    loop {
        if let Some(Err(error)) = supervised::run("listener", hear(&pool, &positions)).await {
            tracing::warn!(%error, "not woken by the log's database; it is looked at from time to time all the same");
        }
        sleep(RETRY_PAUSE).await;
    }
}

async fn hear(pool: &PgPool, positions: &watch::Sender<Position>) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    failpoints::pass("listener")?;
    // What was appended while nobody listened.
    publish(positions, head(&mut listener).await?.position);
    loop {
        let Ok(heard) = timeout(QUIET_MAX, listener.try_recv()).await else {
            let tried = timeout(QUIET_MAX, listener.execute("SELECT 1")).await;
            tried.map_err(|_| StoreError::NoAnswer(QUIET_MAX))??;
            continue;
        };
        // Nothing is heard where the connection was lost.
        let Some(notification) = heard? else { return Ok(()) };
        // Whoever may connect may notify anything, so what is told is only a reason to look.
        if position(notification.payload()) > *positions.borrow() {
            publish(positions, head(&mut listener).await?.position);
        }
    }
}

async fn head(listener: &mut PgListener) -> Result<Head, StoreError> {
    timeout(QUIET_MAX, read::head(listener)).await.unwrap_or(Err(StoreError::NoAnswer(QUIET_MAX)))
}

/// Whoever notifies something else wakes nobody.
fn position(payload: &str) -> Position {
    payload.parse().map(Position).unwrap_or_default()
}
