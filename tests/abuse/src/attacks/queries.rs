//! The most expensive questions, over many connections, by one analyst.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{Attack, MISUSER};
use crate::{broken::Result, connection::request};

const CONNECTIONS: usize = 64;
/// The pause after each answer, so that refusing them is not all that the server does.
const PAUSE: Duration = Duration::from_millis(100);
const QUESTIONS: [&str; 4] = [
    "/v1/time-in-stage",
    "/v1/funnel?mode=period&from=2024-07-01&to=2026-07-01",
    "/v1/win-rate?from=2024-07-01&to=2026-07-01&by=owner,month",
    "/v1/pipeline?known_at=30000",
];

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for question in QUESTIONS.into_iter().cycle().take(CONNECTIONS) {
        let attack = attack.clone();
        attacking.spawn(async move {
            let request = request("GET", question, Some(&attack.callers.greedy_analyst), "");
            attack.ask_on(MISUSER, PAUSE, || request.clone()).await;
            Ok(())
        });
    }
}
