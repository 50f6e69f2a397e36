//! Streams of rare events from the beginning of the log, with lists of types as long as a URL may be, by one service.

use tokio::{task::JoinSet, time::sleep};

use super::{AGAIN, Attack, MISUSER};
use crate::{
    broken::{Broken, Result},
    connection::{Connection, request},
};

const STREAMS: usize = 300;
/// As often as a URL has room for.
const REPETITIONS: usize = 450;
const READ_BYTES: usize = 4_096;

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    let types = vec!["deal.reopened"; REPETITIONS].join(",");
    let path = format!("/v1/events/stream?after=0&types={types}");
    let stream = request("GET", &path, Some(&attack.callers.greedy_service), "");
    for _ in 0..STREAMS {
        let (attack, stream) = (attack.clone(), stream.clone());
        attacking.spawn(async move {
            loop {
                let mut connection = attack.connect(MISUSER).await;
                if let Err(Broken(_)) = follow(&attack, &mut connection, &stream).await {
                    attack.tally.count("cut");
                }
                sleep(AGAIN).await;
            }
        });
    }
}

/// Begins a stream and follows it to its end.
async fn follow(attack: &Attack, connection: &mut Connection, stream: &[u8]) -> Result<()> {
    connection.send(stream).await?;
    attack.ended(connection).await;
    while connection.read_some(READ_BYTES).await?.is_some() {}
    Ok(())
}
