//! Waiting for what will be, and not for ever.

use std::{
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `condition` gives something; fails with `what` where that takes longer than `bound`.
pub fn until<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < bound, "waited {bound:?} in vain: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// Waits until a process has ended.
pub fn exit_within(child: &mut Child, bound: Duration) -> ExitStatus {
    until(&format!("process {} should end", child.id()), bound, || child.try_wait().expect("the process is ours"))
}
