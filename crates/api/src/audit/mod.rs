//! The audit log: who was refused what, and who read data about people.
//!
//! It is a file of JSON lines, which auditors read through the API. A thread writes it from a bounded queue, so a slow disk does
//! not hold up requests. If an entry cannot be written, health and a metric say so; if the audit log is `required`, the server
//! then answers nothing about people.

mod counts;
mod file;
mod personal;

use std::{
    fmt::Display,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request},
    http::StatusCode,
};
use dealog_events::{Actor, Timestamp};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tower_http::request_id::RequestId;
use utoipa::ToSchema;

pub(crate) use self::personal::{Personal, Read};
use self::{
    counts::{Counted, Counts},
    file::{Bounds, File},
};
use crate::{Limits, problem::Problem};

/// Bytes that are kept of anything that comes from a request.
const TEXT_BYTES_MAX: usize = 256;
/// What was read lately and by whom: so much of it is remembered.
const READ_MAX: u64 = 10_000;
/// Entries that are written at once.
const BATCH_MAX: usize = 256;
/// For how long a read of the same by the same caller is written down once.
const MINUTE: Duration = Duration::from_mins(1);
/// How long a request waits for its entry to be written where that is required.
const WRITTEN: Duration = Duration::from_secs(5);

/// Whether there is an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// There is; if it cannot be written, requests are answered all the same.
    On,
    /// There is; if it cannot be written, nothing about people is answered.
    Required,
    /// There is none.
    Off,
}

/// Why something is in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// The request was refused.
    Refused,
    /// The answer may hold personal data.
    PersonalData,
    /// The only admin changed their own role or deactivated themselves.
    OnlyAdmin,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct Entry {
    /// Its number in this server's audit log; numbers only grow.
    pub(crate) number: u64,
    /// When.
    pub(crate) at: Timestamp,
    /// Why it is here.
    pub(crate) why: Why,
    /// Who asked; null where that is not known.
    #[schema(value_type = Option<String>)]
    pub(crate) actor: Option<Actor>,
    /// From where.
    #[schema(value_type = Option<String>)]
    pub(crate) address: Option<IpAddr>,
    /// The method; `other` where it is none that the server knows.
    pub(crate) method: String,
    /// The route, such as `/v1/users/{id}`.
    pub(crate) route: String,
    /// The path, cut off after 256 bytes.
    pub(crate) path: String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The request's id, as in the server's log, cut off after 256 bytes.
    pub(crate) request_id: String,
    /// Whether any more of this caller's within the minute are written down as one entry, when it is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) more: bool,
    /// How many requests this entry stands for; it names the last of them. 1 if absent.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) requests: u64,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(requests: &u64) -> bool {
    *requests == 1
}

/// What is known of a request before it is carried out.
#[derive(Debug, Clone)]
pub(crate) struct About {
    address: Option<IpAddr>,
    method: &'static str,
    route: String,
    path: String,
    request_id: String,
}

impl About {
    pub(crate) fn of(request: &Request, address: Option<IpAddr>) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
        let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = known.into_iter().find(|known| *known == request.method().as_str()).unwrap_or("other");
        Self { address, method, route, path: cut(request.uri().path()), request_id: cut(id.unwrap_or_default()) }
    }
}

/// As much of a text as is kept.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default().to_owned()
}

/// The audit log of this server. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    mode: Mode,
    queue: mpsc::Sender<Job>,
    trouble: Arc<Mutex<Option<String>>>,
    counts: Counts,
    /// What was read in this minute: a caller who follows the log by asking every second is written down once.
    read: Cache<(Actor, Read), ()>,
    folder: Arc<Path>,
    bounds: Bounds,
}

/// What the thread is asked to do; it answers whether all up to there is written.
struct Job {
    entry: Option<Entry>,
    written: Option<oneshot::Sender<bool>>,
}

