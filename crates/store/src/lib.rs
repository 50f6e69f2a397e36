//! The log: one order of all events, appended once and never altered.
//!
//! [`EventStore`] knows no SQL; each back end is a room of its own and passes the same conformance tests. What they
//! promise:
//!
//! - **One order, no gaps.** Positions are handed out inside the appending transaction under a lock on the single head
//!   row, so the order of commits is the order of positions: who has seen position n has seen all before it.
//! - **Acknowledged means committed.** [`EventStore::append`] answers after the commit has returned, never before. A commit
//!   whose answer was lost is looked up by its command ids.
//! - **Optimistic.** An append names the version it expects of its stream and of every stream its rule read. A miss is a
//!   conflict and nothing is written.
//! - **Idempotent.** A command id is remembered with the outcome of its append: for ever where it brought events, for at least
//!   [`Limits::unchanged_commands_hours_min`] where there was nothing to do.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a room prints nothing")]

mod append;
mod appender;
mod batch;
mod copy;
mod decode;
pub mod failpoints;
mod history;
mod judge;
mod place;
pub mod postgres;
mod scrub;
pub mod sqlite;
pub mod supervised;
mod tokens;
mod trouble;
mod trust;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use dealog_events::{Cause, CommandId, Envelope, Position, StreamId, Timestamp, Version};
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

pub use append::{Append, AppendError, Appended, Fingerprint, NewEvent, Remembered};
pub use appender::Unable;
pub use copy::{CopyError, compare, copy};
pub use place::Place;
pub use scrub::Scrubbed;
pub use tokens::{TOKENS_MAX, Token, TokenError, TokenStore};
pub use trouble::{disk, is_away};

/// Named limits of a log. Each can be set; none can be switched off.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Appends that wait for the commit in flight; one more is refused as [`AppendError::Overloaded`].
    pub queue_length_max: usize,
    /// Appends that go into one transaction.
    pub batch_appends_max: usize,
    /// Events of one append.
    pub append_events_max: usize,
    /// Events of one stream.
    pub stream_events_max: u64,
    /// Hours for which a command that changed nothing gets its first outcome when it comes again; never less than 24.
    pub unchanged_commands_hours_min: u64,
    /// Bytes of the data of one event.
    pub event_bytes_max: usize,
    /// Events that one read returns.
    pub page_events_max: usize,
    /// Bytes of data at which a page ends, with the event that reaches them.
    pub page_bytes_max: usize,
    /// Pages of the log that are read at the same time; more wait for one of them.
    pub read_connections_max: u32,
    /// What commands and tokens read at the same time, on connections of their own: who reads the log keeps nobody from work.
    pub command_connections_max: u32,
    /// Events that the scrub of [`Log::scrub`] looks at in a second.
    pub scrub_events_per_second: u32,
    /// What bounds the write-ahead log of an SQLite file.
    pub journal: sqlite::JournalLimits,
    /// How long a connection to a database server may take to be there, or to be free.
    pub database_connect_timeout: Duration,
    /// How long an append waits for other nodes that append. Half of it is what a node may do nothing for while others wait.
    pub database_lock_timeout: Duration,
    /// How long a statement may take on a database server.
    pub database_statement_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_length_max: 4_096,
            batch_appends_max: 512,
            append_events_max: 100,
            stream_events_max: 100_000,
            unchanged_commands_hours_min: 24,
            event_bytes_max: 64 * 1024,
            page_events_max: 10_000,
            page_bytes_max: 4 * 1024 * 1024,
            read_connections_max: 4,
            command_connections_max: 4,
            scrub_events_per_second: 300,
            journal: sqlite::JournalLimits::default(),
            database_connect_timeout: Duration::from_secs(5),
            database_lock_timeout: Duration::from_secs(10),
            database_statement_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// What one read gives that was asked for so many events.
    pub(crate) fn page(&self, limit: usize) -> decode::PageMax {
        decode::PageMax { events: limit.min(self.page_events_max), bytes: self.page_bytes_max }
    }

    /// Less than a day the database itself refuses.
    pub(crate) fn unchanged_commands_hours(&self) -> u64 {
        self.unchanged_commands_hours_min.max(24)
    }
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which log this is. A checkpoint of another one is refused.
    pub log_id: Uuid,
    /// The last position; zero in an empty log.
    pub position: Position,
    /// When the last event was recorded; [`Timestamp::MIN`] in an empty log.
    pub recorded_at: Timestamp,
}

