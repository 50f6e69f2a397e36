//! Whether a command could be carried out now: what readiness is.
//!
//! Only a write tells. So the last one that this process made is the answer for a moment; after that the task that appends
//! takes the lock once more and writes nothing new, as it does to look a commit up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::error::DatabaseError;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::StoreError;

/// How long what the last write came to is an answer.
const RECENT_MAX: Duration = Duration::from_secs(1);

/// How long a write may take until the log counts as one that cannot be appended to.
const TRIAL_MAX: Duration = Duration::from_millis(1_500);

/// Why nothing could be appended now, in words for whoever asks about the server's health. The database's own are in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// The log is being closed.
    #[error("the log is closed")]
    Closed,
    /// The queue is full.
    #[error("too many commands wait for a commit")]
    Overloaded,
    /// There is no room.
    #[error("the disk of the log is full: make room")]
    DiskFull,
    /// The disk fails otherwise.
    #[error("the disk of the log cannot be written")]
    Disk,
    /// Another process holds the lock that appends need.
    #[error("another process keeps the log locked")]
    Locked,
    /// The database, or the way to it.
    #[error("the log's database cannot be reached")]
    Away,
    /// A write is under way and does not come to an end.
    #[error("the log does not come to write")]
    Silent,
    /// Damage was found, here.
    #[error("the log is damaged ({0}): nothing is appended to it, and the server's log says what to do")]
    Damaged(String),
    /// Anything else.
    #[error("the log's database refuses to be written: the server's log says why")]
    Refused,
}

impl Unable {
    /// By the codes of SQLite (numbers, with details above the lowest byte) and of PostgreSQL (five characters).
    fn of(error: &StoreError) -> Self {
        let StoreError::Database(source) = error else {
            return if error.is_away() { Self::Away } else { Self::Refused };
        };
        let code = source.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
        let sqlite = code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff);
        match (sqlite, &*code) {
            (Some(13), _) | (_, "53100") => Self::DiskFull,
            (Some(10), _) | (_, "58030") => Self::Disk,
            (Some(5 | 6), _) | (_, "55P03") => Self::Locked,
            _ if error.is_away() => Self::Away,
            _ => Self::Refused,
        }
    }
}

/// What a write came to, and when.
#[derive(Debug, Clone)]
struct Tried {
    at: Instant,
    outcome: Result<(), Unable>,
}

/// The end of the task that appends.
#[derive(Debug)]
pub(super) struct Tries {
    last: watch::Sender<Option<Tried>>,
    wanted: Arc<Notify>,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self { last: watch::Sender::new(None), wanted: Arc::default() }
    }

    pub(super) fn trial(&self) -> Trial {
        Trial { last: self.last.subscribe(), wanted: Arc::clone(&self.wanted) }
    }

    /// Somebody wants to know.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A write has ended.
    pub(super) fn tried(&self, outcome: Result<(), &StoreError>) {
        let outcome = outcome.map_err(Unable::of);
        self.last.send_replace(Some(Tried { at: Instant::now(), outcome }));
    }
}

/// The end of those who ask.
#[derive(Debug)]
pub(super) struct Trial {
    last: watch::Receiver<Option<Tried>>,
    wanted: Arc<Notify>,
}

impl Trial {
    /// What the last write came to, or a new one. However many ask at once, there is one.
    pub(super) async fn outcome(&self) -> Result<(), Unable> {
        let asked = Instant::now();
        let is_recent =
            |last: &Option<Tried>| last.as_ref().is_some_and(|last| asked.duration_since(last.at) < RECENT_MAX);
        let mut last = self.last.clone();
        if !is_recent(&last.borrow()) {
            self.wanted.notify_one();
        }
        match timeout(TRIAL_MAX, last.wait_for(is_recent)).await {
            Ok(Ok(last)) => last.as_ref().map_or(Err(Unable::Silent), |last| last.outcome.clone()),
            Ok(Err(_)) => Err(Unable::Closed),
            Err(_) => Err(Unable::Silent),
        }
    }
}
