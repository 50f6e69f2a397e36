//! Reading the log from end to end in pages, as the read models do, beside a SELECT of the same columns.

use std::{path::Path, time::Instant};

use dealog_events::Position;
use dealog_store::{EventStore, Limits, sqlite::SqliteStore};
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    Result,
    bench::Bench,
    table::{Line, Pair, rate as per_second},
};

/// Events of a page: those of a batch of the read models.
const PAGE_EVENTS: usize = 2_000;

/// Rows that may wait for the reader, as in the log itself: with the driver's 50, the threads wait for each other.
const ROW_BUFFER: usize = 512;

const SELECT: &str = "
    SELECT position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor, command_id, correlation_id,
        causation_id, data
    FROM events WHERE position > ?1 ORDER BY position LIMIT ?2";

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let log = bench.demo().folder().join("log.db");
    let store = bench.runtime.block_on(SqliteStore::open(&log, Limits::default()))?;
    let mut db = bench.runtime.block_on(bare(&log))?;
    let mut pair = Pair::default();
    bench.rounds("reading", || {
        pair.dealog.push(bench.runtime.block_on(rate(bench, async || read(&store).await))?);
        pair.bare.push(bench.runtime.block_on(rate(bench, async || select(&mut db).await))?);
        Ok(())
    })?;
    bench.runtime.block_on(store.close());
    Ok(vec![pair.line(format!("reading the log, {PAGE_EVENTS} a page; bare SELECT"), "events/s")])
}

/// A connection that reads and nothing else.
pub(super) async fn bare(log: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(log).read_only(true).row_buffer_size(ROW_BUFFER);
    Ok(options.connect().await?)
}

/// Events a second, of as many readings of the whole log as fit.
pub(super) async fn rate(bench: &Bench, mut read: impl AsyncFnMut() -> Result<usize>) -> Result<f64> {
    let begun = Instant::now();
    let mut events = 0;
    while begun.elapsed() < bench.slice {
        events += read().await?;
    }
    Ok(per_second(events, begun.elapsed()))
}

pub(super) async fn read(store: &dyn EventStore) -> Result<usize> {
    let (mut after, mut events) = (Position::ZERO, 0);
    loop {
        let page = store.read(after, PAGE_EVENTS, &[]).await?;
        let Some(last) = page.last() else { return Ok(events) };
        after = last.position;
        events += page.len();
    }
}

pub(super) async fn select(db: &mut SqliteConnection) -> Result<usize> {
    let (mut after, mut events) = (0_i64, 0);
    loop {
        let page = sqlx::query(SELECT).bind(after).bind(i64::try_from(PAGE_EVENTS)?).fetch_all(&mut *db).await?;
        let Some(last) = page.last() else { return Ok(events) };
        after = last.try_get(0)?;
        events += page.len();
    }
}
