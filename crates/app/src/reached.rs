//! Waiting until the read models have come to a position.
//!
//! Any number of queries may wait at the same time. One of them looks at the read models, and the others wait for what it
//! finds, so they cost the database what one costs.

use std::time::Duration;

use dealog_events::Position;
use dealog_projections::models::Lists;
use tokio::{
    sync::{Mutex, watch},
    time::{sleep, timeout},
};

use crate::{Failed, Queries, QueryError, Wrong};

/// How often a query that waits looks again, where no worker of this process wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How far the read models are known to have come.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    position: watch::Sender<Position>,
    /// Held by the one who looks at the read models again and again.
    looking: Mutex<()>,
}

impl Reached {
    fn is(&self, wanted: Position) -> bool {
        *self.position.borrow() >= wanted
    }

    fn came_to(&self, position: Position) {
        self.position.send_if_modified(|known| {
            let further = position > *known;
            *known = position.max(*known);
            further
        });
    }

    /// Waits until the read models reach a position. One of those who wait runs `look`, which ends only when it fails; the
    /// others are told what it finds.
    async fn wait_for(&self, wanted: Position, look: impl Future<Output = QueryError>) -> Result<(), QueryError> {
        let mut position = self.position.subscribe();
        let look = async {
            let _looking = self.looking.lock().await;
            look.await
        };
        tokio::select! {
            _ = position.wait_for(|position| *position >= wanted) => Ok(()),
            error = look => Err(error),
        }
    }
}

impl Queries {
    /// Whether lists that are asked for now see this position.
    pub fn lists_have_come_to(&self, position: Position) -> bool {
        self.reached.is(position)
    }

    /// Lists and cards once their models are there, where a worker of this process is making them, and have come to `position`, if
    /// one is named.
    pub async fn lists(&self, position: Option<Position>) -> Result<Lists, QueryError> {
        // The worker says that it builds until it has cleared up; the tables may be there before.
        if let Some(mut worker) = self.worker.clone()
            && worker.is_catching_up()
            && !self.lists.are_made().await?
        {
            // What is not there by then, the question finds out.
            let made = worker.wait_for(|models| !models.iter().any(|model| model.status.is_catching_up()));
            let _ = timeout(self.limits.min_position_wait, made).await;
        }
        let Some(wanted) = position else { return Ok(self.lists.clone()) };
        if !self.reached.is(wanted) && !self.look_for(wanted).await? {
            timeout(self.limits.min_position_wait, self.reached.wait_for(wanted, self.keep_looking()))
                .await
                .unwrap_or_else(|_| Err(Failed::NotCaughtUp { wanted }.into()))?;
        }
        Ok(self.lists.clone().at_least(wanted))
    }

    /// Whether the read models have come to a position, which the log must have.
    async fn look_for(&self, wanted: Position) -> Result<bool, QueryError> {
        self.reached.came_to(self.lists.position().await?);
        if self.reached.is(wanted) {
            return Ok(true);
        }
        self.is_in_the_log(wanted).await?;
        Ok(false)
    }

    /// Refuses a `min_position` that the log does not have.
    pub(crate) async fn is_in_the_log(&self, wanted: Position) -> Result<(), QueryError> {
        // What this process has heard of, the log has.
        if wanted <= *self.store.watch().borrow() {
            return Ok(());
        }
        let head = self.store.head().await?.position;
        if wanted <= head {
            return Ok(());
        }
        let message = format!("min_position {wanted} lies beyond the end of the log, {head}");
        Err(Wrong::BeyondHead { field: "min_position".into(), message }.into())
    }

    /// Looks at the read models whenever they may have come further.
    async fn keep_looking(&self) -> QueryError {
        let mut worker = self.worker.clone();
        loop {
            match self.lists.position().await {
                Ok(position) => self.reached.came_to(position),
                Err(error) => return error.into(),
            }
            let woken = async {
                match &mut worker {
                    Some(worker) => !worker.changed().await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = woken => ended,
                () = sleep(LOOK_AGAIN) => false,
            };
            // A worker that has ended tells nothing more; another process may still have one.
            if ended {
                worker = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_has_what_they_wait_for_goes_on_while_another_looks_for_more() {
        let reached = Reached::default();
        let second = Duration::from_secs(1);
        let far = timeout(second, reached.wait_for(Position(9), pending()));
        let near = timeout(second, reached.wait_for(Position(2), async { unreachable!("the other one looks") }));
        let (far, near, ()) = tokio::join!(far, near, async {
            reached.came_to(Position(2));
            reached.came_to(Position(1));
        });
        assert!(far.is_err() && near.is_ok());
        assert!(reached.is(Position(2)) && !reached.is(Position(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_one_looks_when_the_one_who_looked_has_gone() {
        let reached = Reached::default();
        let gone = timeout(Duration::from_millis(1), reached.wait_for(Position(9), pending()));
        let next = reached.wait_for(Position(2), async {
            reached.came_to(Position(2));
            pending().await
        });
        let (gone, next) = tokio::join!(gone, next);
        assert!(gone.is_err() && next.is_ok());
    }
}
