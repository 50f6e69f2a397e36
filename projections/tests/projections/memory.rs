//! A log in memory: the same trait as the databases have, without their disks. It serves what the tests make up and what
//! no handler would write.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use dealog_events::{CommandId, Envelope, Position, StreamId, Timestamp, Version};
use dealog_store::{Append, AppendError, Appended, EventStore, Head, Remembered, StoreError};
use tokio::sync::watch;
use uuid::Uuid;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) const LOG: Uuid = Uuid::from_u128(0x0192_f3a4_0000_7000_8000_0000_0000_0001);

/// Events in the order of their positions. Commands are not remembered: no test sends one twice.
pub(crate) struct MemoryStore {
    log_id: Uuid,
    log: Mutex<Vec<Envelope>>,
    grown: watch::Sender<Position>,
    /// Whoever reads waits until this is over.
    pub(crate) paused: watch::Sender<bool>,
    /// What happens when nothing is left to read, once.
    pub(crate) at_end: Mutex<Option<BoxFuture<()>>>,
    /// How often its end was looked at.
    pub(crate) looks: watch::Sender<usize>,
    /// The events of each page of a stream that was read.
    pub(crate) streamed: Mutex<Vec<usize>>,
}

impl MemoryStore {
    pub(crate) fn holding(log: Vec<Envelope>) -> Arc<Self> {
        Self::with_id(LOG, log)
    }

    pub(crate) fn with_id(log_id: Uuid, log: Vec<Envelope>) -> Arc<Self> {
        Arc::new(Self {
            log_id,
            log: Mutex::new(log),
            grown: watch::Sender::new(Position::ZERO),
            paused: watch::Sender::new(false),
            at_end: Mutex::default(),
            looks: watch::Sender::new(0),
            streamed: Mutex::default(),
        })
    }

    pub(crate) fn events(&self) -> Vec<Envelope> {
        self.log.lock().unwrap().clone()
    }

    /// Adds events as they are, read or not.
    pub(crate) fn extend(&self, events: &[Envelope]) {
        let mut log = self.log.lock().unwrap();
        log.extend_from_slice(events);
        self.grown.send_replace(log.last().map_or(Position::ZERO, |last| last.position));
    }

    fn appended(&self, append: &Append) -> Result<Appended, AppendError> {
        let mut log = self.log.lock().unwrap();
        let version_of = |stream: StreamId| {
            let last = log.iter().rev().find(|event| event.stream == stream);
            last.map_or(Version::ZERO, |event| event.version)
        };
        for (stream, expected) in append.unchanged.iter().copied().chain([(append.stream, append.expected)]) {
            let found = version_of(stream);
            if found != expected {
                return Err(AppendError::Conflict { stream, expected, found });
            }
        }
        let mut version = append.expected;
        for (index, event) in append.events.iter().enumerate() {
            version = version.next();
            let position = Position(log.len() as u64 + 1);
            log.push(Envelope {
                position,
                event_id: append.command_id.event_id(index),
                stream: append.stream,
                version,
                event_type: event.event_type.to_owned(),
                schema: event.schema,
                occurred_at: event.occurred_at,
                recorded_at: append.now,
                command_id: append.command_id,
                cause: append.cause,
                data: event.data.clone().try_into().unwrap(),
            });
        }
        let position = Position(log.len() as u64);
        let events = u32::try_from(append.events.len()).unwrap();
        self.grown.send_replace(position);
        Ok(Appended { stream: append.stream, version, position, events, replayed: false, looked_up: false })
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    fn append(&self, append: Append) -> BoxFuture<Result<Appended, AppendError>> {
        Box::pin(std::future::ready(self.appended(&append)))
    }

    async fn remembered(&self, _: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        Ok(Vec::new())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.looks.send_modify(|looks| *looks += 1);
        let log = self.log.lock().unwrap();
        let (position, recorded_at) =
            log.last().map_or((Position::ZERO, Timestamp::MIN), |last| (last.position, last.recorded_at));
        Ok(Head { log_id: self.log_id, position, recorded_at })
    }

    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError> {
        self.paused.subscribe().wait_for(|paused| !paused).await.unwrap();
        let at_end = self.log.lock().unwrap().last().is_some_and(|last| last.position <= after);
        let happens = at_end.then(|| self.at_end.lock().unwrap().take()).flatten();
        if let Some(happens) = happens {
            happens.await;
        }
        let log = self.log.lock().unwrap();
        let wanted = |event: &&Envelope| types.is_empty() || types.contains(&event.event_type);
        Ok(log.iter().filter(|event| event.position > after).filter(wanted).take(limit).cloned().collect())
    }

    async fn types(&self) -> Result<Vec<String>, StoreError> {
        let types: BTreeSet<String> = self.log.lock().unwrap().iter().map(|event| event.event_type.clone()).collect();
        Ok(types.into_iter().collect())
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        let log = self.log.lock().unwrap();
        let wanted = |event: &&Envelope| event.stream == stream && event.version > after;
        let page: Vec<Envelope> = log.iter().filter(wanted).take(limit).cloned().collect();
        self.streamed.lock().unwrap().push(page.len());
        Ok(page)
    }

    async fn read_stream_for_command(
        &self,
        stream: StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.read_stream(stream, after, limit).await
    }

    async fn can_append(&self) -> Result<(), dealog_store::Unable> {
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.grown.subscribe()
    }

    async fn close(&self) {}
}
