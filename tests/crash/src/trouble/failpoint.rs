//! A server that breaks at a place where it hurts most.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Run;
use crate::{broken::Result, place::Faults};

const POINTS: [&str; 4] = ["log-before-commit", "log-after-commit", "views-before-commit", "views-after-commit"];

/// How long one waits for the place to be come by, and how often one looks.
const BOUND: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(super) fn faults(run: &mut Run) -> Faults {
    let chance = &mut run.chance;
    // Enough to come up first.
    let passes = chance.within(6, 40);
    let kind = chance.weighted([40, 30, 15, 15]);
    let what = match kind {
        0 => "1*return(abort)".to_owned(),
        1 => format!("{}*return(gone)", chance.within(1, 5)),
        2 => "1*panic".to_owned(),
        _ => format!("{}*sleep({})", chance.within(1, 5), chance.within(50, 500)),
    };
    let point = chance.pick(&POINTS).copied().unwrap_or_default();
    run.deadly = kind == 0;
    Faults::none().with("FAILPOINTS", format!("{point}={passes}*off->{what}->off"))
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let begun = Instant::now();
    let acknowledged = run.witness.acknowledged();
    let enough = *acknowledged.borrow() + 300;
    while begun.elapsed() < BOUND && *acknowledged.borrow() < enough && run.cluster.bury() == 0 {
        sleep(LOOK_AGAIN).await;
    }
    if !run.deadly {
        // Whatever failed in them, it was but once.
        run.goes_on(10, 40).await?;
    }
    run.replace().await
}
