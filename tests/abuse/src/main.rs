//! `just abuse`: those who work hardly notice those who misuse the server.
//!
//! A seller, an analyst and a subscriber work at the sample company: first alone, then while everything is done to the server
//! that we could think of, then alone again. The parts: [`company`] (the server and who may call it), [`work`] (those whose
//! waiting is measured), [`attacks`] (a file for each kind) and this driver. It knows Dealog as its users do, by HTTP and the
//! command line, and sends nothing to any other address than this machine's loopback ones.

mod attacks;
mod broken;
mod company;
mod connection;
mod measure;
mod report;
mod work;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, ValueEnum};
use dealog_tests::Client;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    attacks::{Kind, Tally},
    broken::{Broken, Result},
    company::Company,
    measure::Holdings,
    report::{Bounds, Report},
    work::{Diary, Seen},
};

/// Connections that are open here at the same time, and some files for all else.
const FILES: u64 = 4_096;
/// How long after the attacks everything must be as it was before them.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long those who work have to get going before it counts.
const WARM_UP: Duration = Duration::from_secs(3);

/// Misuses a server in every way we could think of, all at once, and measures what those who work notice of it
#[derive(Debug, Parser)]
#[command(
    after_help = "It needs a release build in BINARY_UNDER_TEST, as `just abuse` makes one, and Linux, where one machine \
                        has many loopback addresses. Exit code 1 means that a bound was passed: the table says which."
)]
struct Args {
    /// How long the attacks last, in seconds
    #[arg(default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Only this kind of attack; may be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    only: Vec<Kind>,
    /// Where the company's data is
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    database: Backend,
    /// Do not bound how long those who work wait, which means nothing for a debug build or on a machine that does other things;
    /// all other bounds hold
    #[arg(long)]
    any_latency: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// Files in a folder
    Sqlite,
    /// The server that `TEST_POSTGRES` names
    Postgres,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(broken) => {
            eprintln!("error: {broken}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all bounds were kept.
fn run(args: &Args) -> Result<bool> {
    allow_files()?;
    // Outside of the runtime: its clients block.
    let company = Company::new(args.database)?;
    let admin = company.server.client().with_token(&company.callers.admin);
    let runtime = tokio::runtime::Runtime::new()?;
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} s")?);
    let diary = Arc::<Diary>::default();
    let working = runtime.block_on(async { work::start(&company.callers, &diary) });
    let phase = |name: &'static str, seconds: u64| runtime.block_on(wait(&bar, name, Duration::from_secs(seconds)));

    let quiet = (args.seconds / 5).clamp(5, 60);
    phase("warming up", WARM_UP.as_secs());
    diary.take();
    phase("working alone", quiet);
    let alone = diary.take();
    let before = Holdings::of(&company.server, &admin)?;

    let mut attacking = JoinSet::new();
    let tallies = runtime.block_on(async { attack(args, &company, &mut attacking) });
    phase("under attack", args.seconds);
    let attacked = diary.take();
    let during = Holdings::of(&company.server, &admin)?;
    runtime.block_on(end(attacking))?;

    phase("recovering", RECOVERY.as_secs());
    diary.take();
    let after = Holdings::of(&company.server, &admin)?;
    let ready = is_ready(&company.server.client());
    phase("working alone again", quiet);
    let again = diary.take();
    drop(working);
    bar.finish_and_clear();

    let report = Report { alone, attacked, again, before, during, after, ready };
    let bounds = Bounds { latency: !args.any_latency };
    for (kind, tally) in tallies {
        println!("{}: {}", kind.name(), tally.told());
    }
    let kept = report.print(&bounds);
    // In good order, as after any other day.
    runtime.shutdown_timeout(RECOVERY);
    company.server.stop();
    Ok(kept)
}

fn attack(args: &Args, company: &Company, attacking: &mut JoinSet<Result<()>>) -> Vec<(Kind, Arc<Tally>)> {
    let kinds = Kind::value_variants().iter().copied();
    let kinds = kinds.filter(|kind| args.only.is_empty() || args.only.contains(kind));
    kinds.map(|kind| (kind, attacks::start(kind, &company.callers, attacking))).collect()
}

/// Ends all attacks. One that ended by itself could not do what it was to do.
async fn end(mut attacking: JoinSet<Result<()>>) -> Result<()> {
    attacking.abort_all();
    while let Some(ended) = attacking.join_next().await {
        match ended {
            Ok(Ok(())) => return Err(Broken("an attack ended by itself".into())),
            Ok(Err(broken)) => return Err(Broken(format!("an attack could not be carried out: {broken}"))),
            Err(error) if error.is_cancelled() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn wait(bar: &ProgressBar, name: &'static str, time: Duration) {
    bar.set_message(name);
    bar.set_length(time.as_secs());
    bar.set_position(0);
    for _ in 0..time.as_secs() {
        sleep(Duration::from_secs(1)).await;
        bar.inc(1);
    }
}

fn is_ready(client: &Client) -> bool {
    client.get("/health/ready").status == 200
}

/// The server inherits the limit that this process has now, and not what it raises for itself.
fn allow_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= FILES) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), maximum }).map_err(|error| {
        Broken(format!("{FILES} files have to be open at once: raise the hard limit (ulimit -Hn): {error}"))
    })
}
