//! Where and how the figures came about, in the two lines above the table.

use std::{fs, thread};

use sqlx::{Connection as _, SqliteConnection};

use crate::{Result, bench::Bench};

pub(crate) fn describe(bench: &Bench) -> Result<String> {
    let cores = thread::available_parallelism()?;
    let sqlite = bench.runtime.block_on(sqlite_version())?;
    let day = chrono::Utc::now().date_naive();
    let (rounds, slice) = (bench.rounds, bench.slice.as_millis());
    Ok(format!(
        "{day}, {cores} cores ({cpu}), SQLite {sqlite} (WAL, synchronous=FULL for the log). Dealog {version}, medians of \
         {rounds} rounds in turns with the bare database, {slice} ms each.",
        cpu = cpu(),
        version = env!("CARGO_PKG_VERSION"),
    ))
}

fn cpu() -> String {
    // Only Linux tells it in a file.
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

async fn sqlite_version() -> Result<String> {
    let mut db = SqliteConnection::connect("sqlite::memory:").await?;
    Ok(sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut db).await?)
}
