//! Commands over HTTP, sent to the real binary, while its read models follow; beside a bare append.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use dealog_test_postgres::Fresh;
use dealog_tests::{Data, Server};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::{runtime, time::Interval};

use crate::{
    Result,
    bare::Bare,
    bare_postgres,
    bench::Bench,
    connection::Connection,
    moving,
    table::{Line, Pair, Target, millis, percentile, rate},
};

/// Connections, and events of a bare batch.
const CONNECTIONS: [usize; 3] = [1, 8, 64];

/// The connections at which something is aimed at. That no command fails is asked of all: an error ends the bench.
const TARGETED: usize = 64;
const RATE_MIN: u32 = 12_000;
const RATE_MIN_POSTGRES: u32 = 10_000;
const P99_MILLIS_MAX: u32 = 25;

/// Deals that each connection moves.
const DEALS_EACH: usize = 16;

/// A connection with deals of its own.
pub(crate) struct Sender {
    connection: Connection,
    deals: Vec<Deal>,
}

/// A command that was answered.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// Of its event.
    pub(crate) position: u64,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
}

/// A deal that is moved back and forth: the requests that do so, the next one first.
struct Deal {
    moves: [Vec<u8>; 2],
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let mut bare = bench.runtime.block_on(Bare::create(&bench.path("http-bare")))?;
    let rates = |events| bench.runtime.block_on(bare.rate(events, bench.slice));
    lines(bench, bench.server(), rates, "SQLite", RATE_MIN)
}

pub(crate) fn measure_postgres(bench: &Bench) -> Result<Vec<Line>> {
    let (data, database) = (Data::on_postgres(), Fresh::blocking());
    let server = Server::start(&data, &[]);
    let mut bare = bench.runtime.block_on(bare_postgres::Bare::create(database.url()))?;
    let rates = |events| bench.runtime.block_on(bare.rate(events, bench.slice));
    let lines = lines(bench, &server, rates, "PostgreSQL", RATE_MIN_POSTGRES);
    server.stop();
    lines
}

fn lines(
    bench: &Bench,
    server: &Server,
    mut bare_rate: impl FnMut(usize) -> Result<f64>,
    database: &str,
    rate_min: u32,
) -> Result<Vec<Line>> {
    let pipeline = server.post("/v1/pipelines", &moving::pipeline()).expect(201).id();
    // On this thread alone: nothing of what the load costs is spent on waking threads.
    let client = runtime::Builder::new_current_thread().enable_all().build()?;
    let most = CONNECTIONS.into_iter().max().unwrap_or_default();
    let mut senders = client.block_on(senders(server.address(), &pipeline, most))?;
    let mut measured = CONNECTIONS.map(|connections| (connections, Pair::default(), Vec::new()));
    bench.rounds("http", || {
        for (connections, pair, latencies) in &mut measured {
            let (rate, took) = client.block_on(load(&mut senders, *connections, bench.slice))?;
            pair.dealog.push(rate);
            latencies.extend(took);
            // The read models come to rest before anything else is measured.
            server.get(&format!("/v1/pipeline?min_position={}", server.head())).expect(200);
            pair.bare.push(bare_rate(*connections)?);
        }
        Ok(())
    })?;
    Ok(measured.into_iter().map(|measured| line(measured, database, rate_min)).collect())
}

pub(crate) async fn senders(address: SocketAddr, pipeline: &str, connections: usize) -> Result<Vec<Sender>> {
    let mut senders = Vec::new();
    for _ in 0..connections {
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
    /// Moves one deal after another, one at each tick.
    pub(super) async fn send_at(&mut self, mut ticks: Interval, count: usize) -> Result<Vec<Sent>> {
        let mut sent = Vec::with_capacity(count);
        while sent.len() < count {
            for deal in self.deals.iter_mut().take(count - sent.len()) {
                ticks.tick().await;
                let at = Instant::now();
                let answer: Value = serde_json::from_slice(deal.move_on(&mut self.connection).await?)?;
                let position = answer.get("position").and_then(Value::as_u64).ok_or("an answer has a position")?;
                sent.push(Sent { position, at, took: at.elapsed() });
            }
        }
        Ok(sent)
    }

    /// Moves its deals in turn, each command after the answer to the one before.
    async fn send(&mut self, until: Instant) -> Result<Vec<f64>> {
        let mut took = Vec::new();
        loop {
            for deal in &mut self.deals {
                let asked = Instant::now();
                if asked >= until {
                    return Ok(took);
                }
                deal.move_on(&mut self.connection).await?;
                took.push(millis(asked.elapsed()));
            }
        }
    }
}

impl Deal {
    /// The answer.
    async fn move_on<'c>(&mut self, connection: &'c mut Connection) -> Result<&'c [u8]> {
        let [next, then] = &mut self.moves;
        let answer = connection.send(next).await?;
        std::mem::swap(next, then);
        Ok(answer)
    }
}

fn line((connections, pair, latencies): (usize, Pair, Vec<f64>), database: &str, rate_min: u32) -> Line {
    let plural = if connections == 1 { "" } else { "s" };
    let what =
        format!("commands over HTTP, {connections} connection{plural}, {database}; bare append, {connections} a batch");
    let (p50, p99) = (percentile(latencies.clone(), 50), percentile(latencies, 99));
    let line = pair.line(what, &format!("commands/s, p50 {p50:.2} ms, p99 {p99:.2} ms"));
    if connections != TARGETED {
        return line;
    }
    line.aiming(Target::at_least(pair.rate(), rate_min)).aiming(Target::below(p99, P99_MILLIS_MAX, "ms").of("p99"))
}
