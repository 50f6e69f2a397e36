//! A bound on the write-ahead log of a file.
//!
//! SQLite begins its write-ahead log anew only when nobody reads from it. Where reads overlap there is no such moment, and it grows
//! for as long as they do. So whoever reads has a [`Snapshot`] meanwhile; above the bound new ones wait until those under way have
//! ended and the file is cut to nothing. Whoever writes without a pause takes turns with that ([`Turns`]): SQLite only tries now and
//! then whether nobody writes. It takes a moment, and is given up after a while: then it is tried again a little
//! later. Other processes on the same file do the same at about the same time; of who reads it with a tool of their own
//! nothing is known here, and the file grows until they have finished.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use metrics::{counter, describe_counter, describe_gauge, gauge};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, MutexGuard, Notify, OwnedRwLockReadGuard, RwLock},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::supervised;

/// How often the size of the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The pause after the file could not be cut: those who waited have their turn.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long SQLite waits for connections that are not ours, and for those of callers who hung up. Nobody here reads or writes
/// meanwhile.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// Named limits of a write-ahead log.
#[derive(Debug, Clone, Copy)]
pub struct JournalLimits {
    /// Bytes above which the file is cut to nothing.
    pub wal_bytes_max: u64,
    /// How long new reads wait for those under way to end, so that it can be cut.
    pub wal_wait: Duration,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { wal_bytes_max: 64 * 1024 * 1024, wal_wait: Duration::from_secs(5) }
    }
}

/// The write-ahead log of one file, which is watched for as long as this is there.
#[derive(Debug)]
pub struct Journal {
    gate: Arc<RwLock<()>>,
    turns: Turns,
    stop: Arc<Notify>,
    watching: Mutex<JoinSet<()>>,
}

/// The turns that a writer of the file and whoever cuts its write-ahead log take. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<()>>);

impl Turns {
    /// Waits for a turn, which lasts as long as the guard.
    pub(super) async fn take(&self) -> MutexGuard<'_, ()> {
        self.0.lock().await
    }
}

/// The right to read from the file; to be had for as long as a statement or a transaction lasts.
#[derive(Debug)]
pub struct Snapshot(#[expect(dead_code, reason = "it is held")] OwnedRwLockReadGuard<()>);

impl Journal {
    /// Watches the write-ahead log of the file at `path`, which metrics call `file`.
    pub fn watch(path: &Path, file: &'static str, limits: JournalLimits) -> Self {
        describe_gauge!("dealog_wal_bytes", "Size of a file's write-ahead log");
        describe_counter!(
            "dealog_wal_truncations_total",
            "How often a write-ahead log above its limit was cut to nothing"
        );
        let (gate, stop) = (Arc::new(RwLock::new(())), Arc::new(Notify::new()));
        let turns = Turns::default();
        let watch = Watch { path: path.to_owned(), file, limits, gate: Arc::clone(&gate), turns: turns.clone() };
        let mut watching = JoinSet::new();
        let stopped = Arc::clone(&stop);
        watching.spawn(async move { while supervised::run("journal", watch.run(&stopped)).await.is_none() {} });
        Self { gate, turns, stop, watching: Mutex::new(watching) }
    }

    /// For a writer that leaves no pauses.
    pub(super) fn turns(&self) -> Turns {
        self.turns.clone()
    }

    /// Waits while the file is being cut.
    pub async fn snapshot(&self) -> Snapshot {
        Snapshot(Arc::clone(&self.gate).read_owned().await)
    }

    /// Watches no longer; a cut under way comes to its end first.
    pub async fn close(&self) {
        self.stop.notify_one();
        while self.watching.lock().await.join_next().await.is_some() {}
    }
}

struct Watch {
    path: PathBuf,
    file: &'static str,
    limits: JournalLimits,
    gate: Arc<RwLock<()>>,
    turns: Turns,
}

impl Watch {
    async fn run(&self, stop: &Notify) {
        let mut pause = LOOK_INTERVAL;
        loop {
            tokio::select! {
                () = stop.notified() => break,
                () = sleep(pause) => {}
            }
            pause = LOOK_INTERVAL;
            if self.bytes() <= self.limits.wal_bytes_max {
                continue;
            }
            // Most of the work needs nobody to wait.
            if let Err(error) = self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await {
                tracing::debug!(%error, file = %self.path.display(), "a write-ahead log could not be brought in");
            }
            let alone = tokio::select! {
                () = stop.notified() => break,
                alone = timeout(self.limits.wal_wait, self.gate.write()) => alone,
            };
            let cut = match alone {
                Ok(_alone) => {
                    let _turn = self.turns.take().await;
                    self.cut().await
                }
                Err(_) => Err("it is being read for too long".into()),
            };
            match cut {
                Ok(()) => counter!("dealog_wal_truncations_total", "file" => self.file).increment(1),
                Err(reason) => {
                    let (file, bytes) = (self.path.display(), self.bytes());
                    tracing::warn!(%file, bytes, reason, "a write-ahead log is above its limit and cannot be cut yet");
                    pause = RETRY_PAUSE;
                }
            }
        }
        gauge!("dealog_wal_bytes", "file" => self.file).set(0.0);
    }

    fn bytes(&self) -> u64 {
        let mut journal = self.path.clone().into_os_string();
        journal.push("-wal");
        let bytes = std::fs::metadata(journal).map_or(0, |file| file.len());
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        gauge!("dealog_wal_bytes", "file" => self.file).set(bytes as f64);
        bytes
    }

    async fn cut(&self) -> Result<(), String> {
        match self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)").await {
            Ok(true) => Ok(()),
            Ok(false) => Err("another connection is reading from it".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether nobody was in the way. A connection for each time: this is rare, and one that stays open would remember pages.
    async fn checkpoint(&self, how: &'static str) -> Result<bool, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(&self.path).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        let (busy, ..): (i64, i64, i64) = sqlx::query_as(how).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(busy == 0)
    }
}
