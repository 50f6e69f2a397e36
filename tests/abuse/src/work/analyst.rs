//! An analyst who asks for one figure after another.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{Desk, Diary};
use crate::{company::Callers, connection::request};

/// A page of figures that is looked at closely.
const BETWEEN_FIGURES: Duration = Duration::from_millis(200);
const FIGURES: [&str; 4] = [
    "/v1/pipeline",
    "/v1/funnel?from=2026-01-01&to=2026-07-01",
    "/v1/forecast?from=2026-07-01&to=2026-08-01",
    "/v1/win-rate?from=2026-01-01&to=2026-07-01&by=source",
];

pub(super) async fn work(callers: Callers, diary: Arc<Diary>) {
    let mut desk = Desk::new("analyst", callers, diary);
    let mut ticks = interval(BETWEEN_FIGURES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for figure in FIGURES.into_iter().cycle() {
        ticks.tick().await;
        let request = request("GET", figure, Some(&desk.callers.analyst), "");
        desk.ask(&request, |seen, took| seen.analyst.add(took)).await;
    }
}
