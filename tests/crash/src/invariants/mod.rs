//! What must hold once the trouble is over, whatever it was.

mod commands;
mod history;
mod order;
mod recovery;
mod views;

use std::time::Duration;

pub(crate) use self::recovery::recovered;
use crate::{
    broken::{Result, When as _, ensure},
    chance::Chance,
    client::Client,
    cluster::Cluster,
    log::{self, Written},
    subscriber::Subscriber,
    witness::Witness,
};

/// How long subscribers and read models may take to come to the end of the log.
const CATCH_UP: Duration = Duration::from_secs(30);

/// Checks all of it, on servers that nothing is wrong with and that nobody else asks for anything.
pub(crate) async fn check(
    cluster: &Cluster,
    witness: &Witness,
    subscribers: &mut [Subscriber],
    chance: &mut Chance,
) -> Result<u64> {
    let client = Client::new()?;
    // What nobody acknowledged is looked at before it is sent again: by then it is too late to find half of it.
    let before = seen(cluster, &client, witness).await?;
    order::check(&before)?;
    commands::check(&before, &witness.history())?;

    commands::retry(cluster, &client, witness, chance).await.when("a command that was sent again")?;
    let written = seen(cluster, &client, witness).await?;
    let history = witness.history();
    order::check(&written)?;
    commands::check(&written, &history)?;
    commands::nothing_else(&written, &history)?;
    history::check(&written, &history)?;

    let head = written.len() as u64;
    for subscriber in subscribers {
        subscriber.reaches(head, CATCH_UP).await?;
    }
    views::check(cluster, &client, &written).await?;
    witness.check()?;
    Ok(head)
}

/// The log, of which nothing that anybody saw is gone or different, and which is the same on every server.
async fn seen(cluster: &Cluster, client: &Client, witness: &Witness) -> Result<Vec<Written>> {
    let last_seen = witness.last_seen();
    let mut written = Vec::new();
    for node in cluster.now() {
        written = log::read(client, node).await.when("the log")?;
        ensure!(
            written.len() as u64 >= last_seen,
            "position {last_seen} was seen, and the log ends at {}",
            written.len()
        );
        for written in &written {
            witness.sees(written, "who reads the log afterwards");
        }
    }
    witness.check()?;
    Ok(written)
}
