//! The log in one SQLite file: nothing to install, and durable on a single machine.
//!
//! One connection writes, so commits never wait for each other inside the process; a few read-only connections read
//! snapshots beside it (write-ahead log). Several processes may open the same file: they take turns at the file's write
//! lock, and each judges its appends by what it finds under it.

mod check;
mod journal;
mod read;
mod rows;
mod schema;
mod scrub;
mod tokens;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dealog_events::{CommandId, Envelope, Position, StreamId, Timestamp, Version};
use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};
use uuid::Uuid;

pub use self::journal::{Journal, JournalLimits, Snapshot};
use crate::{
    Append, AppendError, Appended, EventStore, Head, Limits, Log, Remembered, Scrubbed, StoreError, Unable,
    appender::Appender, batch::Batch, scrub::Scrub, trust::Trust,
};

/// A log in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    appender: Appender,
    /// For pages of the log and of streams.
    readers: Readers,
    /// For the scrub, which reads all of the file: a connection of its own, so that others keep what they need in their caches.
    scrubber: Readers,
    /// For what commands and tokens need to know. Who reads the log must not keep them waiting.
    lookups: SqlitePool,
    journal: Arc<Journal>,
    trust: Trust,
    /// The scrub; it ends with the log.
    scrubbing: Mutex<JoinSet<()>>,
    limits: Limits,
    /// Reads under way end with an error: the log is being closed.
    interrupted: Arc<AtomicBool>,
}

/// Connections that read for a while.
#[derive(Debug, Clone)]
struct Readers {
    pool: SqlitePool,
    journal: Arc<Journal>,
}

impl Readers {
    /// A connection that reads, with the right to do so, which goes after it. Who waits for a connection does not hold up the
    /// journal. A lookup takes no such right: it ends by itself before anybody would have waited for it.
    async fn take(&self) -> Result<(Snapshot, PoolConnection<Sqlite>), sqlx::Error> {
        let connection = self.pool.acquire().await?;
        Ok((self.journal.snapshot().await, connection))
    }
}

/// How long a journal that others use is waited for.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many of its instructions SQLite goes on in a read before it looks whether that is still wanted: a millisecond or less.
const INSTRUCTIONS: i32 = 10_000;

impl SqliteStore {
    /// Opens the log in this file; where there is none it is created, and its folder too. A damaged one is refused and left
    /// as it is.
    pub async fn open(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        Self::open_as(path, Uuid::now_v7(), limits).await
    }

    /// The same; a log that is created has this identity.
    pub async fn open_as(path: &Path, log_id: Uuid, limits: Limits) -> Result<Self, StoreError> {
        let mut connection = schema::open(path, log_id).await?;
        let head = read::head(&mut connection).await?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let pool = |connections_max, options: SqliteConnectOptions| {
            let interrupt = Arc::clone(&interrupted);
            SqlitePoolOptions::new()
                .after_connect(move |connection, _| {
                    let interrupt = Arc::clone(&interrupt);
                    Box::pin(async move {
                        let mut handle = connection.lock_handle().await?;
                        handle.set_progress_handler(INSTRUCTIONS, move || !interrupt.load(Ordering::Relaxed));
                        Ok(())
                    })
                })
                .max_connections(connections_max)
                // A connection to a file does not go stale.
                .test_before_acquire(false)
                .connect_lazy_with(options)
        };
        let reading = |connections_max| pool(connections_max, schema::read_options(path));
        let lookups = reading(limits.command_connections_max);
        let journal = Arc::new(Journal::watch(path, "log.db", limits.journal));
        let readers = Readers { pool: reading(limits.read_connections_max), journal: Arc::clone(&journal) };
        let scrubber = Readers {
            pool: pool(1, schema::read_options(path).disable_statement_logging()),
            journal: Arc::clone(&journal),
        };
        let writer = writer::SqliteWriter::new(path.to_owned(), connection, journal.turns(), limits);
        let trust = Trust::new(Some(path));
        let appender = Appender::start(writer, watch::Sender::new(head.position), trust.clone(), limits);
        Ok(Self {
            path: path.to_owned(),
            appender,
            readers,
            scrubber,
            lookups,
            journal,
            trust,
            scrubbing: Mutex::default(),
            limits,
            interrupted,
        })
    }

    /// Brings what is still in the journal of a closed log into its file, so that a plain copy of the file has everything.
    /// The last process to close a log does this by itself, unless something is in its way: then the error says what.
    /// While another process has the log open, the journal is its to bring in, and is left where it is busy.
    pub async fn settle(path: &Path) -> Result<(), StoreError> {
        if !schema::journal(path).metadata().is_ok_and(|journal| journal.len() > 0) {
            return Ok(());
        }
        let mut connection = schema::write_options(path).busy_timeout(SETTLE_TIMEOUT).connect().await?;
        let checkpointed = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
        connection.close().await?;
        checkpointed?;
        Ok(())
    }

