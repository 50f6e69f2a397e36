//! Nobody reads what servers log: the other end of standard error is gone, or does not take anything any more.

use super::Run;
use crate::{
    broken::{Result, When as _},
    node::Reading,
    place::{Faults, Stderr},
};

/// Enough to fill any pipe within a second.
const TALKATIVE: (&str, &str) = ("DEALOG_LOG", "trace,h2=off,hyper=off");

pub(super) fn faults() -> Faults {
    Faults { stderr: Stderr::Pipe, ..Faults::none() }.with(TALKATIVE.0, TALKATIVE.1)
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let reading = if run.chance.percent(50) { Reading::Gone } else { Reading::Stalled };
    run.cluster.read_logs(reading);
    run.goes_on(100, 300).await.when("while nobody reads the log")?;
    run.is_read().await.when("while nobody reads the log")
}
