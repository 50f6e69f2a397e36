//! `just bench-figures`: figures from the image in memory, beside the same questions in SQL to DuckDB on Parquet files.
//!
//! Both answer from the same log, in the same run, and the numbers of their answers must be equal: a quick wrong answer is worth
//! nothing. Each part of the work that needs memory of its own is a process of its own, so that nothing that one part has left behind
//! hides in what the next one takes.

mod company;
mod course;
mod dice;
mod duckdb;
mod export;
mod fold;
mod log;
mod numbers;
mod questions;
mod report;
mod served;
mod time;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use clap::Parser;
use dealog_events::{PipelineId, Position};
use dealog_figures::{Grouping, Image, Question, pipeline};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::{self, Runtime};

use self::{
    fold::Snapshot,
    numbers::Numbers,
    questions::Asked,
    report::{Line, Report},
};
use crate::{Result, machine};

/// Asks for figures as of now and as of the past, from the image in memory, and DuckDB the same in SQL.
///
/// It writes a log of six years of deals into an SQLite file, folds it into the image, asks each question several times, exports the
/// same log to Parquet files, lets DuckDB answer the same questions on them, and compares the answers. Then it serves a copy of the
/// log, and measures how long that takes to open, and what analysts and commands notice of each other. What it prints are two tables
/// in Markdown, with a missed target marked as such. If one number of an answer differs, it fails and says which.
///
/// The log of 1,000,000 deals, its copy and the read models take some 20 gigabytes (in TMPDIR, unless `--keep` names a folder).
/// The log is the same in every run.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Deals in a new log, with some eight events each; has no effect on an existing log
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    deals: u64,
    /// How often each question is asked; the table has the medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(7..))]
    runs: u16,
    /// Keep the log and all that is made of it in this folder; what is already there is used [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// A part of the work, in a process of its own.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Part {
    /// Writes the log, and prints how many events it has and how many microseconds that took
    Log {
        /// The file
        log: PathBuf,
        /// Deals in it
        deals: u64,
    },
    /// Writes the tables of a log as CSV files
    Export {
        /// The log
        log: PathBuf,
        /// Where to
        folder: PathBuf,
    },
}

/// The log's file in the folder of a run.
const LOG: &str = "log.db";

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::check_release()?;
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let log = folder.join(LOG);
    let written = if log.exists() { None } else { Some(write_log(&log, args.deals)?) };
    let runtime = runtime()?;
    let progress = bar("fold", "events")?;
    let folded = runtime.block_on(fold::fold(&log, &folder, &progress))?;
    progress.finish_and_clear();
    let (asked, proof, runs) = (Asked::all(), folded.proof, usize::from(args.runs));
    let middle = Position(proof.position.0 / 2);
    let (deals, (answers, snapshot)) = {
        let (asked, folder, figures) = (asked.clone(), folder.clone(), folded.figures);
        let answers = figures.ask(move |image| -> Result<_> {
            Ok((image.len(), answers(image, &asked, middle, runs, &folder, &proof)?))
        });
        // What is asked for owns the figures: with it goes the image, before DuckDB needs the memory.
        runtime.block_on(answers)??
    };
    part("export", [log.as_os_str(), folder.as_os_str()])?;
    let duckdb = duckdb::answers(&folder, &asked, middle, runs)?;
    let lines = lines(&asked, answers, duckdb.answers)?;
    let report = Report {
        here: runtime.block_on(machine::here())?,
        duckdb: duckdb.version,
        runs,
        deals,
        events: proof.position.0,
        written,
        log_bytes: log.metadata()?.len(),
        fold: folded.took,
        megabytes: folded.megabytes,
        snapshot,
        lines,
    };
    println!("{}", report.markdown());
    println!("{}", served::measure(&folder)?);
    Ok(())
}

pub(crate) fn run_part(part: &Part) -> Result<()> {
    let runtime = runtime()?;
    match part {
        Part::Log { log, deals } => {
            let progress = bar("log", "deals")?;
            progress.set_length(*deals);
            let written = runtime.block_on(log::write(log, *deals, &progress))?;
            progress.finish_and_clear();
            println!("{} {}", written.events, written.took.as_micros());
        }
        Part::Export { log, folder } => {
            let progress = bar("export", "events")?;
            runtime.block_on(export::export(log, folder, &progress))?;
            progress.finish_and_clear();
        }
    }
    Ok(())
}

fn runtime() -> Result<Runtime> {
    Ok(runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn bar(what: &'static str, unit: &str) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template(&format!(
        "{{msg:12}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{elapsed}}"
    ))?;
    Ok(ProgressBar::new(0).with_style(style).with_message(what))
}

/// Runs a part of the work in a process of its own, and gives what it prints.
fn part<'a>(name: &str, args: impl IntoIterator<Item = &'a std::ffi::OsStr>) -> Result<String> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg("figures-part").arg(name).args(args).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn write_log(log: &Path, deals: u64) -> Result<log::Written> {
    let printed = part("log", [log.as_os_str(), deals.to_string().as_ref()])?;
    let (events, micros) = printed.trim().split_once(' ').ok_or("the log's process printed something else")?;
    Ok(log::Written { events: events.parse()?, took: Duration::from_micros(micros.parse()?) })
}

/// The numbers of each question and its milliseconds, and what a snapshot takes.
fn answers(
    image: &Image,
    asked: &[Asked],
    middle: Position,
    runs: usize,
    folder: &Path,
    proof: &dealog_figures::Proof,
) -> Result<(Vec<(Numbers, f64)>, Snapshot)> {
    let progress = bar("image", "questions")?;
    progress.set_length(asked.len() as u64);
    let board = first_pipeline(image)?;
    let mut answers = Vec::with_capacity(asked.len());
    for asked in asked {
        answers.push(asked.ask(image, board, middle, runs)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok((answers, fold::snapshot(image, proof, folder)?))
}

fn first_pipeline(image: &Image) -> Result<PipelineId> {
    let filter = dealog_figures::Filter::default();
    let grouping = Grouping { by: Vec::new(), groups_max: 1 };
    let question = Question { now: time::at(time::END)?, as_of: None, known_at: None, filter, grouping };
    let answer = pipeline(image, &question)?;
    Ok(answer.grouped.figures.pipelines.first().ok_or("the log has no pipeline")?.pipeline)
}

/// The lines of the table. One number that differs ends it.
fn lines(asked: &[Asked], dealog: Vec<(Numbers, f64)>, duckdb: Vec<duckdb::Answer>) -> Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(asked.len());
    let mut wrong = Vec::new();
    for ((asked, (numbers, dealog_ms)), answer) in asked.iter().zip(dealog).zip(duckdb) {
        let differences = numbers::differences(&numbers, &answer.numbers);
        if !differences.is_empty() || numbers.is_empty() {
            wrong.push(format!("{} ({} numbers)\n  {}", asked.title(), numbers.len(), differences.join("\n  ")));
        }
        lines.push(Line { asked: *asked, dealog_ms, duckdb_ms: answer.ms });
    }
    if !wrong.is_empty() {
        return Err(format!("Dealog and DuckDB give different answers:\n{}", wrong.join("\n")).into());
    }
    Ok(lines)
}
