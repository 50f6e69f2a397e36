//! Making the read models anew from the log, beside the bulk write of their rows.

use std::{fs, path::Path, sync::Arc, time::Duration, time::Instant};

use dealog_projections::{Database, Limits, Worker, models};
use dealog_store::{EventStore, Place};
use dealog_test_postgres::Fresh;

use crate::{
    Result,
    bench::Bench,
    copy::{Copy, VIEWS},
    table::{Line, Pair, Target, number, rate},
};

const PERCENT_MIN: u32 = 60;

struct Company {
    name: &'static str,
    log: Place,
    copy: Copy,
    pair: Pair,
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let mut companies = companies(bench)?;
    let folder = bench.path("rebuilt");
    bench.rounds("rebuild", || {
        for Company { log, copy, pair, .. } in &mut companies {
            pair.dealog.push(rate(copy.rows, bench.runtime.block_on(rebuild(log, &folder))?));
            fs::remove_dir_all(&folder)?;
            pair.bare.push(rate(copy.rows, bench.runtime.block_on(copy.write(&folder))?));
            fs::remove_dir_all(&folder)?;
        }
        Ok(())
    })?;
    Ok(companies.iter().map(|company| line(company, "SQLite")).collect())
}

/// The same with logs and read models in PostgreSQL, a database for each.
pub(crate) fn measure_postgres(bench: &Bench) -> Result<Vec<Line>> {
    let mut companies = companies(bench)?;
    let logs: Vec<Fresh> = companies.iter().map(|_| Fresh::blocking()).collect();
    for (company, log) in companies.iter_mut().zip(&logs) {
        let place = Place::Postgres(log.url().into());
        bench.runtime.block_on(bring(&company.log, &place))?;
        company.log = place;
    }
    bench.rounds("rebuild", || {
        for Company { log, copy, pair, .. } in &mut companies {
            let (views, bare) = (Fresh::blocking(), Fresh::blocking());
            let database = bench.runtime.block_on(Database::postgres(views.url()))?;
            pair.dealog.push(rate(copy.rows, bench.runtime.block_on(rebuild_in(log, database))?));
            pair.bare.push(rate(copy.rows, bench.runtime.block_on(copy.write_to_postgres(bare.url()))?));
        }
        Ok(())
    })?;
    Ok(companies.iter().map(|company| line(company, "PostgreSQL")).collect())
}

fn line(Company { name, copy, pair, .. }: &Company, database: &str) -> Line {
    let what = format!("rebuild of {name}, {} rows, {database}; bulk write of the same rows", number(copy.rows as f64));
    pair.line(what, "rows/s").aiming(Target::at_least_percent(pair.ratio(), PERCENT_MIN))
}

fn companies(bench: &Bench) -> Result<[Company; 2]> {
    let demo = company(bench, "the demo", &bench.demo().folder())?;
    let maven = company(bench, bench.maven.name, &bench.imported().folder())?;
    Ok([demo, maven])
}

fn company(bench: &Bench, name: &'static str, data: &Path) -> Result<Company> {
    let (log, folder) = (Place::Sqlite(data.join("log.db")), bench.path("rebuilt"));
    bench.runtime.block_on(rebuild(&log, &folder))?;
    let copy = bench.runtime.block_on(Copy::of(&folder))?;
    fs::remove_dir_all(&folder)?;
    Ok(Company { name, log, copy, pair: Pair::default() })
}

async fn rebuild(log: &Place, folder: &Path) -> Result<Duration> {
    rebuild_in(log, Database::open(&folder.join(VIEWS)).await?).await
}

async fn rebuild_in(log: &Place, database: Database) -> Result<Duration> {
    let store: Arc<dyn EventStore> = log.open(dealog_store::Limits::default()).await?;
    let mut worker = Worker::idle(Arc::clone(&store), database.clone(), models::all(), Limits::default());
    let begun = Instant::now();
    worker.rebuild().await?;
    let took = begun.elapsed();
    database.close().await;
    store.close().await;
    Ok(took)
}

async fn bring(from: &Place, to: &Place) -> Result<()> {
    let limits = dealog_store::Limits::default();
    let from = from.open(limits).await?;
    let to = to.open_as(from.head().await?.log_id, limits).await?;
    dealog_store::copy(&*from, &*to, |_| {}).await?;
    from.close().await;
    to.close().await;
    Ok(())
}