impl Audit {
    /// The audit log in this folder, and the thread that writes it. Files are made with the first entry.
    pub fn start(mode: Mode, folder: PathBuf, limits: &Limits) -> std::io::Result<Self> {
        let bounds = Bounds { file_bytes_max: limits.audit_file_bytes_max, files_max: limits.audit_files_max };
        let (queue, jobs) = mpsc::channel(limits.audit_queue_max.max(1));
        let trouble = Arc::new(Mutex::new(None));
        let writer = Writer {
            file: File::new(folder.clone(), bounds),
            trouble: Arc::clone(&trouble),
            sync: mode == Mode::Required,
        };
        if mode != Mode::Off {
            std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(jobs))?;
        }
        let read = Cache::builder().max_capacity(READ_MAX).time_to_live(MINUTE).build();
        Ok(Self { mode, queue, trouble, counts: Counts::default(), read, folder: folder.into(), bounds })
    }

    /// Why entries are not written, where they are not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes down what an answer makes worth it: that it is a refusal, or tells about people what `read` says.
    pub(crate) async fn answered(
        &self,
        about: &About,
        at: Timestamp,
        actor: Option<Actor>,
        read: Option<Read>,
        status: StatusCode,
    ) -> Result<(), Problem> {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
        if refused.contains(&status) {
            if let Some(entry) = self.counted(entry(about, at, Why::Refused, actor, status)) {
                self.send(Job { entry: Some(entry), written: None });
            }
        } else if let (true, Some(read), Some(actor)) = (status.is_success(), read, actor) {
            let read = (actor, read);
            if !self.read.contains_key(&read) {
                let entry = entry(about, at, Why::PersonalData, Some(actor), status);
                // Nothing is told that is not written down first, however much a caller reads.
                let entry = if self.mode == Mode::Required { Some(entry) } else { self.counted(entry) };
                if let Some(entry) = entry {
                    self.written(entry).await?;
                }
                self.read.insert(read, ());
            }
        }
        Ok(())
    }

    /// The entry, or none if this caller has had too many in this minute: a single entry stands for the rest.
    fn counted(&self, entry: Entry) -> Option<Entry> {
        match self.counts.count(entry) {
            Counted::Write(entry) => return Some(entry),
            Counted::WriteAt(minute_ends, key) => {
                let audit = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep_until(minute_ends).await;
                    if let Some(entry) = audit.counts.rest(key) {
                        audit.send(Job { entry: Some(entry), written: None });
                    }
                });
            }
            Counted::Added => {}
        }
        None
    }

    /// Writes down something that was done. Where the audit log is required and this cannot be written, it is a problem.
    pub(crate) async fn done(
        &self,
        about: &About,
        at: Timestamp,
        why: Why,
        actor: Actor,
        status: StatusCode,
    ) -> Result<(), Problem> {
        self.written(entry(about, at, why, Some(actor), status)).await
    }

    async fn written(&self, entry: Entry) -> Result<(), Problem> {
        let entry = Some(entry);
        if self.mode != Mode::Required {
            self.send(Job { entry, written: None });
            return Ok(());
        }
        let (written, told) = oneshot::channel();
        self.send(Job { entry, written: Some(written) });
        if let Ok(Ok(true)) = tokio::time::timeout(WRITTEN, told).await {
            return Ok(());
        }
        let detail = "the audit log cannot be written, and without it nothing about people is told: try again later";
        Err(Problem::busy("audit_unavailable", detail))
    }

    fn send(&self, job: Job) {
        if self.mode != Mode::Off && self.queue.try_send(job).is_err() {
            self.lost(&"its queue is full", 1);
        }
    }

    fn lost(&self, reason: &dyn Display, entries: u64) {
        lost(&self.trouble, reason, entries);
    }

    /// Writes down what is still counted, and waits until all is written: before the process ends.
    pub async fn finish(&self) {
        for entry in self.counts.all_rests() {
            self.send(Job { entry: Some(entry), written: None });
        }
        self.flush().await;
    }

    /// Waits until all is written that was sent before, for as long as an entry may take.
    async fn flush(&self) {
        let (written, told) = oneshot::channel();
        if self.mode != Mode::Off && self.queue.send(Job { entry: None, written: Some(written) }).await.is_ok() {
            let _ = tokio::time::timeout(WRITTEN, told).await;
        }
    }

    /// The entries after this number, the oldest first, at most `limit`.
    pub(crate) async fn read(&self, after: u64, limit: usize) -> Result<Vec<Entry>, Problem> {
        self.flush().await;
        let (folder, bounds) = (Arc::clone(&self.folder), self.bounds);
        let read = tokio::task::spawn_blocking(move || file::read(&folder, bounds, after, limit));
        match read.await {
            Ok(Ok(entries)) => Ok(entries),
            Ok(Err(error)) => Err(Problem::internal(&error)),
            Err(error) => Err(Problem::internal(&error)),
        }
    }
}

fn entry(about: &About, at: Timestamp, why: Why, actor: Option<Actor>, status: StatusCode) -> Entry {
    let About { address, method, route, path, request_id } = about.clone();
    let (method, status) = (method.to_owned(), status.as_u16());
    let (number, more, requests) = (0, false, 1);
    Entry { number, at, why, actor, address, method, route, path, status, request_id, more, requests }
}

/// Says in health and metrics that entries were lost; in the log only when that begins.
fn lost(trouble: &Mutex<Option<String>>, reason: &dyn Display, entries: u64) {
    metrics::counter!("dealog_audit_lost_total").increment(entries);
    metrics::gauge!("dealog_audit_failing").set(1);
    let found = trouble.lock().unwrap_or_else(PoisonError::into_inner).replace(reason.to_string());
    if found.is_none() {
        tracing::error!(%reason, "the audit log cannot be written");
    }
}

struct Writer {
    file: File,
    trouble: Arc<Mutex<Option<String>>>,
    sync: bool,
}

impl Writer {
    /// Writes what is queued until nobody is left who could queue more.
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = vec![first];
            while let (true, Ok(job)) = (batch.len() < BATCH_MAX, jobs.try_recv()) {
                batch.push(job);
            }
            let entries: Vec<Entry> = batch.iter_mut().filter_map(|job| job.entry.take()).collect();
            let count = entries.len() as u64;
            let written = self.file.write(entries, self.sync);
            match &written {
                Ok(()) if count > 0 => {
                    metrics::gauge!("dealog_audit_failing").set(0);
                    *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                Ok(()) => {}
                Err(error) => lost(&self.trouble, &format!("{}: {error}", self.file.name()), count),
            }
            for told in batch.into_iter().filter_map(|job| job.written) {
                let _ = told.send(written.is_ok());
            }
        }
    }
}

#[cfg(test)]
mod tests;
