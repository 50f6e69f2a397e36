//! Servers come right by themselves: nobody restarts them, and no command comes that would wake them.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    broken::{Result, ensure},
    client::Client,
    cluster::Cluster,
};

/// How long that may take, and how often one looks.
const BOUND: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Every server is ready, and its read models answer from the end of the log.
pub(crate) async fn recovered(cluster: &Cluster) -> Result<()> {
    let client = Client::new()?;
    for node in cluster.now() {
        let begun = Instant::now();
        while let Some(lacking) = lacking(&client, node).await? {
            ensure!(begun.elapsed() < BOUND, "a server does not come right by itself: {lacking}");
            sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}

async fn lacking(client: &Client, node: SocketAddr) -> Result<Option<String>> {
    let (ready, said) = match client.health(node).await {
        Ok(health) => health,
        Err(no_answer) => return Ok(Some(no_answer.to_string())),
    };
    let health: Value = serde_json::from_str(&said)?;
    let projections = health.get("projections").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let at_the_end = projections.iter().all(|projection| projection.get("lag") == Some(&Value::from(0)));
    let head = health.get("head").and_then(Value::as_u64);
    let (Some(head), true, true, false) = (head, ready, at_the_end, projections.is_empty()) else {
        return Ok(Some(format!("it says of its health: {said}")));
    };
    let path = format!("/v1/deals?limit=1&min_position={head}");
    Ok(client
        .ask(node, &path)
        .await?
        .is_none()
        .then(|| format!("GET {path} is not answered; of its health it says: {said}")))
}
