//! A disk that is full, or broken, for a while.

use super::Run;
use crate::{broken::Result, place::Faults, shim::Control};

const EIO: i64 = 5;
const ENOSPC: i64 = 28;

/// The files that fail: those of the log or those of the read models; with PostgreSQL its journal.
pub(super) async fn faults(run: &mut Run) -> Result<Faults> {
    let file = if run.chance.percent(70) { "/data/log.db" } else { "/data/views.db" };
    Ok(run.shim()?.faults(file))
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(1, 3) {
        let chance = &mut run.chance;
        let control = Control {
            error: if chance.percent(50) { EIO } else { ENOSPC },
            syncs: chance.percent(50),
            calls_before: i64::try_from(chance.within(0, 30))?,
            calls_failing: i64::try_from(chance.within(1, 20))?,
            ..Control::default()
        };
        run.shim()?.set(control)?;
        // It has failed often enough when commands go on.
        run.goes_on(10, 80).await?;
    }
    run.shim()?.set(Control::default())
}
