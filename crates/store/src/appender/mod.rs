//! Group commit: a bounded queue, and one task that empties it into transactions.
//!
//! While a commit is in flight, appends wait; then all that wait go into the next transaction together. There is no timer:
//! batches form by themselves under load, and a lone append is not delayed. A caller is answered after the commit has
//! returned. Where the database failed at the commit, the batch's command ids are looked up before anyone is answered.
//!
//! The back ends differ only in how a batch is written, so they share this task and give it a [`Writer`].

mod meters;
#[cfg(test)]
mod tests;
mod trial;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_events::{CommandId, Position};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

pub use self::trial::Unable;
use self::{
    meters::Meters,
    trial::{Trial, Tries},
};
use crate::{
    Append, AppendError, Appended, Limits, Remembered, StoreError, failpoints, judge, supervised, trust::Trust,
};

/// Bytes of data that go into one transaction, so that a batch of large events stays far below what a database takes in
/// one statement. An append that is larger by itself goes alone.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How often the log is asked what became of a commit that failed.
const RESOLVE_ATTEMPTS_MAX: u32 = 6;

/// The pause after the first of these attempts; it doubles with each.
const RESOLVE_PAUSE_MIN: Duration = Duration::from_millis(50);

type Outcome = Result<Appended, AppendError>;

/// A connection that may write. It survives every error: what is broken is opened again by the next call.
pub(crate) trait Writer: Send + 'static {
    /// Judges a batch and writes what is accepted, all in one transaction.
    fn write(&mut self, batch: &[Append]) -> impl Future<Output = Result<Written, WriteError>> + Send;

    /// What the log remembers of these commands.
    fn remembered(&mut self, ids: &[CommandId]) -> impl Future<Output = Result<Vec<Remembered>, StoreError>> + Send;

    /// Ends the connection in good order.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A batch after its commit has returned.
#[derive(Debug)]
pub(crate) struct Written {
    /// One for each append of the batch, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// The last position.
    pub(crate) position: Position,
}

/// A batch that the database failed on.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Before the commit was asked for: certainly nothing was written.
    NotWritten(StoreError),
    /// At the commit: it may have been written.
    InDoubt(StoreError),
}

impl<E: Into<StoreError>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self::NotWritten(error.into())
    }
}

struct Waiting {
    append: Append,
    answer: oneshot::Sender<Outcome>,
    queued: Instant,
}

/// The callers' end of the queue.
#[derive(Debug)]
pub(crate) struct Appender {
    queue: mpsc::Sender<Waiting>,
    closing: Arc<Notify>,
    position: watch::Receiver<Position>,
    trial: Trial,
    trust: Trust,
    limits: Limits,
}

impl Appender {
    /// Starts the task. It tells `publish` of what it commits, and may not be the only one who does. It writes nothing to a log
    /// that is not trusted any more.
    pub(crate) fn start(writer: impl Writer, publish: watch::Sender<Position>, trust: Trust, limits: Limits) -> Self {
        let (queue, waiting) = mpsc::channel(limits.queue_length_max.clamp(1, Semaphore::MAX_PERMITS));
        let position = publish.subscribe();
        let closing = Arc::new(Notify::new());
        let batch_appends_max = limits.batch_appends_max.max(1);
        let (meters, tries) = (Meters::new(), Tries::new());
        let trial = tries.trial();
        let task = Task { writer, publish, batch_appends_max, taken: Vec::new(), meters, tries, trust: trust.clone() };
        tokio::spawn(task.work(waiting, Arc::clone(&closing)));
        Self { queue, closing, position, trial, trust, limits }
    }

