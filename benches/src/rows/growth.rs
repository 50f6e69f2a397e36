//! What growth costs: the same commands and the same reading at few events and at many, and the memory of a server that
//! begins with the many. All of it takes many minutes, so only `--long` asks for it.

use std::time::Duration;

use dealog_store::Place;
use dealog_tests::{Data, Server, until};

use super::{memory, reading};
use crate::{
    Result,
    bench::Bench,
    moving::Moving,
    table::{Line, Pair, Target, number},
};

const FEW_EVENTS: u64 = 50_000;
const MANY_EVENTS: u64 = 5_000_000;

/// Tasks that send commands.
const TASKS: usize = 256;

/// Of the rate at few events.
const PERCENT_MIN: u32 = 80;

const MEGABYTES_MAX: u32 = 300;

/// How long the read models of so many events may take to be there.
const READY: Duration = Duration::from_mins(30);

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let data = Data::on_sqlite();
    let mut moving = bench.runtime.block_on(Moving::found(&Place::Sqlite(data.folder().join("log.db"))))?;
    let (mut appending, mut reading) = (Pair::default(), Pair::default());
    grow(bench, &mut moving, FEW_EVENTS)?;
    (appending.bare, reading.bare) = rates(bench, &mut moving)?;
    grow(bench, &mut moving, MANY_EVENTS)?;
    (appending.dealog, reading.dealog) = rates(bench, &mut moving)?;
    bench.runtime.block_on(moving.store().close());

    let (few, many) = (number(FEW_EVENTS as f64), number(MANY_EVENTS as f64));
    let line = |what: &str, unit: &str, pair: &Pair| {
        pair.line(format!("{what} at {many} events; the same at {few}"), unit)
            .aiming(Target::at_least_percent(pair.ratio(), PERCENT_MIN))
    };
    Ok(vec![
        line(&format!("commands in process, {TASKS} tasks,"), "commands/s", &appending),
        line("reading the log", "events/s", &reading),
        memory(&data, &many)?,
    ])
}

/// Some dozens of events a deal, and then others, as a company would.
fn grow(bench: &Bench, moving: &mut Moving, events: u64) -> Result<()> {
    bench.progress.set_message("growth");
    while bench.runtime.block_on(moving.store().head())?.position.0 < events {
        bench.runtime.block_on(moving.rate(TASKS, bench.slice))?;
        bench.runtime.block_on(moving.begin_anew())?;
    }
    Ok(())
}

/// Commands and events read a second.
fn rates(bench: &Bench, moving: &mut Moving) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut appending, mut reading) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        appending.push(bench.runtime.block_on(moving.rate(TASKS, bench.slice))?);
        let store = moving.store();
        reading.push(bench.runtime.block_on(reading::rate(bench, async || reading::read(&**store).await))?);
    }
    Ok((appending, reading))
}

fn memory(data: &Data, events: &str) -> Result<Line> {
    let server = Server::start(data, &[]);
    until("the read models should be there", READY, || (server.get("/health/ready").status == 200).then_some(()));
    for path in ["/v1/pipeline", "/v1/deals", "/v1/events?limit=1000"] {
        server.get(path).expect(200);
    }
    let line = memory::line(format!("memory of a server of {events} events"), &server, MEGABYTES_MAX)?;
    server.stop();
    Ok(line)
}
