//! `just crash`: nothing is lost, whatever breaks.
//!
//! A cycle: servers over one log, callers who send commands and remember what was acknowledged, subscribers who follow; then
//! trouble; then a restart, and all that must hold is checked. The parts: [`workload`] and [`load`] (what is asked for),
//! [`witness`] (what was told), [`trouble`], [`invariants`] and the driver ([`cycle`] and this file). It knows Dealog as its
//! users do, by HTTP and the command line.

mod broken;
mod chance;
mod client;
mod cluster;
mod cycle;
mod deal;
mod invariants;
mod load;
mod log;
mod node;
mod place;
mod postgres;
mod proxy;
mod shim;
mod subscriber;
mod trouble;
mod witness;
mod workload;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    broken::{Broken, Result},
    chance::Chance,
    cycle::Log,
    trouble::Kind,
};

/// A log goes through at least so many cycles before a new one is begun.
const CYCLES_OF_A_LOG_MIN: usize = 5;

/// Breaks Dealog again and again in every way we could think of, and checks each time that nothing was lost
#[derive(Debug, Parser)]
struct Args {
    /// Cycles for each back end
    #[arg(default_value_t = 20)]
    cycles: u64,
    /// Only this back end
    #[arg(long, value_enum)]
    database: Option<Backend>,
    /// Where chance begins: the same seed chooses the same trouble [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Only trouble of this kind; may be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    only: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// Files in a folder
    Sqlite,
    /// A server of the harness's own
    Postgres,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = tokio::runtime::Runtime::new().map_err(Broken::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                outcome = run(&args) => outcome,
                _ = tokio::signal::ctrl_c() => Err(Broken("interrupted".into())),
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(broken) => {
            eprintln!("error: {broken}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    place::check_binary(&std::env::temp_dir()).await?;
    let any = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_micros();
    let seed = args.seed.unwrap_or(u64::from(any));
    for backend in args.database.map_or(vec![Backend::Sqlite, Backend::Postgres], |backend| vec![backend]) {
        Driver::new(backend, seed, args).await?.run().await?;
    }
    Ok(())
}

/// The cycles of one back end.
struct Driver<'a> {
    backend: Backend,
    args: &'a Args,
    seed: u64,
    kinds: Vec<Kind>,
    server: Option<Arc<postgres::Server>>,
    bar: ProgressBar,
    /// How often each kind has struck, and how long its cycles took.
    struck: BTreeMap<String, (u32, Duration)>,
}

impl<'a> Driver<'a> {
    async fn new(backend: Backend, seed: u64, args: &'a Args) -> Result<Self> {
        let mut kinds = Kind::all(backend);
        kinds.retain(|kind| args.only.is_empty() || args.only.contains(kind));
        if kinds.is_empty() {
            return Err(Broken(format!("there is no such trouble with {} on this system", backend.name())));
        }
        let server = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(Arc::new(postgres::Server::new().await?)),
        };
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}")?;
        let bar = ProgressBar::new(args.cycles).with_style(style).with_prefix(backend.name());
        Ok(Self { backend, args, seed, kinds, server, bar, struck: BTreeMap::new() })
    }

    async fn run(mut self) -> Result<()> {
        let begun = Instant::now();
        println!("{}: {} cycles, seed {}", self.backend.name(), self.args.cycles, self.seed);
        let (mut left, mut seed, mut commands, mut events) = (self.args.cycles, self.seed, 0, 0);
        while left > 0 {
            let cycles = left.min(self.kinds.len().max(CYCLES_OF_A_LOG_MIN) as u64);
            let (of_log, length) = self.log(seed, cycles).await?;
            commands += of_log;
            events += length;
            left -= cycles;
            // So that the log that failed is the first one of a run with its seed.
            seed += 1;
        }
        self.bar.finish_and_clear();
        let kinds: Vec<_> =
            self.struck.iter().map(|(kind, (times, took))| format!("{kind} {times} in {} s", took.as_secs())).collect();
        println!(
            "{}: {} cycles in {} s, {commands} commands, {events} events, nothing lost ({})",
            self.backend.name(),
            self.args.cycles,
            begun.elapsed().as_secs(),
            kinds.join(", ")
        );
        Ok(())
    }

    /// A log and its cycles: each kind of trouble in an order of chance, over and over.
    async fn log(&mut self, seed: u64, cycles: u64) -> Result<(usize, u64)> {
        let mut kinds = self.kinds.clone();
        Chance::new(seed, u64::MAX).shuffle(&mut kinds);
        let mut log = Log::new(self.backend, self.server.as_ref(), seed).await?;
        let mut events = 0;
        for (number, kind) in (1..=cycles).zip(kinds.into_iter().cycle()) {
            self.bar.set_message(kind.name());
            let begun = Instant::now();
            match log.cycle(number, kind).await {
                Ok(length) => events = length,
                Err(broken) => {
                    self.bar.finish_and_clear();
                    return Err(self.told(seed, number, kind, log, &broken));
                }
            }
            let (times, took) = self.struck.entry(kind.name()).or_default();
            (*times, *took) = (*times + 1, *took + begun.elapsed());
            self.bar.inc(1);
        }
        Ok((log.end().await?, events))
    }

    fn told(&self, seed: u64, number: u64, kind: Kind, log: Log, broken: &Broken) -> Broken {
        let only: Vec<_> = self.args.only.iter().map(|kind| format!(" --only {}", kind.name())).collect();
        let (database, name) = (self.backend.name(), kind.name());
        let kept = match log.keep() {
            Ok(folder) => format!("all of it is kept in {}", folder.display()),
            Err(Broken(error)) => format!("it could not be kept: {error}"),
        };
        Broken(format!(
            "after {name}: {broken}\n  again: just crash {number} --database {database} --seed {seed}{}\n  {kept}",
            only.concat()
        ))
    }
}
