//! Where and how the figures came about, in the two lines above the table.

use std::{fs, thread};

use sqlx::{Connection as _, SqliteConnection};

use crate::{Result, bench::Bench};

pub(crate) fn describe(bench: &Bench) -> Result<String> {
    let (rounds, slice) = (bench.rounds, bench.slice.as_millis());
    let here = bench.runtime.block_on(here())?;
    Ok(format!("{here}, medians of {rounds} rounds in turns with the bare database, {slice} ms each."))
}

/// The day, the machine and the versions.
pub(crate) async fn here() -> Result<String> {
    let cores = thread::available_parallelism()?;
    let sqlite = sqlite_version().await?;
    let day = chrono::Utc::now().date_naive();
    let (cpu, version) = (cpu(), env!("CARGO_PKG_VERSION"));
    Ok(format!("{day}, {cores} cores ({cpu}), SQLite {sqlite} (WAL, synchronous=FULL for the log). Dealog {version}"))
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

/// The resident memory of this process; none where the system does not tell.
pub(crate) fn megabytes_of_this_process() -> Result<Option<f64>> {
    // Only Linux tells it in a file.
    fs::read_to_string("/proc/self/status").ok().map(|status| megabytes(&status, "VmRSS:")).transpose()
}

/// A line of a process's status, such as `VmRSS:`.
pub(crate) fn megabytes(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1_024.0 / 1_000_000.0)
}
