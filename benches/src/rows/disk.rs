//! What an event takes on the disk.

use std::fs;

use dealog_store::{EventStore as _, Limits, sqlite::SqliteStore};

use crate::{
    Result,
    bench::Bench,
    copy::VIEWS,
    table::{Line, number},
};

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    bench.progress.set_message("disk");
    let data = bench.demo().folder();
    let log = data.join("log.db");
    // To open and to close it brings into the file what is beside it.
    let events = bench.runtime.block_on(async {
        let store = SqliteStore::open(&log, Limits::default()).await?;
        let head = store.head().await?;
        store.close().await;
        Ok::<_, dealog_store::StoreError>(head.position.0)
    })?;
    let each = |bytes: u64| number(bytes as f64 / events as f64);
    let (log, views) = (fs::metadata(log)?.len(), fs::metadata(data.join(VIEWS))?.len());
    let what = format!("bytes on the disk for each of the {} events of the demo", number(events as f64));
    Ok(vec![Line::alone(what, format!("log {}, read models {}", each(log), each(views)), None)])
}
