//! The live feed: the log as a stream that never ends, for many subscribers at once.
//!
//! A subscriber that is behind reads pages of the log, one whenever its connection has taken the one before; so however
//! slow it is, it holds no connection to the log's database. The pages that subscribers hold share a budget of bytes, so many
//! slow ones wait for each other. Close to the end a subscriber goes on with what one reader ([`tail`]) has read and rendered
//! for all ([`recent`]). There it may lag behind, but only within bounds: beyond them it is disconnected, and told why and
//! where to resume, so slowness shows and costs others nothing.
//!
//! A stream is made of whole messages that many subscribers share, up to a batch in a chunk. That is why it is a body of
//! bytes and not axum's `Sse`, which copies and sends each message for each subscriber by itself.

mod recent;
mod subscriber;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dealog_events::Cursor;
use dealog_store::{EventStore, StoreError};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};

use crate::{Limits, room::Room};
use recent::{Bounds, Recent};
pub(crate) use subscriber::Subscriber;
use tail::Tail;

/// Where the feed of a process begins. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    store: Arc<dyn EventStore>,
    /// None while nobody subscribes.
    recent: watch::Sender<Option<Recent>>,
    arrived: Arc<Notify>,
    places: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    /// For pages of the log that subscribers hold while they catch up.
    room: Room,
    limits: Limits,
}

/// Why an event of the log could not be handed on.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("an event of the log cannot be rendered: {0}")]
    Event(#[from] serde_json::Error),
}

/// From where a subscriber wants to hear.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// From now on, which is here; the subscriber is told so.
    Now(Cursor),
    /// After what it has seen.
    After(Cursor),
}

impl Feed {
    /// A feed of this log, and the task that reads for it.
    pub fn start(store: Arc<dyn EventStore>, limits: Limits) -> Self {
        let (recent, arrived) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let stopping = watch::Sender::new(false);
        let bounds =
            Bounds { events_max: limits.subscriber_queue_events_max, bytes_max: limits.subscriber_queue_bytes_max };
        let tail = Tail {
            store: Arc::clone(&store),
            recent: recent.clone(),
            arrived: Arc::clone(&arrived),
            bounds,
            begun: 0,
            paid_at: Instant::now(),
        };
        // It ends also when the last handle is gone.
        tokio::spawn(tail.run(stopping.subscribe()));
        let places = Arc::new(Semaphore::new(limits.subscribers_max.min(Semaphore::MAX_PERMITS)));
        let room = Room::of(limits.subscriber_pages_bytes_max);
        Self { store, recent, arrived, places, stopping, room, limits }
    }

    /// Ends all streams, with a last message each. Those that begin later end at once.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// How many subscribe now.
    pub fn subscribers(&self) -> usize {
        self.limits.subscribers_max.saturating_sub(self.places.available_permits())
    }

    /// A subscriber to these types, or to all where none is named. None where there is no place left.
    pub(crate) fn subscribe(&self, start: Start, types: Vec<String>) -> Option<Subscriber> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let subscriber = Subscriber::new(self, start, types, place);
        self.arrived.notify_one();
        Some(subscriber)
    }
}
