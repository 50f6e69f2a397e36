//! Commands in this process: decided, appended and acknowledged, beside a bare append of as many events at once.

use dealog_store::Place;

use crate::{
    Result,
    bare::Bare,
    bench::Bench,
    moving::Moving,
    table::{Line, Pair, Target},
};

/// Tasks that send commands, and events of a bare batch: the most that a commit could have at that many tasks.
const TASKS: [usize; 3] = [8, 64, 256];

/// Of a bare append, at 64 tasks and more.
const PERCENT_MIN: u32 = 55;

/// Commands a second, by tasks.
const RATES_MIN: [(usize, u32); 2] = [(64, 30_000), (256, 45_000)];

/// Of what a bare append of one event takes.
const TIMES_MAX: f64 = 1.5;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let runtime = &bench.runtime;
    let mut moving = runtime.block_on(Moving::found(&Place::Sqlite(bench.path("commands").join("log.db"))))?;
    let mut bare = runtime.block_on(Bare::create(&bench.path("commands-bare")))?;
    let (mut alone, mut bare_alone) = (Vec::new(), Vec::new());
    let mut pairs = TASKS.map(|tasks| (tasks, Pair::default()));
    bench.rounds("commands", || {
        alone.extend(runtime.block_on(moving.alone(bench.slice))?);
        bare_alone.extend(runtime.block_on(bare.alone(bench.slice))?);
        for (tasks, pair) in &mut pairs {
            pair.dealog.push(runtime.block_on(moving.rate(*tasks, bench.slice))?);
            pair.bare.push(runtime.block_on(bare.rate(*tasks, bench.slice))?);
        }
        Ok(())
    })?;
    let what = "one command alone, in process, SQLite; bare append of one event".to_owned();
    let mut lines = vec![Line::times(what, &alone, &bare_alone, TIMES_MAX)];
    lines.extend(pairs.iter().map(|(tasks, pair)| line(*tasks, pair, "SQLite", &RATES_MIN, PERCENT_MIN)));
    Ok(lines)
}

/// A line for so many tasks, with what is aimed at there: so many commands a second, and this part of a bare append.
pub(super) fn line(tasks: usize, pair: &Pair, database: &str, rates_min: &[(usize, u32)], percent_min: u32) -> Line {
    let what =
        format!("commands of one event each, in process, {tasks} tasks, {database}; bare append, {tasks} a batch");
    let line = pair.line(what, "commands/s");
    match rates_min.iter().find(|(targeted, _)| *targeted == tasks) {
        Some((_, rate_min)) => line
            .aiming(Target::at_least(pair.rate(), *rate_min))
            .aiming(Target::at_least_percent(pair.ratio(), percent_min)),
        None => line,
    }
}
