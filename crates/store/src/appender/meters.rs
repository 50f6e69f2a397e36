//! What can be measured of appending. The handles are made once: looking one up for each append would cost more than it.

use std::time::Instant;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::Outcome;
use crate::AppendError;

pub(super) struct Meters {
    append_seconds: Histogram,
    commit_seconds: Histogram,
    batch_appends: Histogram,
    queue_length: Gauge,
    events: Counter,
    conflicts: Counter,
}

impl Meters {
    pub(super) fn new() -> Self {
        describe_histogram!("dealog_append_seconds", "From the queue to the answer, for each append");
        describe_histogram!("dealog_commit_seconds", "For each transaction of the log, with its commit");
        describe_histogram!("dealog_batch_appends", "Appends that shared a transaction");
        describe_gauge!("dealog_queue_length", "Appends that wait for a transaction");
        describe_counter!("dealog_events_total", "Events appended by this process");
        describe_counter!(
            "dealog_conflicts_total",
            "Appends to a stream that had grown meanwhile; most are decided again"
        );
        Self {
            append_seconds: histogram!("dealog_append_seconds"),
            commit_seconds: histogram!("dealog_commit_seconds"),
            batch_appends: histogram!("dealog_batch_appends"),
            queue_length: gauge!("dealog_queue_length"),
            events: counter!("dealog_events_total"),
            conflicts: counter!("dealog_conflicts_total"),
        }
    }

    /// A batch has been taken, and so many appends still wait.
    pub(super) fn taken(&self, batch: usize, left: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let [batch, left] = [batch as f64, left as f64];
        self.batch_appends.record(batch);
        self.queue_length.set(left);
    }

    /// A transaction that began then has ended, well or badly.
    pub(super) fn committed(&self, began: Instant) {
        self.commit_seconds.record(began.elapsed());
    }

    /// An append that has waited since then is being answered.
    pub(super) fn answered(&self, queued: Instant, outcome: &Outcome) {
        self.append_seconds.record(queued.elapsed());
        match outcome {
            Ok(appended) if !appended.replayed => self.events.increment(appended.events.into()),
            Err(AppendError::Conflict { .. }) => self.conflicts.increment(1),
            _ => {}
        }
    }
}
