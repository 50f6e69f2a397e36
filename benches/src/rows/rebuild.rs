//! Making the read models anew from the log, beside the bulk write of their rows.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_projections::{Database, Limits, Worker, deals::Deals};
use dealog_store::{EventStore, sqlite::SqliteStore};

use crate::{
    Result,
    bench::Bench,
    copy::Copy,
    table::{Line, Pair, number, rate},
};

const PERCENT_MIN: u32 = 60;

struct Company<'b> {
    name: &'static str,
    data: &'b Path,
    copy: Copy,
    pair: Pair,
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let demo = company(bench, "the demo", bench.demo())?;
    let maven = company(bench, bench.maven.name, bench.imported())?;
    let mut companies = [demo, maven];
    let file = bench.path("rebuilt.db");
    bench.rounds("rebuild", || {
        for Company { data, copy, pair, .. } in &mut companies {
            pair.dealog.push(rate(copy.rows, bench.runtime.block_on(rebuild(data, &file))?));
            remove(&file)?;
            pair.bare.push(rate(copy.rows, bench.runtime.block_on(copy.write(&file))?));
            remove(&file)?;
        }
        Ok(())
    })?;
    let line = |Company { name, copy, pair, .. }: &Company<'_>| {
        let what = format!("rebuild of {name}, {} rows; bulk write of the same rows", number(copy.rows as f64));
        pair.line(what, "rows/s", Some(PERCENT_MIN))
    };
    Ok(companies.iter().map(line).collect())
}

fn company<'b>(bench: &Bench, name: &'static str, data: &'b Path) -> Result<Company<'b>> {
    let file = bench.path("built.db");
    bench.runtime.block_on(rebuild(data, &file))?;
    let copy = bench.runtime.block_on(Copy::of(&file))?;
    remove(&file)?;
    Ok(Company { name, data, copy, pair: Pair::default() })
}

async fn rebuild(data: &Path, views: &Path) -> Result<Duration> {
    let store = Arc::new(SqliteStore::open(&data.join("log.db"), dealog_store::Limits::default()).await?);
    let log: Arc<dyn EventStore> = Arc::<SqliteStore>::clone(&store);
    let database = Database::open(views).await?;
    let begun = Instant::now();
    Worker::start_over(log, database.clone(), Box::<Deals>::default(), Limits::default(), |_, _| ()).await?;
    let took = begun.elapsed();
    database.close().await;
    store.close().await;
    Ok(took)
}

/// With what stands beside it.
fn remove(file: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let file = file.with_extension(format!("db{suffix}"));
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}
