//! The witness: what was asked for and when, what was answered and when, and the first bytes anybody saw of each event.
//!
//! All instants are of one monotonic clock, so that what came before what is certain.

use std::{
    collections::HashMap,
    io::Write as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    broken::{Broken, Result},
    client::Answer,
    deal::Deal,
    log::Written,
    workload::Command,
};

/// One sending of a command.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) called: Duration,
    pub(crate) returned: Duration,
    pub(crate) answer: Answer,
}

/// A command and each time it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) command: Command,
    pub(crate) calls: Vec<Call>,
}

/// A deal as a read model gave it to somebody who asked for no less than a position.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) stream: String,
    pub(crate) min_position: u64,
    pub(crate) returned: Duration,
    pub(crate) deal: Deal,
}

/// All of it.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    pub(crate) commands: Vec<Sent>,
    pub(crate) reads: Vec<Read>,
    /// The first bytes seen of each position.
    seen: HashMap<u64, String>,
    /// What was found wrong while it happened.
    broken: Vec<String>,
}

pub(crate) struct Witness {
    begun: Instant,
    history: Mutex<History>,
    acknowledged: watch::Sender<u64>,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), history: Mutex::default(), acknowledged: watch::Sender::new(0) }
    }

    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command is about to be sent for the first time. Its number stands for it from then on.
    pub(crate) fn sends(&self, command: Command) -> usize {
        let mut history = self.lock();
        history.commands.push(Sent { command, calls: Vec::new() });
        history.commands.len() - 1
    }

    pub(crate) fn hears(&self, command: usize, called: Duration, answer: Answer) {
        let acknowledged = matches!(answer, Answer::Done(_));
        let call = Call { called, returned: self.now(), answer };
        if let Some(sent) = self.lock().commands.get_mut(command) {
            sent.calls.push(call);
        }
        if acknowledged {
            self.acknowledged.send_modify(|acknowledged| *acknowledged += 1);
        }
    }

    pub(crate) fn reads(&self, read: Read) {
        self.lock().reads.push(read);
    }

    /// How often a read model answered.
    pub(crate) fn reads_len(&self) -> usize {
        self.lock().reads.len()
    }

    /// Somebody sees an event. What was seen once stays as it was.
    pub(crate) fn sees(&self, written: &Written, who: &str) {
        let (position, bytes) = (written.event.position, &written.bytes);
        let mut history = self.lock();
        let first = history.seen.entry(position).or_insert_with(|| bytes.clone());
        if first != bytes {
            let broken = format!("position {position} was first seen as {first}, and {who} sees {bytes}");
            history.broken.push(broken);
        }
    }

    /// The last position that anybody saw.
    pub(crate) fn last_seen(&self) -> u64 {
        self.lock().seen.keys().max().copied().unwrap_or(0)
    }

    pub(crate) fn broken(&self, what: String) {
        self.lock().broken.push(what);
    }

    /// Gives what was found wrong so far.
    pub(crate) fn check(&self) -> Result<()> {
        match self.lock().broken.first() {
            Some(broken) => Err(Broken(broken.clone())),
            None => Ok(()),
        }
    }

    /// The last position that anybody was told of as an answer to a command.
    pub(crate) fn last_acknowledged(&self) -> u64 {
        let history = self.lock();
        let calls = history.commands.iter().flat_map(|sent| &sent.calls);
        let positions = calls.filter_map(|call| match &call.answer {
            Answer::Done(done) => Some(done.position),
            _ => None,
        });
        positions.max().unwrap_or(0)
    }

    /// What was said since then to those who do not know what came of their commands.
    pub(crate) fn unanswered(&self, since: Duration) -> Vec<String> {
        let history = self.lock();
        let calls = history.commands.iter().flat_map(|sent| &sent.calls).filter(|call| call.called >= since);
        let unknown = calls.filter_map(|call| match &call.answer {
            Answer::Unknown(text) => Some(text.clone()),
            _ => None,
        });
        unknown.collect()
    }

    pub(crate) fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    pub(crate) fn history(&self) -> History {
        self.lock().clone()
    }

    /// Writes down what is known, for whoever looks for the reason.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let mut file = std::fs::File::create(file)?;
        let history = self.lock();
        for sent in &history.commands {
            writeln!(file, "{sent:?}")?;
        }
        for read in &history.reads {
            writeln!(file, "{read:?}")?;
        }
        Ok(())
    }
}
