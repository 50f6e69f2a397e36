//! Those who work while others misuse the server: a seller, an analyst and a subscriber. What they wait is measured, and
//! whatever does not work for them is a failure.

mod analyst;
mod seller;
mod subscriber;

use std::{
    collections::HashMap,
    mem,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    broken::{Broken, Result},
    company::Callers,
    connection::{Answer, Connection},
    measure::Latencies,
};

/// Where they all call from.
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The pause before someone whose connection failed opens another.
const PAUSE: Duration = Duration::from_millis(100);
/// How long they wait for an answer at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Failures that are kept word for word; beyond it they are counted.
const FAILURES_MAX: usize = 10;

/// What they saw in a phase.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) seller: Latencies,
    pub(crate) analyst: Latencies,
    /// From sending a command to the delivery of its event.
    pub(crate) subscriber: Latencies,
    pub(crate) failures: Vec<String>,
    pub(crate) failures_more: usize,
}

/// What they have seen since it was last asked, shared by all of them.
#[derive(Default)]
pub(crate) struct Diary {
    seen: Mutex<Seen>,
    /// When the commands were sent whose events have not been delivered yet, by position.
    sent: Mutex<HashMap<u64, Instant>>,
    /// Events that were delivered before their command was answered.
    early: Mutex<HashMap<u64, Instant>>,
}

impl Diary {
    /// All since it was last asked.
    pub(crate) fn take(&self) -> Seen {
        mem::take(&mut *lock(&self.seen))
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut lock(&self.seen));
    }

    fn failed(&self, who: &str, Broken(what): &Broken) {
        self.note(|seen| {
            if seen.failures.len() < FAILURES_MAX {
                seen.failures.push(format!("{who}: {what}"));
            } else {
                seen.failures_more += 1;
            }
        });
    }

    /// A command that was sent then came to this position.
    fn commanded(&self, position: u64, sent: Instant) {
        let early = lock(&self.early).remove(&position);
        match early {
            Some(delivered) => self.note(|seen| seen.subscriber.add(delivered.saturating_duration_since(sent))),
            None => drop(lock(&self.sent).insert(position, sent)),
        }
    }

    /// The event at this position was delivered now.
    fn delivered(&self, position: u64) {
        let now = Instant::now();
        let sent = lock(&self.sent).remove(&position);
        match sent {
            Some(sent) => self.note(|seen| seen.subscriber.add(now - sent)),
            None => drop(lock(&self.early).insert(position, now)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts all of them. They work until this is dropped.
pub(crate) fn start(callers: &Callers, diary: &Arc<Diary>) -> JoinSet<()> {
    let mut working = JoinSet::new();
    working.spawn(seller::work(callers.clone(), Arc::clone(diary)));
    working.spawn(analyst::work(callers.clone(), Arc::clone(diary)));
    working.spawn(subscriber::work(callers.clone(), Arc::clone(diary)));
    working
}

/// A connection that is opened again whenever it fails.
struct Desk {
    who: &'static str,
    callers: Callers,
    diary: Arc<Diary>,
    connection: Option<Connection>,
}

impl Desk {
    fn new(who: &'static str, callers: Callers, diary: Arc<Diary>) -> Self {
        Self { who, callers, diary, connection: None }
    }

    /// Asks and notes how long it took. None where it was not answered well, which is noted too.
    async fn ask(&mut self, request: &[u8], note: impl FnOnce(&mut Seen, Duration)) -> Option<(Answer, Instant)> {
        let sent = Instant::now();
        match self.try_ask(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                let took = sent.elapsed();
                self.diary.note(|seen| note(seen, took));
                Some((answer, sent))
            }
            Ok(answer) => {
                let (line, body) = (first_line(request), String::from_utf8_lossy(&answer.body).into_owned());
                self.diary.failed(self.who, &Broken(format!("{line}: {} {body}", answer.status)));
                None
            }
            Err(Broken(what)) => {
                self.connection = None;
                self.diary.failed(self.who, &Broken(format!("{}: {what}", first_line(request))));
                sleep(PAUSE).await;
                None
            }
        }
    }

    async fn try_ask(&mut self, request: &[u8]) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(FROM, self.callers.address).await?,
        };
        let answer = timeout(PATIENCE, connection.ask(request)).await;
        let answer = answer.map_err(|_| Broken(format!("no answer for {} s", PATIENCE.as_secs())))??;
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn first_line(request: &[u8]) -> String {
    String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned()
}
