//! Processes that end between one instruction and the next.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
};

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::Run;
use crate::{
    broken::{Result, ensure},
    place::Faults,
};

/// Long enough for a rebuild to come anywhere, and for a server to come up.
pub(super) const MOMENTS_MS_MAX: u64 = 400;

/// So small batches that a build of a small log takes many.
pub(super) const BATCH: (&str, &str) = ("DEALOG_LIMITS__PROJECTION_BUILD_EVENTS_MAX", "100");

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
        let points = ["build-before-swap", "swap-before-commit", "swap-after-commit"];
        let point = run.chance.pick(&points).copied().unwrap_or_default();
        let point = if run.chance.percent(60) { Some(point) } else { None };
        killed_rebuild(run, point).await?;
    }
    run.cluster.place.succeed(&["rebuild"]).await?;
    Ok(())
}

/// It ends well before it is killed, or at the point where it was to end, or by the kill; and never for a reason of its own.
async fn killed_rebuild(run: &mut Run, point: Option<&str>) -> Result<()> {
    let mut faults = Faults::none().with(BATCH.0, BATCH.1);
    if let Some(point) = point {
        faults = faults.with("FAILPOINTS", format!("{point}=return(abort)"));
    }
    let place = run.cluster.place.clone();
    let said = place.folder.join("rebuild.log");
    let mut rebuild = place.dealog(&["rebuild"], &faults);
    let mut rebuild = rebuild.stdout(Stdio::null()).stderr(File::create(&said)?).spawn()?;
    let moment = run.chance.pause(2 * MOMENTS_MS_MAX);
    let status = if let Ok(status) = timeout(moment, rebuild.wait()).await {
        status?
    } else {
        rebuild.start_kill()?;
        rebuild.wait().await?
    };
    let killed = status.signal() == Some(Signal::KILL.as_raw());
    let ended = match point {
        None => status.success(),
        Some(_) => status.signal() == Some(Signal::ABORT.as_raw()),
    };
    ensure!(
        killed || ended,
        "a rebuild that was to end {} ended with {status}: {}",
        point.map_or_else(|| "well".to_owned(), |point| format!("at {point}")),
        fs::read_to_string(&said)?
    );
    Ok(())
}
