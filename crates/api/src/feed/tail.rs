//! The one reader of the log's end, for all subscribers of this process.

use std::{sync::Arc, time::Duration};

use dealog_events::{Cursor, Position};
use dealog_store::{EventStore, StoreError, failpoints};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Unreadable,
    recent::{Batch, Bounds, Recent},
};

/// Events that are read and handed on together.
const BATCH_EVENTS_MAX: usize = 500;

/// The cost of a batch for each subscriber. However many subscribe and however fast the log grows, all of them together get at
/// most 10,000 batches a second, so their cost to those who append is bounded. Above that rate, events gather.
const COST_PER_SUBSCRIBER: Duration = Duration::from_micros(100);

/// How much cost may be unpaid before events gather. After a pause, the first few events go out at once, each by itself.
const CREDIT: Duration = Duration::from_millis(100);

/// How often it looks when nobody wakes it: another process may have appended.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The pause after the log could not be read.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Tail {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) recent: watch::Sender<Option<Recent>>,
    /// Somebody subscribed.
    pub(super) arrived: Arc<Notify>,
    pub(super) bounds: Bounds,
}

/// What follows.
struct Next {
    batches: Vec<Batch>,
    /// Whether there were as many events as were asked for.
    full: bool,
}

impl Tail {
    /// Reads for as long as anybody subscribes, and rests otherwise. Never returns.
    pub(super) async fn run(&self) {
        loop {
            // Where this has failed and begins again, it goes on behind what is kept: nobody who follows is sent away for it.
            let kept = self.recent.borrow().as_ref().map(Recent::end);
            if let Some(end) = kept {
                self.follow(end).await;
            }
            self.arrived.notified().await;
            match self.store.head().await {
                Ok(head) => drop(self.recent.send_replace(Some(Recent::at(head.position)))),
                Err(error) => {
                    self.pause_after(&error.into()).await;
                    self.arrived.notify_one();
                }
            }
        }
    }

    async fn follow(&self, mut reached: Position) {
        let mut wake = self.store.watch();
        let batch_events_max = BATCH_EVENTS_MAX.min(self.bounds.events_max.div_ceil(4));
        // When the cost of everything sent so far will be paid off.
        let mut paid_at = Instant::now();
        while !self.rest() {
            let known = *wake.borrow_and_update();
            match self.next(reached, batch_events_max).await {
                Ok(None) => {
                    let woken = async {
                        // A closed channel says nothing more: the poll interval remains.
                        if wake.changed().await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    };
                    let _ = timeout(POLL_INTERVAL, woken).await;
                }
                Ok(Some(Next { batches, full })) => {
                    reached = batches.last().map_or(reached, |batch| batch.last.position);
                    self.recent.send_modify(|recent| {
                        if let Some(recent) = recent {
                            for batch in batches {
                                recent.push(batch, self.bounds);
                            }
                        }
                    });
                    // Where there is more already, nothing has to gather. A page ends by bytes, too, so a short one does not say
                    // that there is nothing more.
                    if !full && reached >= known {
                        let subscribers = u32::try_from(self.recent.receiver_count()).unwrap_or(u32::MAX);
                        paid_at = paid_at.max(Instant::now()) + COST_PER_SUBSCRIBER * subscribers;
                        let owed = paid_at.saturating_duration_since(Instant::now());
                        if let Some(unpaid) = owed.checked_sub(CREDIT) {
                            sleep(unpaid).await;
                        }
                    }
                }
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    async fn next(&self, reached: Position, limit: usize) -> Result<Option<Next>, Unreadable> {
        failpoints::pass("feed").map_err(StoreError::Database)?;
        let events = self.store.read(reached, limit, &[]).await?;
        let Some(last) = events.last().map(Cursor::at) else { return Ok(None) };
        let full = events.len() == limit;
        let (mut events, mut batches) = (events.into_iter(), Vec::new());
        while !events.as_slice().is_empty() {
            batches.push(Batch::render(&mut events, last)?);
        }
        Ok(Some(Next { batches, full }))
    }

    /// Whether there is nobody to read for; then nothing is kept either.
    fn rest(&self) -> bool {
        // Counted under the lock: who subscribes later finds nothing kept, and does not take it for the log's end.
        self.recent.send_if_modified(|recent| {
            let nobody = self.recent.receiver_count() == 0;
            if nobody {
                *recent = None;
            }
            nobody
        })
    }

    async fn pause_after(&self, error: &Unreadable) {
        tracing::error!(%error, "the feed cannot read the log, and tries again");
        sleep(RETRY_INTERVAL).await;
    }
}
