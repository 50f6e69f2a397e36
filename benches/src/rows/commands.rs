//! Commands in this process: decided, appended and acknowledged, beside a bare append of as many events at once.

use dealog_store::Place;

use crate::{
    Result,
    bare::Bare,
    bench::Bench,
    moving::Moving,
    table::{Line, Pair},
};

/// Tasks that send commands, and events of a bare batch: the most that a commit could have at that many tasks.
const TASKS: [usize; 4] = [1, 8, 64, 256];

/// At 64 tasks.
const PERCENT_MIN: u32 = 40;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let mut moving = bench.runtime.block_on(Moving::found(&Place::Sqlite(bench.path("commands").join("log.db"))))?;
    let mut bare = bench.runtime.block_on(Bare::create(&bench.path("commands-bare")))?;
    let mut pairs = TASKS.map(|tasks| (tasks, Pair::default()));
    bench.rounds("commands", || {
        for (tasks, pair) in &mut pairs {
            pair.dealog.push(bench.runtime.block_on(moving.rate(*tasks, bench.slice))?);
            pair.bare.push(bench.runtime.block_on(bare.rate(*tasks, bench.slice))?);
        }
        Ok(())
    })?;
    let line = |(tasks, pair): &(usize, Pair)| {
        let plural = if *tasks == 1 { "" } else { "s" };
        let what =
            format!("commands of one event each, in process, {tasks} task{plural}; bare append, {tasks} a batch");
        pair.line(what, "commands/s", (*tasks == 64).then_some(PERCENT_MIN))
    };
    Ok(pairs.iter().map(line).collect())
}
