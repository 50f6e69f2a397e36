//! Commands in this process with the log in PostgreSQL, beside a bare append of as many events at once.

use dealog_store::Place;
use dealog_test_postgres::Fresh;

use crate::{
    Result,
    bare_postgres::Bare,
    bench::Bench,
    moving::Moving,
    table::{Line, Pair},
};

/// Tasks that send commands, and events of a bare batch, with the least ratio that is aimed at.
const TASKS: [(usize, Option<u32>); 4] = [(1, None), (8, None), (64, Some(50)), (256, Some(50))];

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let (log, bare) = (Fresh::blocking(), Fresh::blocking());
    let mut moving = bench.runtime.block_on(Moving::found(&Place::Postgres(log.url().to_owned())))?;
    let mut bare = bench.runtime.block_on(Bare::create(bare.url()))?;
    let mut pairs = TASKS.map(|(tasks, percent_min)| (tasks, percent_min, Pair::default()));
    bench.rounds("commands", || {
        for (tasks, _, pair) in &mut pairs {
            pair.dealog.push(bench.runtime.block_on(moving.rate(*tasks, bench.slice))?);
            pair.bare.push(bench.runtime.block_on(bare.rate(*tasks, bench.slice))?);
        }
        Ok(())
    })?;
    let line = |(tasks, percent_min, pair): &(usize, Option<u32>, Pair)| {
        let what =
            format!("commands of one event each, in process, {tasks} at once, PostgreSQL; bare append of {tasks}");
        pair.line(what, "commands/s", *percent_min)
    };
    Ok(pairs.iter().map(line).collect())
}
