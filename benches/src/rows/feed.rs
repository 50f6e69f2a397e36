//! The log over HTTP, read from end to end by several at once: in pages, and as the stream of a subscriber that is behind.
//! Beside a SELECT of the same columns.

use std::net::SocketAddr;

use dealog_tests::Server;
use futures_util::future::try_join_all;
use tokio::runtime;

use super::reading;
use crate::{
    Result,
    bench::Bench,
    connection::Connection,
    table::{Line, Pair, Target},
};

/// Who read at the same time.
const READERS: usize = 4;

/// Events of a page: as many as the server gives.
const PAGE_EVENTS: usize = 1_000;

const RATE_MIN: u32 = 150_000;

/// What is looked at for the last event of a stream: longer than any message of the demo.
const TAIL_BYTES: usize = 16 * 1024;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let server = Server::start(bench.demo(), &[]).ready();
    let (address, head) = (server.address(), server.head());
    let client = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut db = bench.runtime.block_on(reading::bare(&bench.demo().folder().join("log.db")))?;
    let (mut pages, mut streams) = (Pair::default(), Pair::default());
    bench.rounds("feed", || {
        let bare = bench.runtime.block_on(reading::rate(bench, async || reading::select(&mut db).await))?;
        pages.dealog.push(client.block_on(reading::rate(bench, async || all(READERS, || read(address, head)).await))?);
        pages.bare.push(bare);
        streams
            .dealog
            .push(client.block_on(reading::rate(bench, async || all(READERS, || follow(address, head)).await))?);
        streams.bare.push(bare);
        Ok(())
    })?;
    server.stop();
    let line = |what: &str, pair: &Pair| {
        pair.line(format!("{what}, {READERS} at once; bare SELECT"), "events/s")
            .aiming(Target::at_least(pair.rate(), RATE_MIN))
    };
    Ok(vec![
        line(&format!("GET /v1/events, {PAGE_EVENTS} a page"), &pages),
        line("GET /v1/events/stream, a subscriber that catches up", &streams),
    ])
}

/// How many events so many readers were given together.
async fn all<F: Future<Output = Result<u64>>>(readers: usize, read: impl Fn() -> F) -> Result<usize> {
    let read = try_join_all((0..readers).map(|_| read())).await?;
    Ok(usize::try_from(read.iter().sum::<u64>())?)
}

async fn read(address: SocketAddr, head: u64) -> Result<u64> {
    let mut connection = Connection::open(address).await?;
    let mut after = 0;
    while after < head {
        let path = format!("/v1/events?after={after}&limit={PAGE_EVENTS}");
        let next = next(connection.get(&path).await?).ok_or("a page says where the next begins")?;
        if next <= after {
            return Err(format!("{path} leads to {next}").into());
        }
        after = next;
    }
    Ok(after)
}

/// Where the next page begins: the last that a page says.
fn next(page: &[u8]) -> Option<u64> {
    let end = page.get(page.len().saturating_sub(48)..)?;
    String::from_utf8_lossy(end).rsplit_once("\"next\":\"")?.1.split('-').next()?.parse().ok()
}

async fn follow(address: SocketAddr, head: u64) -> Result<u64> {
    let last = format!("\nid: {head}-");
    let mut connection = Connection::open(address).await?;
    connection
        .stream("/v1/events/stream?after=0", |text| {
            let _ = text.drain(..text.len().saturating_sub(TAIL_BYTES));
            text.windows(last.len()).any(|part| part == last.as_bytes())
        })
        .await?;
    Ok(head)
}
