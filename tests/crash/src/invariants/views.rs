//! The log is whole; the read models say what it says, and the same after they were made anew.

use std::{collections::HashMap, net::SocketAddr};

use serde_json::Value;

use crate::{
    broken::{Result, When as _, ensure},
    client::Client,
    cluster::Cluster,
    deal::Deal,
    load::shown,
    log::Written,
};

const FIGURES: [&str; 8] =
    ["pipeline", "funnel", "forecast", "time-in-stage", "win-rate", "cycle", "velocity", "board"];

pub(super) async fn check(cluster: &Cluster, client: &Client, written: &[Written]) -> Result<()> {
    let Some(node) = cluster.now().first().copied() else { return Ok(()) };
    let head = written.len() as u64;
    // All are asked about the same instant, or ages would differ.
    let instant = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let before = answers(client, node, head, &instant).await?;
    are_those_of_the_log(&before.deals, written)?;
    for other in cluster.now() {
        let found = answers(client, other, head, &instant).await?;
        ensure!(found == before, "two servers say {} and {}", before.differing(&found), found.differing(&before));
    }
    // It folds the log once more too, and compares each row.
    let said = cluster.place.succeed(&["check"]).await?;
    let told = [format!("{head} events, no damage"), format!("match the log, up to position {head}.")];
    ensure!(told.iter().all(|told| said.contains(told)), "`dealog check` says: {said}");
    cluster.place.succeed(&["rebuild"]).await?;
    let after = answers(client, node, head, &instant).await.when("after a rebuild")?;
    ensure!(
        after == before,
        "the read models are not what a rebuild makes: before {}, after {}",
        before.differing(&after),
        after.differing(&before)
    );
    Ok(())
}

/// What the read models say of the whole log.
#[derive(PartialEq)]
struct Answers {
    deals: Vec<Value>,
    figures: Vec<String>,
}

impl Answers {
    /// The first thing in which it differs from others.
    fn differing(&self, other: &Self) -> String {
        let deal = self.deals.iter().zip(&other.deals).find(|(this, that)| this != that);
        let figure = self.figures.iter().zip(&other.figures).find(|(this, that)| this != that);
        match (deal, figure) {
            (Some((deal, _)), _) => deal.to_string(),
            (None, Some((figure, _))) => figure.clone(),
            (None, None) => format!("{} deals", self.deals.len()),
        }
    }
}

async fn answers(client: &Client, node: SocketAddr, head: u64, instant: &str) -> Result<Answers> {
    let (mut deals, mut after) = (Vec::new(), String::new());
    loop {
        let text = client.get(node, &format!("/v1/deals?limit=500&min_position={head}{after}")).await?;
        let page: Value = serde_json::from_str(&text)?;
        ensure!(page.get("position") == Some(&Value::from(head)), "the read models are not at {head}: {text}");
        deals.extend(page.get("deals").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("next") {
            Some(next) if !next.is_null() => after = format!("&after={next}"),
            _ => break,
        }
    }
    let mut figures = Vec::new();
    for figure in FIGURES {
        figures.push(client.get(node, &format!("/v1/{figure}?min_position={head}&as_of={instant}")).await?);
    }
    Ok(Answers { deals, figures })
}

/// Each deal as the log has it, and no other.
fn are_those_of_the_log(deals: &[Value], written: &[Written]) -> Result<()> {
    let mut expected: HashMap<&str, Deal> = HashMap::new();
    for Written { event, .. } in written.iter().filter(|written| written.event.stream.starts_with("deal-")) {
        let deal = expected.entry(&event.stream).or_default();
        *deal = deal.evolve(event);
    }
    ensure!(deals.len() == expected.len(), "{} deals are listed of {}", deals.len(), expected.len());
    for deal in deals {
        let id = deal.get("id").and_then(Value::as_str).unwrap_or_default();
        let expected = expected.get(format!("deal-{id}").as_str());
        ensure!(Some(&shown(deal)?) == expected, "{deal} is listed, and should be {expected:?}");
    }
    Ok(())
}
