//! Commands over HTTP, sent to the real binary, while its read models follow; beside a bare append.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::runtime;

use crate::{
    Result,
    bare::Bare,
    bench::Bench,
    connection::Connection,
    moving,
    table::{Line, Pair, millis, percentile, rate},
};

/// Connections, and events of a bare batch.
const CONNECTIONS: [usize; 3] = [1, 8, 64];

/// Deals that each connection moves.
const DEALS_EACH: usize = 16;

/// A connection with deals of its own.
struct Sender {
    connection: Connection,
    deals: Vec<Deal>,
}

/// A deal that is moved back and forth: the requests that do so, the next one first.
struct Deal {
    moves: [Vec<u8>; 2],
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let runtime = &bench.runtime;
    let address = bench.server().address();
    let pipeline = bench.server().post("/v1/pipelines", &moving::pipeline()).expect(201).id();
    // On this thread alone: nothing of what the load costs is spent on waking threads.
    let client = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut senders = client.block_on(senders(address, &pipeline))?;
    let mut bare = runtime.block_on(Bare::create(&bench.path("http-bare")))?;
    let mut measured = CONNECTIONS.map(|connections| (connections, Pair::default(), Vec::new()));
    bench.rounds("http", || {
        for (connections, pair, latencies) in &mut measured {
            let (rate, took) = client.block_on(load(&mut senders, *connections, bench.slice))?;
            pair.dealog.push(rate);
            latencies.extend(took);
            // The read models come to rest before anything else is measured.
            let head = bench.server().head();
            bench.server().get(&format!("/v1/pipeline?min_position={head}")).expect(200);
            pair.bare.push(runtime.block_on(bare.rate(*connections, bench.slice))?);
        }
        Ok(())
    })?;
    Ok(measured.into_iter().map(line).collect())
}

async fn senders(address: SocketAddr, pipeline: &str) -> Result<Vec<Sender>> {
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS.into_iter().max().unwrap_or_default() {
        let mut sender = Sender { connection: Connection::open(address).await?, deals: Vec::new() };
        for number in 0..DEALS_EACH {
            let body = json!({"title": format!("Deal {number}"), "pipeline": pipeline});
            let created = sender.connection.post("/v1/deals", &body).await?;
            let id = created.get("id").and_then(Value::as_str).ok_or("a new deal has an id")?;
            let path = format!("/v1/deals/{id}/move");
            let moves = [0, 1].map(|moves| moving::to_stage(moves).to_string());
            let moves = moves.map(|body| sender.connection.request("POST", &path, &body));
            sender.deals.push(Deal { moves });
        }
        senders.push(sender);
    }
    Ok(senders)
}

/// Commands a second by so many connections, and what each took in milliseconds. All of it is one task on this thread.
async fn load(senders: &mut [Sender], connections: usize, slice: Duration) -> Result<(f64, Vec<f64>)> {
    let begun = Instant::now();
    let took = try_join_all(senders.iter_mut().take(connections).map(|sender| sender.send(begun + slice))).await?;
    let took = took.concat();
    Ok((rate(took.len(), begun.elapsed()), took))
}

impl Sender {
    /// Moves its deals in turn, each command after the answer to the one before.
    async fn send(&mut self, until: Instant) -> Result<Vec<f64>> {
        let mut took = Vec::new();
        loop {
            for deal in &mut self.deals {
                let asked = Instant::now();
                if asked >= until {
                    return Ok(took);
                }
                let [next, then] = &mut deal.moves;
                self.connection.send(next).await?;
                std::mem::swap(next, then);
                took.push(millis(asked.elapsed()));
            }
        }
    }
}

fn line((connections, pair, latencies): (usize, Pair, Vec<f64>)) -> Line {
    let plural = if connections == 1 { "" } else { "s" };
    let what = format!("commands over HTTP, {connections} connection{plural}; bare append, {connections} a batch");
    let (p50, p99) = (percentile(latencies.clone(), 50), percentile(latencies, 99));
    pair.line(what, &format!("commands/s, p50 {p50:.2} ms, p99 {p99:.2} ms"), None)
}
