//! The back ends, and what all tests build from.

use std::sync::Arc;

use dealog_events::{Actor, Cause, CommandId, DealId, Envelope, Position, StreamId, Timestamp, Version};
use dealog_store::{Append, EventStore, Fingerprint, Limits, Log, NewEvent, Place};
use uuid::Uuid;

/// Somewhere a log can live, on its own.
#[allow(async_fn_in_trait)]
pub(crate) trait Backend: Sized {
    /// A fresh place without a log.
    async fn new() -> Self;

    fn place(&self) -> Place;

    /// Runs SQL past the store, as its owner could.
    async fn sql(&self, sql: &'static str) -> Result<(), sqlx::Error>;

    /// Takes away what keeps the owner from rewriting history, so that damage can be done.
    const UNPROTECT: &'static str;

    /// Writes that the commands 1 to 3 changed nothing, 25 hours ago.
    const CHANGED_NOTHING_25_HOURS_AGO: &'static str;

    /// Opens the log here. May be done many times at once, as many processes would.
    async fn open_with(&self, limits: Limits) -> Arc<dyn Log> {
        self.place().open(limits).await.unwrap()
    }

    async fn open(&self) -> Arc<dyn Log> {
        self.open_with(Limits::default()).await
    }
}

pub(crate) mod sqlite {
    use dealog_store::Place;
    use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

    pub(crate) struct Somewhere(tempfile::TempDir);

    impl super::Backend for Somewhere {
        async fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn place(&self) -> Place {
            Place::Sqlite(self.0.path().join("a folder that is made").join("log.db"))
        }

        async fn sql(&self, sql: &'static str) -> Result<(), sqlx::Error> {
            let Place::Sqlite(path) = self.place() else { unreachable!() };
            let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await
        }

        const UNPROTECT: &'static str = "DROP TRIGGER events_are_not_altered; DROP TRIGGER events_are_not_deleted";

        const CHANGED_NOTHING_25_HOURS_AGO: &'static str = "INSERT INTO unchanged_commands
             SELECT unhex(printf('%032x', value)), zeroblob(32), 'settings', 0, 0, (unixepoch() - 25 * 3600) * 1000000
             FROM json_each('[1, 2, 3]')";
    }
}

pub(crate) mod postgres {
    use dealog_store::Place;
    use dealog_test_postgres::Fresh;

    pub(crate) struct Somewhere(Fresh);

    impl super::Backend for Somewhere {
        async fn new() -> Self {
            Self(Fresh::new().await)
        }

        fn place(&self) -> Place {
            Place::Postgres(self.0.url().into())
        }

        async fn sql(&self, sql: &'static str) -> Result<(), sqlx::Error> {
            self.0.execute(&format!("SET search_path = log; {sql}")).await
        }

        const UNPROTECT: &'static str = "DROP TRIGGER events_are_not_rewritten ON events";

        const CHANGED_NOTHING_25_HOURS_AGO: &'static str = "INSERT INTO unchanged_commands
             SELECT lpad(to_hex(number), 32, '0')::uuid, decode(repeat('00', 32), 'hex'), 'settings', 0, 0,
                now() - interval '25 hours'
             FROM generate_series(1, 3) AS number";
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
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([1; 32]),
        cause: Cause { actor: Actor::Local, correlation_id: Uuid::now_v7(), causation_id: None },
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
pub(crate) async fn all(store: &(impl EventStore + ?Sized)) -> Vec<Envelope> {
    store.read(Position::ZERO, usize::MAX, &[]).await.unwrap()
}

/// Asserts that no position is missing, and returns how many events there are.
pub(crate) async fn gap_free(store: &(impl EventStore + ?Sized)) -> u64 {
    let positions: Vec<_> = all(store).await.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
    assert_eq!(store.head().await.unwrap().position.0, positions.len() as u64);
    positions.len() as u64
}