    /// Takes a place in the queue now; the future only waits for the answer.
    pub(crate) fn append(&self, append: Append) -> BoxFuture<'static, Outcome> {
        match self.enqueue(append) {
            Ok(answer) => answer.map(|answer| answer.unwrap_or_else(|_| Err(stopped()))).boxed(),
            Err(refused) => ready(Err(refused)).boxed(),
        }
    }

    fn enqueue(&self, append: Append) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        judge::check(&append, &self.limits)?;
        let (answer, receiver) = oneshot::channel();
        self.queue.try_send(Waiting { append, answer, queued: Instant::now() }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable("the log is closed"),
        })?;
        Ok(receiver)
    }

    /// Whether an append would be written now. Answers within two seconds.
    pub(crate) async fn can_append(&self) -> Result<(), Unable> {
        if let Some(place) = self.trust.damage() {
            return Err(Unable::Damaged(place.to_owned()));
        }
        match self.queue.capacity() {
            _ if self.queue.is_closed() => Err(Unable::Closed),
            0 => Err(Unable::Overloaded),
            _ => self.trial.outcome().await,
        }
    }

    /// The last position that this process committed.
    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }

    /// Takes no more appends, and returns when those that wait have been answered and the connection is closed.
    pub(crate) async fn close(&self) {
        self.closing.notify_one();
        // The task owns the sender: it is gone when the task has ended.
        let mut position = self.position.clone();
        while position.changed().await.is_ok() {}
    }
}

/// The task has failed with the append in its hands, or has gone because the runtime is shutting down.
fn stopped() -> AppendError {
    AppendError::InDoubt("the log failed or was stopped")
}

struct Task<W> {
    writer: W,
    publish: watch::Sender<Position>,
    batch_appends_max: usize,
    /// Taken out of the queue, and not written yet.
    taken: Vec<Waiting>,
    meters: Meters,
    tries: Tries,
    trust: Trust,
}

impl<W: Writer> Task<W> {
    /// All commands to come depend on this: where it fails, the batch in hand is in doubt, and the rest of the queue goes on.
    async fn work(mut self, mut queue: mpsc::Receiver<Waiting>, closing: Arc<Notify>) {
        while supervised::run("appender", self.run(&mut queue, &closing)).await.is_none() {}
        self.writer.close().await;
    }

    /// Returns when the queue is closed and empty.
    async fn run(&mut self, queue: &mut mpsc::Receiver<Waiting>, closing: &Notify) {
        loop {
            while !self.taken.is_empty() {
                let rest = self.taken.split_off(batch_length(&self.taken));
                self.meters.taken(self.taken.len(), rest.len() + queue.len());
                let batch = std::mem::replace(&mut self.taken, rest);
                self.commit(batch).await;
            }
            // Those just answered may have more to append: let them run first, or under load they would always find a
            // commit of half their number in flight. Where nobody is ready to run this costs nothing.
            tokio::task::yield_now().await;
            tokio::select! {
                taken = queue.recv_many(&mut self.taken, self.batch_appends_max) => if taken == 0 { break },
                () = closing.notified() => queue.close(),
                () = self.tries.wanted() => self.write_nothing().await,
            }
        }
    }

    /// Does what an append does, up to a commit that waits for the disk, with nothing to append.
    async fn write_nothing(&mut self) {
        let outcome = match self.trust.check() {
            Ok(()) => self.trust.judge("its end", self.writer.remembered(&[]).await),
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            tracing::warn!(%error, "the log cannot be written");
        }
        self.tries.tried(outcome.as_ref().map(drop));
    }

