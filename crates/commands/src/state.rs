//! States of streams: folded from the log, and kept in memory as long as they are of use.

use std::sync::Arc;

use dealog_domain::{Recorded, State, evolve};
use dealog_events::{Envelope, Event, StreamId, Timestamp, Version};
use dealog_store::EventStore;
use moka::sync::Cache;

use crate::CommandError;

/// Events read at once while a state is folded.
const PAGE_EVENTS: usize = 1_000;

/// A stream's state at a version.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    /// When its last event occurred.
    pub(crate) last: Option<Timestamp>,
    pub(crate) state: Arc<State>,
}

impl Loaded {
    /// A stream that has no event yet, or none that is known.
    pub(crate) fn nothing(stream: StreamId) -> Self {
        Self { stream, version: Version::ZERO, last: None, state: Arc::new(State::empty(stream.category())) }
    }

    /// The state after `events`, of which the last is at `version`.
    pub(crate) fn after(&self, events: &[Event], at: Timestamp, version: Version) -> Self {
        let state = events.iter().fold((*self.state).clone(), evolve);
        Self { stream: self.stream, version, last: Some(at), state: Arc::new(state) }
    }

    fn after_envelope(self, envelope: &Envelope) -> Result<Self, CommandError> {
        let event = event(envelope)?;
        // Not shared with anyone yet while a page is folded, so this moves and does not copy.
        let state = Arc::try_unwrap(self.state).unwrap_or_else(|shared| (*shared).clone());
        Ok(Self {
            stream: self.stream,
            version: envelope.version,
            last: Some(envelope.occurred_at),
            state: Arc::new(evolve(state, &event)),
        })
    }
}

fn event(envelope: &Envelope) -> Result<Event, CommandError> {
    envelope.event().map_err(|source| CommandError::Unreadable { position: envelope.position, source })
}

/// The states that were used last.
pub(crate) struct States {
    store: Arc<dyn EventStore>,
    cache: Cache<StreamId, Loaded>,
}

impl States {
    pub(crate) fn new(store: Arc<dyn EventStore>, cached_streams_max: u64) -> Self {
        Self { store, cache: Cache::new(cached_streams_max) }
    }

    /// What is in memory, which may be behind the log.
    pub(crate) fn cached(&self, stream: StreamId) -> Option<Loaded> {
        self.cache.get(&stream)
    }

    /// What the log says now. Only what has come since the version in memory is read.
    pub(crate) async fn read(&self, stream: StreamId) -> Result<Loaded, CommandError> {
        let mut loaded = self.cached(stream).unwrap_or_else(|| Loaded::nothing(stream));
        loop {
            let page = self.store.read_stream_for_command(stream, loaded.version, PAGE_EVENTS).await?;
            for envelope in &page {
                loaded = loaded.after_envelope(envelope)?;
            }
            // A page may be short and more follow: it ends by bytes, too.
            if page.is_empty() {
                break;
            }
        }
        if loaded.version > Version::ZERO {
            self.keep(&loaded);
        }
        Ok(loaded)
    }

    /// The events that have led to this state.
    pub(crate) async fn history(&self, of: &Loaded) -> Result<Arc<[Recorded]>, CommandError> {
        let (mut history, mut after) = (Vec::new(), Version::ZERO);
        while after < of.version {
            let page = self.store.read_stream_for_command(of.stream, after, PAGE_EVENTS).await?;
            let Some(last) = page.last() else { break };
            after = last.version;
            for envelope in page.iter().filter(|envelope| envelope.version <= of.version) {
                history.push(Recorded {
                    position: envelope.position,
                    command: envelope.command_id,
                    actor: envelope.cause.actor,
                    at: envelope.occurred_at,
                    event: event(envelope)?,
                });
            }
        }
        Ok(history.into())
    }

    /// Keeps a state, unless a later one is kept already.
    pub(crate) fn keep(&self, loaded: &Loaded) {
        self.cache.entry(loaded.stream).and_upsert_with(|present| match present {
            Some(present) if present.value().version > loaded.version => present.into_value(),
            _ => loaded.clone(),
        });
    }
}
