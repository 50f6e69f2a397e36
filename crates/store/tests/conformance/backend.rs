//! The back ends, and what all tests build from.

use std::sync::Arc;

use dealog_events::{Actor, CommandId, DealId, Envelope, Position, StreamId, Timestamp, Version};
use dealog_store::{Append, EventStore, Fingerprint, Limits, NewEvent, TokenStore};
use uuid::Uuid;

/// Somewhere a log can live, on its own.
#[allow(async_fn_in_trait)]
pub(crate) trait Backend: Sized {
    type Store: EventStore + TokenStore + 'static;

    /// A fresh place without a log.
    async fn new() -> Self;

    /// Opens the log here. May be done many times at once, as many processes would.
    async fn open_with(&self, limits: Limits) -> Arc<Self::Store>;

    async fn close(store: &Self::Store);

    /// Runs SQL past the store, as its owner could.
    async fn sql(&self, sql: &'static str) -> Result<(), sqlx::Error>;

    /// Takes away what keeps the owner from rewriting history, so that damage can be done.
    const UNPROTECT: &'static str;

    async fn open(&self) -> Arc<Self::Store> {
        self.open_with(Limits::default()).await
    }
}

pub(crate) mod sqlite {
    use std::{path::PathBuf, sync::Arc};

    use dealog_store::{Limits, sqlite::SqliteStore};
    use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

    pub(crate) struct Place(tempfile::TempDir);

    impl Place {
        fn path(&self) -> PathBuf {
            self.0.path().join("a folder that is made").join("log.db")
        }
    }

    impl super::Backend for Place {
        type Store = SqliteStore;

        async fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        async fn open_with(&self, limits: Limits) -> Arc<SqliteStore> {
            Arc::new(SqliteStore::open(&self.path(), limits).await.unwrap())
        }

        async fn close(store: &SqliteStore) {
            store.close().await;
        }

        async fn sql(&self, sql: &'static str) -> Result<(), sqlx::Error> {
            let mut connection = SqliteConnectOptions::new().filename(self.path()).connect().await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await
        }

        const UNPROTECT: &'static str = "DROP TRIGGER events_are_not_altered; DROP TRIGGER events_are_not_deleted";
    }
}

/// An instant so many seconds after some start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_772_000_000_123_456).unwrap().saturating_add_micros(seconds * 1_000_000)
}

pub(crate) fn deal() -> StreamId {
    StreamId::Deal(DealId(Uuid::now_v7()))
}

pub(crate) fn event(data: &str) -> NewEvent {
    NewEvent { event_type: "deal.noted", schema: 1, occurred_at: at(0), data: data.into() }
}

/// One event for a stream at this version.
pub(crate) fn append(stream: StreamId, expected: u64) -> Append {
    Append {
        actor: Actor::Local,
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([1; 32]),
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        now: at(0),
        stream,
        expected: Version(expected),
        unchanged: vec![],
        events: vec![event("{}")],
    }
}

/// The same with so many events.
pub(crate) fn append_many(stream: StreamId, expected: u64, events: usize) -> Append {
    Append { events: vec![event("{}"); events], ..append(stream, expected) }
}

/// All of the log.
pub(crate) async fn all(store: &impl EventStore) -> Vec<Envelope> {
    store.read(Position::ZERO, usize::MAX, &[]).await.unwrap()
}

/// Asserts that no position is missing, and returns how many events there are.
pub(crate) async fn gap_free(store: &impl EventStore) -> u64 {
    let positions: Vec<_> = all(store).await.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
    assert_eq!(store.head().await.unwrap().position.0, positions.len() as u64);
    positions.len() as u64
}
