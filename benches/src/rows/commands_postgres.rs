//! Commands in this process with the log in PostgreSQL, beside a bare append of as many events at once.

use dealog_store::Place;
use dealog_test_postgres::Fresh;

use super::commands::line;
use crate::{
    Result,
    bare_postgres::Bare,
    bench::Bench,
    moving::Moving,
    table::{Line, Pair},
};

/// Tasks that send commands, and events of a bare batch.
const TASKS: [usize; 4] = [1, 8, 64, 256];

/// Of a bare append, at 64 tasks and more.
const PERCENT_MIN: u32 = 50;

/// Commands a second, by tasks.
const RATES_MIN: [(usize, u32); 2] = [(64, 20_000), (256, 30_000)];

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let (log, bare) = (Fresh::blocking(), Fresh::blocking());
    let mut moving = bench.runtime.block_on(Moving::found(&Place::Postgres(log.url().into())))?;
    let mut bare = bench.runtime.block_on(Bare::create(bare.url()))?;
    let mut pairs = TASKS.map(|tasks| (tasks, Pair::default()));
    bench.rounds("commands", || {
        for (tasks, pair) in &mut pairs {
            pair.dealog.push(bench.runtime.block_on(moving.rate(*tasks, bench.slice))?);
            pair.bare.push(bench.runtime.block_on(bare.rate(*tasks, bench.slice))?);
        }
        Ok(())
    })?;
    Ok(pairs.iter().map(|(tasks, pair)| line(*tasks, pair, "PostgreSQL", &RATES_MIN, PERCENT_MIN)).collect())
}