/// A log of events.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Queues an append and returns its outcome once its commit has returned. It takes its place in the queue when this is
    /// called, not when the future is first polled: calls made one after another are appended in that order.
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// What is remembered of these commands, in no particular order; nothing of those that were never appended.
    async fn remembered(&self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError>;

    /// The end of the log.
    async fn head(&self) -> Result<Head, StoreError>;

    /// Events after `after` in the order of positions, at most `limit`; where `types` names any, only those types. A page may be
    /// shorter than `limit` and not the last, since it ends by bytes too: nothing follows only where it is empty.
    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError>;

    /// The types of all events of the log.
    async fn types(&self) -> Result<Vec<String>, StoreError>;

    /// Events of one stream after version `after`, in order, at most `limit`. As with [`EventStore::read`], nothing follows only
    /// where a page is empty.
    async fn read_stream(&self, stream: StreamId, after: Version, limit: usize) -> Result<Vec<Envelope>, StoreError>;

    /// The same for a command that is to be decided, or for who calls: on connections of their own, so that however much is read
    /// otherwise, work goes on.
    async fn read_stream_for_command(
        &self,
        stream: StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError>;

    /// Whether an append would be written now, and why not. It is tried, unless one was written a moment ago, and answered within
    /// two seconds.
    async fn can_append(&self) -> Result<(), Unable>;

    /// Changes whenever this process commits or hears of another that did. It only wakes: who follows the log must look again
    /// from time to time, since not all is heard of.
    fn watch(&self) -> watch::Receiver<Position>;

    /// Ends the log in good order: reads under way end, appends that wait are committed and answered, later ones refused.
    async fn close(&self);
}

/// A log with the tokens beside it, which can be copied whole.
#[async_trait]
pub trait Log: EventStore + TokenStore {
    /// Appends events as they are in another log with the same identity, and the commands that brought them, if they follow
    /// the end of this one.
    async fn append_copied(&self, events: &[Envelope], commands: &[Remembered]) -> Result<(), StoreError>;

    /// Starts to look at all of the log for damage, slowly and again and again, until the log is closed or damage is found. Tells
    /// how far it is, by this clock.
    async fn scrub(&self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> watch::Receiver<Scrubbed>;
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not do what was asked.
    #[error("the log's database: {0}")]
    Database(#[from] sqlx::Error),
    /// Where the database is said to be is no address.
    #[error("the address of the log's database is not one ({0}): name it as postgres://ROLE@HOST/DATABASE")]
    Address(#[source] sqlx::Error),
    /// There is no way to the database.
    #[error("the log's database {address} cannot be reached: {source}")]
    Unreachable {
        /// Where it should be, without the password.
        address: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// The database said nothing for so long that it is not waited for any more.
    #[error("the log's database gave no answer for {} seconds", .0.as_secs())]
    NoAnswer(Duration),
    /// The database is not a log that this version can use.
    #[error("the log's schema: {0}")]
    Schema(String),
    /// The schema of the log is not what this program made: what keeps history from being rewritten may be gone.
    #[error(
        "the schema of the log is not what dealog made: {0}. Nothing is appended like that. Let the role that owns the log undo \
         it, or restore the log from a backup; `dealog migrate --grant ROLE` revokes what a role may do beyond its rights"
    )]
    Altered(String),
    /// What is stored is not what is ever written.
    #[error("the log is damaged at position {position}: {reason}")]
    Damaged {
        /// Where.
        position: Position,
        /// What is wrong there.
        reason: String,
    },
    /// What must hold between the tables of the log does not.
    #[error("the log is damaged: {place}: {reason}. Nothing in it was changed. Restore it from a backup")]
    DamagedLog {
        /// The first bad place.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// The file is not the log that was written. It is not opened, or not appended to any more.
    #[error(
        "the log {} is damaged: {place}: {reason}. Nothing in it was changed. Put a copy of it in its place, without the files \
         beside it that end in -wal and -shm; the read models (views.db) need no copy, they are folded from the log",
        file.display()
    )]
    DamagedFile {
        /// Which file.
        file: PathBuf,
        /// The first bad place.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// This process has found damage in the log before, so it appends nothing to it any more.
    #[error("damage was found in the log ({0}): nothing is appended to it. Restore it from a backup, and start again")]
    Distrusted(String),
}
