//! A disk that is full, or broken, for a while.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use crate::{broken::Result, place::Faults, shim::Control};

const EIO: i64 = 5;
const ENOSPC: i64 = 28;

/// How long PostgreSQL's disk stays broken.
const BROKEN_MS_MAX: u64 = 700;

/// The files of the log fail, or those of the read models; with PostgreSQL its journal.
pub(super) async fn faults(run: &mut Run) -> Result<Faults> {
    // The clock may still be where it was made to jump to: servers lived with that, and the programs of PostgreSQL would not.
    run.shim()?.set(Control::default())?;
    if let Some(database) = &run.cluster.place.clone().postgres {
        let server = &database.server;
        let faults = run.shim()?.faults("/pg_wal/");
        server.stop().await?;
        server.start(&faults).await?;
        return Ok(Faults::none());
    }
    of_files(run)
}

fn of_files(run: &mut Run) -> Result<Faults> {
    let file = if run.chance.percent(70) { "/data/log.db" } else { "/data/views.db" };
    Ok(run.shim()?.faults(file))
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let given_up = run.chance.percent(30);
    for _ in 0..run.chance.within(1, 3) {
        let calls = run.chance.within(1, 20);
        fail(run, if given_up { u64::MAX >> 1 } else { calls })?;
        if given_up {
            // It fails until somebody ends the servers, with commits of which nobody knows what the disk has of them.
            sleep(run.chance.pause(BROKEN_MS_MAX)).await;
            run.cluster.kill_all().await?;
            run.shim()?.set(Control::default())?;
        }
        if run.cluster.place.postgres.is_some() {
            postgres_recovers(run).await?;
        }
        if given_up {
            let faults = if run.cluster.place.postgres.is_some() { Faults::none() } else { of_files(run)? };
            run.cluster.start(run.nodes, &faults).await?;
        }
        // It has failed often enough when commands go on.
        run.goes_on(10, 80).await?;
    }
    run.shim()?.set(Control::default())?;
    match &run.cluster.place.postgres {
        // The next one finds its own server without a shim.
        Some(database) => {
            database.server.stop().await?;
            database.server.start(&Faults::none()).await
        }
        None => Ok(()),
    }
}

/// So many calls fail from now on, or after a few.
fn fail(run: &mut Run, calls: u64) -> Result<()> {
    let chance = &mut run.chance;
    let control = Control {
        error: if chance.percent(50) { EIO } else { ENOSPC },
        syncs: chance.percent(50),
        calls_before: i64::try_from(chance.within(0, 30))?,
        calls_failing: i64::try_from(calls)?,
        ..Control::default()
    };
    run.shim()?.set(control)
}

/// A server whose journal fails ends all that it does and recovers from what is there; where that fails too, it ends.
async fn postgres_recovers(run: &mut Run) -> Result<()> {
    let place = run.cluster.place.clone();
    sleep(run.chance.pause(BROKEN_MS_MAX) + Duration::from_millis(100)).await;
    let shim = run.shim()?;
    shim.set(Control::default())?;
    let faults = shim.faults("/pg_wal/");
    match &place.postgres {
        Some(database) => database.server.revive(&faults).await,
        None => Ok(()),
    }
}