    /// Writes the log in this file to another, as it is at one moment; others may append meanwhile. The write-ahead log keeps all
    /// that they append until this has ended.
    pub async fn back_up(path: &Path, target: &Path) -> Result<(), StoreError> {
        let target = target
            .to_str()
            .ok_or_else(|| StoreError::Schema(format!("{} is not a path of readable characters", target.display())))?;
        let mut connection = schema::read_options(path).disable_statement_logging().connect().await?;
        sqlx::query("VACUUM INTO ?1").bind(target).execute(&mut connection).await?;
        connection.close().await?;
        // As after a check: a connection that only reads leaves its files beside the log.
        Ok(schema::write_options(path).connect().await?.close().await?)
    }

    /// Looks for damage in all of the log in this file, which is more than opening it looks for: its indexes, and each event
    /// by itself. `visit` is given the events, page after page, and the end of the log; it may refuse the log too.
    pub async fn check(
        path: &Path,
        visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
    ) -> Result<Head, StoreError> {
        let head = check::thorough(path, visit).await?;
        // A connection that only reads leaves its files beside the log; the last to close one that writes removes them.
        schema::write_options(path).connect().await?.close().await?;
        Ok(head)
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.appender.append(append)
    }

    async fn remembered(&self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        self.trust.judge("the commands", read::remembered(&self.lookups, ids.iter().copied()).await)
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.trust.judge("the head", read::head(&self.lookups).await)
    }

    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError> {
        let found = async {
            let (_snapshot, mut connection) = self.readers.take().await?;
            read::page(&mut connection, after, self.limits.page(limit), types).await
        }
        .await;
        self.trust.judge(format_args!("behind position {after}"), found)
    }

    async fn types(&self) -> Result<Vec<String>, StoreError> {
        self.trust.judge("the types", read::types(&self.lookups).await)
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        let found = async {
            let (_snapshot, mut connection) = self.readers.take().await?;
            read::page_of_stream(&mut connection, stream, after, self.limits.page(limit)).await
        }
        .await;
        self.trust.judge(format_args!("stream {stream}"), found)
    }

    async fn read_stream_for_command(
        &self,
        stream: StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let found = async {
            let mut connection = self.lookups.acquire().await?;
            read::page_of_stream(&mut connection, stream, after, self.limits.page(limit)).await
        }
        .await;
        self.trust.judge(format_args!("stream {stream}"), found)
    }

    async fn can_append(&self) -> Result<(), Unable> {
        self.appender.can_append().await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.appender.watch()
    }

    async fn close(&self) {
        // A read that nobody waits for any more would be waited for here.
        self.interrupted.store(true, Ordering::Relaxed);
        self.scrubbing.lock().await.shutdown().await;
        // Readers first: the last to close the file tidies it up, which a read-only connection cannot do.
        self.scrubber.pool.close().await;
        self.readers.pool.close().await;
        self.lookups.close().await;
        self.journal.close().await;
        self.appender.close().await;
    }
}

#[async_trait]
impl Log for SqliteStore {
    async fn append_copied(&self, events: &[Envelope], commands: &[Remembered]) -> Result<(), StoreError> {
        let Some(batch) = Batch::of_copied(events, commands) else { return Ok(()) };
        self.trust.check()?;
        let mut connection = schema::write_options(&self.path).connect().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        writer::insert(&mut transaction, &batch).await?;
        transaction.commit().await?;
        Ok(connection.close().await?)
    }

    async fn scrub(&self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> watch::Receiver<Scrubbed> {
        let (told, scrubbed) = watch::channel(Scrubbed::default());
        let scrub = Scrub {
            pieces: scrub::Scrubbing::new(self.scrubber.clone()),
            trust: self.trust.clone(),
            events_per_second: self.limits.scrub_events_per_second,
            clock,
            told,
        };
        self.scrubbing.lock().await.spawn(scrub.work());
        scrubbed
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn to_close_does_not_wait_for_a_read_that_nobody_waits_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.db"), Limits::default()).await.unwrap();
        let endless = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n";
        let given_up = timeout(Duration::from_millis(100), sqlx::query(endless).fetch_one(&store.readers.pool)).await;
        assert!(given_up.is_err(), "a read without end came to its end");
        timeout(Duration::from_secs(5), store.close()).await.expect("the log was not closed");
        assert!(!schema::journal(&folder.path().join("log.db")).exists());
    }

    #[tokio::test]
    async fn what_a_journal_still_has_is_brought_into_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        SqliteStore::open(&path, Limits::default()).await.unwrap().close().await;
        // A process that ends without closing the log leaves this behind.
        let mut left = schema::write_options(&path).connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE told (it)").execute(&mut left).await.unwrap();
        let journal = || schema::journal(&path).metadata().map_or(0, |journal| journal.len());
        assert!(journal() > 0);
        SqliteStore::settle(&path).await.unwrap();
        assert_eq!(journal(), 0);
        left.close().await.unwrap();
    }
}
