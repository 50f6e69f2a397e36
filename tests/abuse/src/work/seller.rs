//! A seller who works deals: begins one, looks at it, moves it and looks at it again.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{Desk, Diary, Seen};
use crate::{company::Callers, connection::request};

/// Of the sample company's first pipeline.
const SECOND_STAGE: &str = "qualified";
/// A busy person with a fast page.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(100);

pub(super) async fn work(callers: Callers, diary: Arc<Diary>) {
    let mut desk = Desk::new("seller", callers, diary);
    let mut ticks = interval(BETWEEN_REQUESTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        ticks.tick().await;
        let body = json!({"title": format!("Begun {number}"), "pipeline": &desk.callers.pipeline});
        let Some((deal, position)) = command(&mut desk, "/v1/deals", &body).await else { continue };
        ticks.tick().await;
        look(&mut desk, &deal, position).await;
        ticks.tick().await;
        let moved = command(&mut desk, &format!("/v1/deals/{deal}/move"), &json!({"stage": SECOND_STAGE})).await;
        let Some((_, position)) = moved else { continue };
        ticks.tick().await;
        look(&mut desk, &deal, position).await;
    }
}

/// Sends a command. Gives the deal and the position of its event.
async fn command(desk: &mut Desk, path: &str, body: &Value) -> Option<(String, u64)> {
    let request = request("POST", path, Some(&desk.callers.seller), &body.to_string());
    let (answer, sent) = desk.ask(&request, note).await?;
    let outcome: Value = serde_json::from_slice(&answer.body).ok()?;
    let position = outcome.get("position")?.as_u64()?;
    desk.diary.commanded(position, sent);
    Some((outcome.get("id")?.as_str()?.to_owned(), position))
}

async fn look(desk: &mut Desk, deal: &str, position: u64) {
    let path = format!("/v1/deals/{deal}?min_position={position}");
    let request = request("GET", &path, Some(&desk.callers.seller), "");
    desk.ask(&request, note).await;
}

fn note(seen: &mut Seen, took: Duration) {
    seen.seller.add(took);
}
