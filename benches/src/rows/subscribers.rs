//! What a server holds in memory for many subscribers, most of whom want few of the events.
//!
//! They read as fast as they can, and each must be delivered all that it asked for: a server that lets go of subscribers
//! could do with less.

use std::{
    mem,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_tests::{Data, Server};
use futures_util::future::{try_join, try_join3};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::{
    runtime,
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{delivery, http, memory};
use crate::{
    Result,
    bench::Bench,
    connection::Connection,
    moving,
    table::{Line, millis, number, percentile, rate},
};

/// Subscribers to the deals that are created, and to all events.
const FILTERED: u32 = 2_000;
const UNFILTERED: u32 = 100;

/// Five hundred a second.
const BETWEEN_MOVES: Duration = Duration::from_millis(2);
const MOVES_PER_CREATION: u32 = 100;
/// Connections that move deals, in turn.
const MOVERS: usize = 16;
/// How many times as long as other measurements this one takes: events come to so many subscribers twice a second.
const SLICES: u32 = 10;
/// How long all of it may take besides.
const PATIENCE: Duration = Duration::from_mins(1);

/// File descriptors of each process: its ends of the connections, and some for all else.
const FILES: u32 = FILTERED + UNFILTERED + 200;

const MEGABYTES_MAX: u32 = 1_000;

/// Positions of events, and when they were sent or delivered.
type Events = Vec<(u64, Instant)>;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    bench.progress.set_message("subscribers");
    allow_files()?;
    let limits = format!("subscribers_max = {}\nconnections_per_address_max = {FILES}", FILTERED + UNFILTERED);
    let server = Server::with(Data::on_sqlite().with_limits(&limits), &[]);
    let pipeline = server.post("/v1/pipelines", &moving::pipeline()).expect(201).id();
    let client = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut movers = client.block_on(http::senders(server.address(), &pipeline, MOVERS))?;
    let (time, after) = (bench.slice * SLICES, server.head());
    let line = client
        .block_on(async { timeout(time + PATIENCE, line(&server, &mut movers, &pipeline, after, time)).await })
        .map_err(|_| "not all events were sent and delivered in time")??;
    Ok(vec![line])
}

/// A child inherits it: the server may open as many as this process.
fn allow_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::from(FILES);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum });
    raised.map_err(|error| {
        format!("{needed} files have to be open at once: raise the hard limit (ulimit -Hn): {error}").into()
    })
}

async fn line(
    server: &Server,
    movers: &mut [http::Sender],
    pipeline: &str,
    after: u64,
    time: Duration,
) -> Result<Line> {
    let moves_each = usize::try_from(time.as_millis() / BETWEEN_MOVES.as_millis())? / movers.len();
    let moves = moves_each * movers.len();
    let creations = moves / usize::try_from(MOVES_PER_CREATION)?;
    let connected = Arc::new(Semaphore::new(0));
    let subscribe = |subscribers: u32, filter: &str, count: usize| {
        let path = format!("/v1/events/stream?after={after}{filter}");
        let subscribers =
            (0..subscribers).map(|_| subscribe(server.address(), path.clone(), count, Arc::clone(&connected)));
        all(subscribers.collect())
    };
    let send = async {
        let mut creator = Connection::open(server.address()).await?;
        let _all = connected.acquire_many(FILTERED + UNFILTERED).await?;
        let begun = Instant::now();
        let moved = delivery::send(movers, BETWEEN_MOVES, moves_each);
        let (moved, created) = try_join(moved, create(&mut creator, pipeline, creations)).await?;
        Ok((rate(moves + creations, begun.elapsed()), moved, created))
    };
    let filtered = subscribe(FILTERED, "&types=deal.created", creations);
    let unfiltered = subscribe(UNFILTERED, "", moves + creations);
    let ((rate, moved, created), filtered, unfiltered) = try_join3(send, filtered, unfiltered).await?;
    let mut sent: Events =
        moved.iter().map(|moved| (moved.position, moved.at)).chain(created.iter().copied()).collect();
    sent.sort_unstable();
    for (_, delivered) in &filtered {
        latencies(&created, delivered)?;
    }
    let mut took = Vec::new();
    for (_, delivered) in &unfiltered {
        took.extend(latencies(&sent, delivered)?);
    }
    let [few, most] = [UNFILTERED, FILTERED].map(|count| number(count.into()));
    let what = format!("memory of a server with {few} subscribers to all events and {most} to 1 % of them");
    // While all are still connected.
    let line = memory::line(what, server, MEGABYTES_MAX)?;
    Ok(line.telling(&format!(", p99 of delivery {:.0} ms at {rate:.0} events/s", percentile(took, 99))))
}

/// What each subscriber was delivered, beside its open connection. The first that fails ends them all.
async fn all(mut subscribers: JoinSet<Result<(Connection, Events)>>) -> Result<Vec<(Connection, Events)>> {
    let mut ended = Vec::with_capacity(subscribers.len());
    while let Some(subscriber) = subscribers.join_next().await {
        ended.push(subscriber??);
    }
    Ok(ended)
}

async fn subscribe(
    address: SocketAddr,
    path: String,
    count: usize,
    connected: Arc<Semaphore>,
) -> Result<(Connection, Events)> {
    let mut connection = Connection::open(address).await?;
    let (mut delivered, mut connecting, mut dropped) = (Vec::with_capacity(count), true, false);
    let take = |text: &mut Vec<u8>| {
        let now = Instant::now();
        if mem::take(&mut connecting) {
            connected.add_permits(1);
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in String::from_utf8_lossy(text.get(..whole).unwrap_or_default()).lines() {
            dropped |= line == "event: dropped";
            let position = line.strip_prefix("id: ").and_then(|id| id.split('-').next()?.parse().ok());
            delivered.extend(position.map(|position| (position, now)));
        }
        text.drain(..whole);
        dropped || delivered.len() >= count
    };
    connection.stream(&path, take).await?;
    if dropped {
        return Err(format!("{path}: a subscriber was dropped after {} of {count} events", delivered.len()).into());
    }
    Ok((connection, delivered))
}

/// Creates deals, one at each tick.
async fn create(connection: &mut Connection, pipeline: &str, count: usize) -> Result<Events> {
    let mut ticks = interval(BETWEEN_MOVES * MOVES_PER_CREATION);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut created = Vec::with_capacity(count);
    for number in 0..count {
        ticks.tick().await;
        let at = Instant::now();
        let answer =
            connection.post("/v1/deals", &json!({"title": format!("New {number}"), "pipeline": pipeline})).await?;
        created.push((answer.get("position").and_then(Value::as_u64).ok_or("an answer has a position")?, at));
    }
    Ok(created)
}

/// What each event took to a subscriber, who must have been delivered these and no others.
fn latencies(sent: &[(u64, Instant)], delivered: &[(u64, Instant)]) -> Result<Vec<f64>> {
    if !sent.iter().map(|(position, _)| position).eq(delivered.iter().map(|(position, _)| position)) {
        return Err("a subscriber was delivered other events than were sent".into());
    }
    let both = sent.iter().zip(delivered);
    Ok(both.map(|((_, sent), (_, delivered))| millis(delivered.saturating_duration_since(*sent))).collect())
}
