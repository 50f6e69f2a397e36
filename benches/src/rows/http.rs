//! Commands over HTTP, sent to the real binary, while its read models follow; beside a bare append.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use hyper::{Method, body::Bytes};
use serde_json::{Value, json};
use tokio::task::JoinSet;

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
    /// The paths of their moves, and how often they have been moved.
    deals: Vec<(String, u32)>,
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let runtime = &bench.runtime;
    let address = bench.server().address();
    let pipeline = bench.server().post("/v1/pipelines", &moving::pipeline()).expect(201).id();
    let mut senders = runtime.block_on(senders(address, &pipeline))?;
    let mut bare = runtime.block_on(Bare::create(&bench.path("http-bare")))?;
    let mut measured = CONNECTIONS.map(|connections| (connections, Pair::default(), Vec::new()));
    bench.rounds("http", || {
        for (connections, pair, latencies) in &mut measured {
            let (rate, took) = runtime.block_on(load(&mut senders, *connections, bench.slice))?;
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
            sender.deals.push((format!("/v1/deals/{id}/move"), 0));
        }
        senders.push(sender);
    }
    Ok(senders)
}

/// Commands a second by so many connections, and what each took in milliseconds.
async fn load(senders: &mut Vec<Sender>, connections: usize, slice: Duration) -> Result<(f64, Vec<f64>)> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for sender in senders.drain(..connections) {
        running.spawn(sender.send(begun + slice));
    }
    let mut took = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (sender, latencies) = ended??;
        senders.push(sender);
        took.extend(latencies);
    }
    Ok((rate(took.len(), begun.elapsed()), took))
}

impl Sender {
    /// Moves its deals in turn, each command after the answer to the one before.
    async fn send(mut self, until: Instant) -> Result<(Self, Vec<f64>)> {
        let mut took = Vec::new();
        loop {
            for (path, moves) in &mut self.deals {
                let asked = Instant::now();
                if asked >= until {
                    return Ok((self, took));
                }
                let body = Bytes::from(moving::to_stage(*moves).to_string());
                self.connection.call(Method::POST, path, body).await?;
                *moves += 1;
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
