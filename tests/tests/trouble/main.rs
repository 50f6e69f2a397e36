//! What goes wrong in the world: a process that is killed, a build that is interrupted, an event that nobody can read. What was acknowledged is there, what is asked is answered rightly or not at all, and whoever looks is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod backup;
#[cfg(target_os = "linux")]
mod clocks;
mod damage;
mod failing_tasks;
mod poison;
mod readiness;
mod rebuilding;
mod unheard;
mod upgrade;

use dealog_tests::Data;

/// Folds one event at a time, so that a build takes long enough to be met on its way; and does not wait for it.
fn slowly(data: &Data) {
    data.set("[limits]\nprojection_batch_events_max = 1\nprojection_build_events_max = 1\nmin_position_wait_ms = 0\n");
}

fn as_usual(data: &Data) {
    data.set("");
}
