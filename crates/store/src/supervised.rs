//! Tasks that others depend on.
//!
//! Such a task may end only when it has done its work. A panic in it is told, counted, and it begins again:
//!
//! ```ignore
//! tokio::spawn(async move { while supervised::run("the task", task.run()).await.is_none() {} });
//! ```
//!
//! What it had in hand is lost with the panic, so its state lives outside of the future that is given here, and must be sound
//! wherever that future stops.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;

/// How long a task rests after a panic: one that panics at once, over and over, must not use a processor up.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Says what the number of restarts means.
pub fn describe() {
    metrics::describe_counter!("dealog_task_restarts_total", "Tasks that panicked and were started again");
}

/// Does `work`. None where it panicked: then begin again.
pub async fn run<T>(task: &'static str, work: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => Some(done),
        Err(panic) => {
            metrics::counter!("dealog_task_restarts_total", "task" => task).increment(1);
            tracing::error!(task, reason = said(panic.as_ref()), "a task failed, and is started again");
            tokio::time::sleep(RESTART_PAUSE).await;
            None
        }
    }
}

/// What a panic says.
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
