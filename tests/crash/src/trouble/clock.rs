//! A clock that jumps back and forth.

use super::Run;
use crate::{broken::Result, shim::Control};

/// By so much at most, in seconds.
const JUMP_SECONDS_MAX: u64 = 3 * 60 * 60;

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(2, 4) {
        let ahead = run.chance.within(0, 2 * JUMP_SECONDS_MAX);
        let seconds = i64::try_from(ahead)? - i64::try_from(JUMP_SECONDS_MAX)?;
        run.shim()?.set(Control { clock_offset_ns: seconds * 1_000_000_000, ..Control::default() })?;
        run.goes_on(10, 60).await?;
    }
    Ok(())
}
