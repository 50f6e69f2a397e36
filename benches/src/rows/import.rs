//! `dealog import`, from the start of the process to its end, beside a bare append of the events that came of it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use dealog_events::{Envelope, Position};
use dealog_store::{EventStore as _, Limits, sqlite::SqliteStore};
use dealog_tests::Data;

use crate::{
    Result,
    bare::{Bare, Batch, Ends},
    bench::Bench,
    table::{Line, Pair, median, number, rate},
};

/// Commands of a bare batch: as many as the import sends at once, or a few more.
const BATCH_COMMANDS: usize = 256;

const PAGE_EVENTS: usize = 10_000;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let events = bench.runtime.block_on(read(&bench.imported().folder().join("log.db")))?;
    let batches = batches(&events)?;
    let (mut pair, mut rows) = (Pair::default(), Vec::new());
    bench.rounds("import", || {
        let (data, bare) = (Data::on_sqlite(), bench.path("import-bare"));
        let begun = Instant::now();
        bench.maven.import(&data);
        let took = begun.elapsed();
        pair.dealog.push(rate(events.len(), took));
        rows.push(rate(bench.maven.rows, took));
        let took = bench.runtime.block_on(write(&bare, &batches))?;
        pair.bare.push(rate(events.len(), took));
        fs::remove_dir_all(bare)?;
        Ok(())
    })?;
    let what = format!(
        "import of {}, {} rows, {} events; bare append of the same events",
        bench.maven.name,
        number(bench.maven.rows as f64),
        number(events.len() as f64)
    );
    Ok(vec![pair.line(what, &format!("events/s, {} rows/s", number(median(rows))))])
}

async fn read(log: &Path) -> Result<Vec<Envelope>> {
    let store = SqliteStore::open(log, Limits::default()).await?;
    let mut events: Vec<Envelope> = Vec::new();
    loop {
        let after = events.last().map_or(Position::ZERO, |last| last.position);
        let page = store.read(after, PAGE_EVENTS, &[]).await?;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    store.close().await;
    Ok(events)
}

/// A command's events stay together.
fn batches(events: &[Envelope]) -> Result<Vec<Batch>> {
    let commands: Vec<&[Envelope]> = events.chunk_by(|before, after| before.command_id == after.command_id).collect();
    let mut ends = Ends::new();
    commands.chunks(BATCH_COMMANDS).map(|commands| Batch::of(&commands.concat(), &mut ends)).collect()
}

async fn write(folder: &Path, batches: &[Batch]) -> Result<Duration> {
    let mut bare = Bare::create(folder).await?;
    let mut took = Duration::ZERO;
    for batch in batches {
        took += bare.write(batch).await?;
    }
    Ok(took)
}
