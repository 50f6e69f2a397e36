//! `just bench`: what Dealog does, beside what the same database does when nothing else is asked of it.
//!
//! A figure alone says as much about the machine as about the program. So the same database is measured in the same run
//! with the least that could do the same work, written here in plain SQL, and what counts is the ratio. All that belongs
//! together is measured in turns, round after round, so that whatever slows the machine slows both; the table has the
//! medians. Figures have a table of their own, beside another database: see [`figures`].

#![allow(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^52")]

mod bare;
mod bare_postgres;
mod bench;
mod connection;
mod copy;
mod figures;
mod machine;
mod maven;
mod moving;
mod rows;
mod table;

use std::{env, error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

use bench::Bench;
use rows::Kind;

/// Any failure ends the bench: half a table would be quoted as if it were whole.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures Dealog beside the bare database, and prints one table.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A short run, to see whether it works: its figures are rough
    #[arg(long)]
    quick: bool,
    /// Also the rows that take long: a log of 5,000,000 events
    #[arg(long)]
    long: bool,
    /// Only these rows of the table; may be given several times
    #[arg(long, value_enum, value_name = "ROWS")]
    only: Vec<Kind>,
    /// The folder with Maven's CSV files [default: the sample in examples/maven]
    #[arg(long, env = "MAVEN_DIR", value_name = "DIR")]
    maven: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Figures(figures::Args),
    /// A part of that, in a process of its own
    #[command(hide = true, subcommand)]
    FiguresPart(figures::Part),
}

/// As the server has: with another, figures in process would be others.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let ran = match &args.command {
        None => run(&args),
        Some(Command::Figures(args)) => figures::run(args),
        Some(Command::FiguresPart(part)) => figures::run_part(part),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    check_release()?;
    let (rounds, slice) = if args.quick { (2, Duration::from_millis(200)) } else { (7, Duration::from_secs(1)) };
    let asked = |kind: &Kind| match args.only.as_slice() {
        [] => args.long || *kind != Kind::Growth,
        only => only.contains(kind),
    };
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(asked).collect();
    let bench = Bench::new(rounds, slice, args.maven.as_deref())?;
    bench.progress.set_length((kinds.len() * rounds) as u64);
    let mut lines = Vec::new();
    // In the order of the table, whatever was asked for: the memory of the server is looked at last.
    for kind in kinds {
        lines.extend(kind.measure(&bench)?);
    }
    bench.progress.finish_and_clear();
    println!("{}\n", machine::describe(&bench)?);
    println!("{}", table::markdown(&lines));
    Ok(())
}

/// Figures of a debug build would be wrong by a factor that nobody knows.
fn check_release() -> Result<()> {
    let binary = env::var_os("BINARY_UNDER_TEST").map(PathBuf::from);
    let binary_is_release = binary.is_some_and(|binary| !binary.components().any(|part| part.as_os_str() == "debug"));
    if cfg!(debug_assertions) || !binary_is_release {
        return Err("only a release build is measured: run `just bench`, which makes one of the bench and of the \
                    binary that BINARY_UNDER_TEST names"
            .into());
    }
    Ok(())
}
