//! A server that is told to stop while callers keep it waiting: with half a head, half a body, a stream and pages that they do
//! not take.

use std::{fs, net::SocketAddr};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::Run;
use crate::{
    broken::{Broken, Result, When as _, ensure},
    place::Faults,
};

/// Of each kind, so many connections to each server.
const CONNECTIONS: usize = 5;
/// Pages that are asked for on a connection and not taken.
const PAGES: usize = 50;
const HALF_A_HEAD: &str = "GET /v1/deals HTTP/1.1\r\nHost: localhost\r\nX-Half: ";
const HALF_A_BODY: &str =
    "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
const STREAM: &str = "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
const PAGE: &str = "GET /v1/events?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let mut waiting = Vec::new();
    for node in run.cluster.now() {
        for request in [HALF_A_HEAD.to_owned(), HALF_A_BODY.to_owned(), STREAM.to_owned(), PAGE.repeat(PAGES)] {
            for _ in 0..CONNECTIONS {
                waiting.push(stall(node, &request).await?);
            }
        }
    }
    run.goes_on(20, 80).await?;
    let acknowledged = run.witness.last_acknowledged();
    run.cluster.stop_all().await.when("while callers keep it waiting")?;
    if run.cluster.place.postgres.is_none() {
        is_whole(run, acknowledged).await?;
    }
    drop(waiting);
    run.cluster.start(run.nodes, &Faults::none()).await
}

/// Sends a request, or a part of it, and takes nothing.
async fn stall(node: SocketAddr, request: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(node).await?;
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// After a good end, `log.db` alone has everything: nothing is left in the journal beside it.
async fn is_whole(run: &Run, acknowledged: u64) -> Result<()> {
    let place = &run.cluster.place;
    let copy = place.folder.join("copy");
    fs::create_dir_all(&copy)?;
    fs::copy(place.data().join("log.db"), copy.join("log.db"))?;
    let said = place.check_copy(&copy).await?;
    let events: u64 =
        said.split(' ').next().and_then(|count| count.parse().ok()).ok_or_else(|| Broken(said.clone()))?;
    ensure!(events >= acknowledged, "a plain copy of log.db has {events} events, and {acknowledged} were acknowledged");
    Ok(fs::remove_dir_all(copy)?)
}
