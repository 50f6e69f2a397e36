//! Processes that end between one instruction and the next.

use std::process::Stdio;

use tokio::time::{sleep, timeout};

use super::Run;
use crate::{broken::Result, place::Faults};

/// Long enough for a rebuild to come anywhere, and for a server to come up.
const MOMENTS_MS_MAX: u64 = 400;

/// So small batches that a build of a small log takes many.
const BATCH: (&str, &str) = ("DEALOG_LIMITS__PROJECTION_BUILD_EVENTS_MAX", "100");

pub(super) async fn servers(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(1, 3) {
        let index = run.chance.within(0, run.cluster.len() as u64 - 1);
        run.cluster.kill(usize::try_from(index)?).await?;
        sleep(run.chance.pause(50)).await;
        run.cluster.start(run.nodes, &Faults::none()).await?;
        run.goes_on(1, 80).await?;
    }
    Ok(())
}

/// Beside a server that is up, or without one; and then it may be that the read models are gone and each start makes them anew.
pub(super) async fn starts(run: &mut Run) -> Result<()> {
    if run.chance.percent(60) {
        run.cluster.kill_all().await?;
        if run.chance.percent(60) {
            run.cluster.place.remove_read_models().await?;
        }
    }
    for _ in 0..run.chance.within(2, 5) {
        let mut node = run.cluster.spawn(9, &Faults::none().with(BATCH.0, BATCH.1))?;
        sleep(run.chance.pause(MOMENTS_MS_MAX)).await;
        node.kill().await?;
    }
    run.cluster.start(run.nodes, &Faults::none()).await
}

pub(super) async fn rebuilds(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(2, 4) {
        let faults = Faults::none().with(BATCH.0, BATCH.1);
        let points = ["build-before-swap", "swap-before-commit", "swap-after-commit"];
        let faults = match run.chance.pick(&points) {
            Some(point) if run.chance.percent(60) => faults.with("FAILPOINTS", format!("{point}=return(abort)")),
            _ => faults,
        };
        let mut rebuild =
            run.cluster.place.dealog(&["rebuild"], &faults).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // It is over by then, or is killed.
        let _ = timeout(run.chance.pause(2 * MOMENTS_MS_MAX), rebuild.wait()).await;
        rebuild.kill().await?;
    }
    run.cluster.place.succeed(&["rebuild"]).await?;
    Ok(())
}
