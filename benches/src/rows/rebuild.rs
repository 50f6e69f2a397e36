//! Making the read models anew from the log, beside the bulk write of their rows.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_projections::{Database, Limits, Worker, deals::Deals};
use dealog_store::{EventStore, sqlite::SqliteStore};

use crate::{
    Result,
    bench::Bench,
    copy::{Copy, VIEWS},
    table::{Line, Pair, Target, number, rate},
};

const PERCENT_MIN: u32 = 60;

struct Company {
    name: &'static str,
    data: PathBuf,
    copy: Copy,
    pair: Pair,
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let demo = company(bench, "the demo", bench.demo().folder())?;
    let maven = company(bench, bench.maven.name, bench.imported().folder())?;
    let mut companies = [demo, maven];
    let folder = bench.path("rebuilt");
    bench.rounds("rebuild", || {
        for Company { data, copy, pair, .. } in &mut companies {
            pair.dealog.push(rate(copy.rows, bench.runtime.block_on(rebuild(data, &folder))?));
            fs::remove_dir_all(&folder)?;
            pair.bare.push(rate(copy.rows, bench.runtime.block_on(copy.write(&folder))?));
            fs::remove_dir_all(&folder)?;
        }
        Ok(())
    })?;
    let line = |Company { name, copy, pair, .. }: &Company| {
        let what = format!("rebuild of {name}, {} rows; bulk write of the same rows", number(copy.rows as f64));
        pair.line(what, "rows/s").aiming(Target::at_least_percent(pair.ratio(), PERCENT_MIN))
    };
    Ok(companies.iter().map(line).collect())
}

fn company(bench: &Bench, name: &'static str, data: PathBuf) -> Result<Company> {
    let folder = bench.path("rebuilt");
    bench.runtime.block_on(rebuild(&data, &folder))?;
    let copy = bench.runtime.block_on(Copy::of(&folder))?;
    fs::remove_dir_all(&folder)?;
    Ok(Company { name, data, copy, pair: Pair::default() })
}

async fn rebuild(data: &Path, folder: &Path) -> Result<Duration> {
    let store = Arc::new(SqliteStore::open(&data.join("log.db"), dealog_store::Limits::default()).await?);
    let log: Arc<dyn EventStore> = Arc::<SqliteStore>::clone(&store);
    let database = Database::open(&folder.join(VIEWS)).await?;
    let mut worker = Worker::idle(log, database.clone(), Box::<Deals>::default(), Limits::default());
    let begun = Instant::now();
    worker.rebuild().await?;
    let took = begun.elapsed();
    database.close().await;
    store.close().await;
    Ok(took)
}
