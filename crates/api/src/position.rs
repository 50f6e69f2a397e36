//! Waiting until the read models have come to a position.
//!
//! Any number of queries may wait at the same time. One of them looks at the read models, and the others wait for what it
//! finds, so they cost the database what one costs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use dealog_events::Position;
use dealog_projections::deals::Views;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{App, problem::Problem};

/// How often a query that waits looks again, where no worker of this process wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How far the read models are known to have come.
#[derive(Debug, Default)]
pub struct Reached {
    position: AtomicU64,
    /// Held by the one who looks at the read models again and again.
    looking: Mutex<()>,
    /// Held by the one who comes and looks for the first time, which nobody sleeps for.
    coming: Mutex<()>,
}

impl Reached {
    /// Whether queries that are sent now see this position.
    pub(crate) fn is(&self, wanted: Position) -> bool {
        self.position.load(Ordering::Relaxed) >= wanted.0
    }

    fn came_to(&self, position: Position) {
        self.position.fetch_max(position.0, Ordering::Relaxed);
    }
}

impl App {
    /// The read models once they have come to `position`; without one, once they are there at all, where a worker of this
    /// process is making them.
    pub(crate) async fn views_since(&self, position: Option<u64>) -> Result<Views, Problem> {
        let Some(wanted) = position.map(Position) else {
            // The worker says that it builds until it has cleared up; the tables may be there before.
            if let Some(mut status) = self.followed.status.clone()
                && status.borrow().is_building()
                && self.views.position().await? == Position::ZERO
            {
                // What is not there by then, the question finds out.
                let made = status.wait_for(|status| !status.is_building());
                let _ = timeout(self.limits.min_position_wait, made).await;
            }
            return Ok(self.views.clone());
        };
        if !self.reached.is(wanted) && !self.look(wanted).await? {
            timeout(self.limits.min_position_wait, self.reach(wanted)).await.unwrap_or_else(|_| {
                let detail = format!("the read model has not come to {wanted} yet");
                Err(Problem::busy("not_caught_up", detail).field("min_position"))
            })?;
        }
        Ok(self.views.clone().at_least(wanted))
    }

    /// Whether the read models have come to a position, which the log must have.
    async fn look(&self, wanted: Position) -> Result<bool, Problem> {
        let _coming = self.reached.coming.lock().await;
        if !self.reached.is(wanted) {
            self.reached.came_to(self.views.position().await?);
        }
        // What this process has heard of, the log has.
        if self.reached.is(wanted) || wanted <= *self.store().watch().borrow() {
            return Ok(self.reached.is(wanted));
        }
        let head = self.store().head().await?.position;
        if wanted > head {
            let detail = format!("min_position {wanted} lies beyond the end of the log, {head}");
            return Err(Problem::unprocessable("beyond_head", "min_position", detail));
        }
        Ok(false)
    }

    async fn reach(&self, wanted: Position) -> Result<(), Problem> {
        let mut status = self.followed.status.clone();
        loop {
            let _looking = self.reached.looking.lock().await;
            if self.reached.is(wanted) {
                return Ok(());
            }
            self.reached.came_to(self.views.position().await?);
            if self.reached.is(wanted) {
                return Ok(());
            }
            let woken = async {
                match &mut status {
                    Some(status) => status.changed().await.is_err(),
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = woken => ended,
                () = sleep(LOOK_AGAIN) => false,
            };
            // A worker that has ended tells nothing more; another process may still have one.
            if ended {
                status = None;
            }
        }
    }
}