    async fn commit(&mut self, batch: Vec<Waiting>) {
        let (batch, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.append, (w.answer, w.queued))).unzip();
        let began = Instant::now();
        let _ = failpoints::pass("appender");
        let written = self.write(&batch).await;
        self.meters.committed(began);
        let outcomes = match written {
            Ok(written) => {
                publish(&self.publish, written.position);
                // A batch of which nothing was accepted has written nothing.
                if written.outcomes.iter().any(|outcome| outcome.as_ref().is_ok_and(|appended| !appended.replayed)) {
                    self.tries.tried(Ok(()));
                }
                written.outcomes
            }
            Err(WriteError::NotWritten(error)) => {
                self.tries.tried(Err(&error));
                tracing::error!(%error, appends = batch.len(), "a batch could not be written");
                batch.iter().map(|_| Err(not_written(&error))).collect()
            }
            Err(WriteError::InDoubt(error)) => {
                self.tries.tried(Err(&error));
                self.resolve(&batch, &error).await
            }
        };
        for ((answer, queued), outcome) in answers.into_iter().zip(outcomes) {
            self.meters.answered(queued, &outcome);
            // Who no longer waits for the answer has appended all the same.
            let _ = answer.send(outcome);
        }
    }

    /// A panic is a commit without an answer. It must not end this task, which all commands to come depend on.
    async fn write(&mut self, batch: &[Append]) -> Result<Written, WriteError> {
        self.trust.check()?;
        let written = AssertUnwindSafe(self.writer.write(batch)).catch_unwind().await;
        let written = written.unwrap_or_else(|_| Err(WriteError::InDoubt(sqlx::Error::WorkerCrashed.into())));
        written.map_err(|error| match error {
            WriteError::NotWritten(error) => WriteError::NotWritten(self.trust.learn("its end", error)),
            WriteError::InDoubt(error) => WriteError::InDoubt(self.trust.learn("its end", error)),
        })
    }

    /// The commit failed. What is found in the log was written, the rest was not.
    async fn resolve(&mut self, batch: &[Append], error: &StoreError) -> Vec<Outcome> {
        tracing::error!(%error, appends = batch.len(), "a commit failed; its commands are looked up");
        let ids: Vec<_> = batch.iter().map(|append| append.command_id).collect();
        match self.look_up(&ids).await {
            Ok(found) => {
                publish(&self.publish, found.iter().map(|first| first.outcome.position).max().unwrap_or_default());
                told(batch, &found, error)
            }
            Err(second) => {
                tracing::error!(error = %second, "what became of a commit is not known");
                batch.iter().map(|_| Err(AppendError::InDoubt(second.in_words()))).collect()
            }
        }
    }

    async fn look_up(&mut self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        let mut pause = RESOLVE_PAUSE_MIN;
        for _ in 1..RESOLVE_ATTEMPTS_MAX {
            match self.writer.remembered(ids).await {
                Ok(found) => return Ok(found),
                Err(error) => tracing::warn!(%error, "what became of a commit cannot be told yet"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.writer.remembered(ids).await
    }
}

/// What an append is told that was certainly not written.
fn not_written(error: &StoreError) -> AppendError {
    match error {
        error if error.is_damage() => AppendError::Damaged(error.in_words()),
        error => AppendError::Unavailable(error.in_words()),
    }
}

/// Wakes who follows the log, if it has grown beyond what they know.
pub(crate) fn publish(positions: &watch::Sender<Position>, position: Position) {
    positions.send_if_modified(|last| {
        let grown = position > *last;
        *last = position.max(*last);
        grown
    });
}

/// How many of those that wait go into the next transaction: at least one.
fn batch_length(waiting: &[Waiting]) -> usize {
    let mut bytes = 0;
    let fits = waiting.iter().take_while(|waiting| {
        bytes += waiting.append.events.iter().map(|event| event.data.len()).sum::<usize>();
        bytes <= BATCH_BYTES_MAX
    });
    fits.count().max(1)
}

/// The outcomes of a batch by what the log remembers: the first append of a command is the one that was written.
fn told(batch: &[Append], found: &[Remembered], error: &StoreError) -> Vec<Outcome> {
    let mut found: HashMap<_, _> = found.iter().map(|first| (first.command_id, (*first, false))).collect();
    let tell = |append: &Append| {
        let Some((first, told)) = found.get_mut(&append.command_id) else {
            return Err(AppendError::Unavailable(error.in_words()));
        };
        let outcome = judge::replay(first, append)?;
        Ok(Appended { replayed: std::mem::replace(told, true), looked_up: true, ..outcome })
    };
    batch.iter().map(tell).collect()
}
