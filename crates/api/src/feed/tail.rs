//! The one reader of the log's end, for all subscribers of this process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dealog_events::{Cursor, Envelope, Position, ReadError};
use dealog_followers::{Follower, Limits, Status, Trouble, Turn, at, follow};
use dealog_store::{EventStore, StoreError, failpoints};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use super::recent::{Batch, Bounds, Recent};

/// Events that are read and handed on together.
const BATCH_EVENTS_MAX: usize = 500;

/// The cost of a batch for each subscriber. However many subscribe and however fast the log grows, all of them together get at
/// most 10,000 batches a second, so their cost to those who append is bounded. Above that rate, events gather.
const COST_PER_SUBSCRIBER: Duration = Duration::from_micros(100);

/// How much cost may be unpaid before events gather. After a pause, the first few events go out at once, each by itself.
const CREDIT: Duration = Duration::from_millis(100);

/// Follows the log for as long as anybody subscribes, and rests otherwise.
pub(super) struct Tail {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) recent: watch::Sender<Option<Recent>>,
    /// Somebody subscribed.
    pub(super) arrived: Arc<Notify>,
    pub(super) bounds: Bounds,
    /// How often it has begun to keep events.
    pub(super) begun: u64,
    /// When the cost of everything sent so far will be paid off.
    pub(super) paid_at: Instant,
}

impl Tail {
    /// Follows until `stop` changes. Where it cannot go on, subscribers find nothing kept, read the log themselves and are told what
    /// is the matter; after a while it begins again at the end of the log.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let limits = Limits { batch_events_max: self.batch_events_max(), ..Limits::default() };
        let status = watch::Sender::new(Status::Following(Position::ZERO));
        loop {
            self = follow(Arc::clone(&self.store), self, limits, status.clone(), stop.clone()).await;
            self.recent.send_replace(None);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(limits.retry_interval) => self.arrived.notify_one(),
            }
        }
    }

    fn batch_events_max(&self) -> usize {
        BATCH_EVENTS_MAX.min(self.bounds.events_max.div_ceil(4))
    }

    /// The last event handed to subscribers. None if nobody subscribes; then it also drops what it kept.
    fn followed(&self) -> Option<Cursor> {
        // Counted under the lock: who subscribes later finds nothing kept, and does not take it for the log's end.
        let mut end = None;
        self.recent.send_if_modified(|recent| {
            let nobody = self.recent.receiver_count() == 0;
            let forgets = nobody && recent.is_some();
            if nobody {
                *recent = None;
            }
            end = recent.as_ref().map(Recent::end);
            forgets
        });
        end
    }

    /// Begins to keep events, from the end of the log on.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let head = self.store.head().await?.position;
        let end = at(&*self.store, head).await?;
        self.begun += 1;
        self.recent.send_replace(Some(Recent::at(end, self.begun)));
        Ok(())
    }
}

#[async_trait]
impl Follower for Tail {
    type Item = Envelope;

    fn name(&self) -> &'static str {
        "feed"
    }

    fn prepare(event: Envelope) -> Result<Envelope, ReadError> {
        Ok(event)
    }

    async fn turn(&mut self) -> Result<Turn, Trouble> {
        loop {
            if let Some(end) = self.followed() {
                failpoints::pass("feed").map_err(StoreError::Database)?;
                return Ok(Turn::Go(end));
            }
            self.arrived.notified().await;
            if let Err(error) = self.begin().await {
                // The subscriber is still waiting, so the next attempt must not wait for another one.
                self.arrived.notify_one();
                return Err(error.into());
            }
        }
    }

    async fn handle(&mut self, events: Vec<Envelope>, reached: Cursor) -> Result<(), Trouble> {
        let few = events.len() < self.batch_events_max();
        let mut events = events.into_iter();
        let mut batches = Vec::new();
        while !events.as_slice().is_empty() {
            let batch = Batch::render(&mut events, reached);
            batches.push(batch.map_err(|error| {
                let reason = format!("an event of the log cannot be rendered: {error}");
                Trouble::Poison { position: reached.position, reason }
            })?);
        }
        self.recent.send_modify(|recent| {
            if let Some(recent) = recent {
                for batch in batches {
                    recent.push(batch, self.bounds);
                }
            }
        });
        // Where there is more already, nothing has to gather. A page ends by bytes, too, so a short one does not say that there is
        // nothing more.
        if few && reached.position >= *self.store.watch().borrow() {
            let subscribers = u32::try_from(self.recent.receiver_count()).unwrap_or(u32::MAX);
            self.paid_at = self.paid_at.max(Instant::now()) + COST_PER_SUBSCRIBER * subscribers;
            let owed = self.paid_at.saturating_duration_since(Instant::now());
            if let Some(unpaid) = owed.checked_sub(CREDIT) {
                sleep(unpaid).await;
            }
        }
        Ok(())
    }
}
