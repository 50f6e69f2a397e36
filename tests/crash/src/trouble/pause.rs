//! A server that stands still for longer than its lease, and then goes on as if nothing had been.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Run;
use crate::{
    broken::{Result, When as _},
    place::LEASE_MS,
};

/// By so much longer at most.
const MORE_MS_MAX: u64 = 1_500;

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(1, 2) {
        let index = usize::from(run.chance.percent(50));
        let pause = Duration::from_millis(LEASE_MS) + run.chance.pause(MORE_MS_MAX);
        let begun = Instant::now();
        run.cluster.pause(index)?;
        // In files it may stand still with the lock on the log, which nobody takes from it.
        if run.cluster.place.postgres.is_some() {
            run.goes_on(20, 60).await.when("beside a server that stands still")?;
            run.is_read().await.when("beside a server that stands still")?;
        }
        sleep(pause.saturating_sub(begun.elapsed())).await;
        run.cluster.resume(index)?;
        run.goes_on(10, 40).await.when("at a server that stood still")?;
        run.is_read().await.when("at a server that stood still")?;
        run.cluster.tell();
        run.goes_on(1, 40).await?;
    }
    Ok(())
}
