//! How long it takes from a command to the subscriber that its event is delivered to, while commands come at a steady rate.
//!
//! From the moment that the command is sent, since nobody outside knows when it is committed: what is measured has the
//! commit in it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::{join, try_join_all};
use tokio::{
    runtime,
    time::{MissedTickBehavior, interval_at},
};

use super::http::{self, Sender, Sent};
use crate::{
    Result,
    bench::Bench,
    connection::Connection,
    moving,
    table::{Line, Target, millis, percentile},
};

/// A thousand a second.
const BETWEEN_COMMANDS: Duration = Duration::from_millis(1);

/// Connections that send them, in turn.
const CONNECTIONS: usize = 8;

const P50_MILLIS_MAX: u32 = 5;
const P99_MILLIS_MAX: u32 = 30;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let (server, client) = (bench.server(), runtime::Builder::new_current_thread().enable_all().build()?);
    let pipeline = server.post("/v1/pipelines", &moving::pipeline()).expect(201).id();
    let mut senders = client.block_on(http::senders(server.address(), &pipeline, CONNECTIONS))?;
    let each = usize::try_from(bench.slice.as_millis() / BETWEEN_COMMANDS.as_millis())? / CONNECTIONS;
    let count = each * senders.len();
    let mut took = Vec::new();
    bench.rounds("delivery", || {
        let head = server.head();
        took.extend(client.block_on(async {
            let mut subscriber = Connection::open(server.address()).await?;
            let delivered = delivered(&mut subscriber, head, count);
            let (sent, delivered) = join(send(&mut senders, BETWEEN_COMMANDS, each), delivered).await;
            latencies(&sent?, &delivered?)
        })?);
        Ok(())
    })?;
    let (p50, p99) = (percentile(took.clone(), 50), percentile(took, 99));
    let what = "from sending a command to its delivery by GET /v1/events/stream, 1,000 commands/s".to_owned();
    let targets =
        [Target::below(p50, P50_MILLIS_MAX, "ms").of("p50"), Target::below(p99, P99_MILLIS_MAX, "ms").of("p99")];
    Ok(vec![Line::alone(what, format!("p50 {p50:.2} ms, p99 {p99:.2} ms"), targets)])
}

/// Sends commands with so much time between them, each connection as many.
pub(crate) async fn send(senders: &mut [Sender], between: Duration, each: usize) -> Result<Vec<Sent>> {
    let (begun, connections) = (tokio::time::Instant::now() + between, u32::try_from(senders.len())?);
    let sent = senders.iter_mut().zip(0..).map(|(sender, number)| {
        let mut ticks = interval_at(begun + between * number, between * connections);
        // A command that comes late does not make those after it come early.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sender.send_at(ticks, each)
    });
    Ok(try_join_all(sent).await?.concat())
}

/// When each of so many events after a position was delivered.
async fn delivered(subscriber: &mut Connection, after: u64, count: usize) -> Result<HashMap<u64, Instant>> {
    let mut delivered = HashMap::with_capacity(count);
    subscriber
        .stream(&format!("/v1/events/stream?after={after}"), |text| {
            let now = Instant::now();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let ids = String::from_utf8_lossy(text.get(..whole).unwrap_or_default()).into_owned();
            let ids = ids.lines().filter_map(|line| line.strip_prefix("id: ")?.split('-').next()?.parse().ok());
            delivered.extend(ids.map(|position| (position, now)));
            text.drain(..whole);
            delivered.len() >= count
        })
        .await?;
    Ok(delivered)
}

fn latencies(sent: &[Sent], delivered: &HashMap<u64, Instant>) -> Result<Vec<f64>> {
    let latency = |Sent { position, at, .. }: &Sent| {
        let delivered = delivered.get(position).ok_or_else(|| format!("position {position} was not delivered"))?;
        Ok(millis(delivered.saturating_duration_since(*at)))
    };
    sent.iter().map(latency).collect()
}
