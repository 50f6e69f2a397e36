//! A server that breaks at a place where it hurts most.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Run;
use crate::{
    broken::{Broken, Result, ensure},
    place::Faults,
};

const POINTS: [&str; 4] = ["log-before-commit", "log-after-commit", "views-before-commit", "views-after-commit"];

/// How long one waits for the place to be come by, and how often one looks.
const BOUND: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What the servers were started with.
pub(super) struct Point {
    name: &'static str,
    /// Whether it ends them.
    deadly: bool,
}

pub(super) fn faults(run: &mut Run) -> Faults {
    let chance = &mut run.chance;
    // Enough to come up first.
    let passes = chance.within(6, 40);
    let kind = chance.weighted([40, 30, 15, 15]);
    let what = match kind {
        0 => "1*return(abort)".to_owned(),
        1 => format!("{}*return(gone)", chance.within(1, 5)),
        2 => "1*panic".to_owned(),
        // Of itself it would not say that it slept.
        _ => format!("{}*sleep({})->1*return(pass)", chance.within(1, 5), chance.within(50, 500)),
    };
    let name = chance.pick(&POINTS).copied().unwrap_or_default();
    run.point = Some(Point { name, deadly: kind == 0 });
    Faults::none().with("FAILPOINTS", format!("{name}={passes}*off->{what}->off"))
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let Point { name, deadly } = run.point.take().ok_or_else(|| Broken("no failpoint was set".into()))?;
    let begun = Instant::now();
    while !run.cluster.has_said(&format!("failpoint {name}"))? {
        ensure!(begun.elapsed() < BOUND, "no server came by the failpoint {name}");
        sleep(LOOK_AGAIN).await;
    }
    let mut gone = run.cluster.bury();
    while deadly && gone == 0 {
        ensure!(begun.elapsed() < BOUND, "a server came by the failpoint {name}, and did not end there");
        sleep(LOOK_AGAIN).await;
        gone = run.cluster.bury();
    }
    if !deadly {
        // Whatever failed in them, it was but once.
        run.goes_on(10, 40).await?;
        gone += run.cluster.bury();
        ensure!(gone == 0, "a server ended at the failpoint {name}, at which something only failed");
    }
    run.replace().await
}
