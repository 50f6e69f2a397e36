//! `dealog`: the command line. This is the only place that knows all rooms; it wires them and decides nothing.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what is printed goes through `out`, which does not panic"
)]

mod backup;
mod check;
mod cli;
mod company;
mod copy;
mod demo;
mod files;
mod import;
mod limits;
mod migrate;
mod open;
mod open_files;
mod out;
mod projections;
mod replay;
mod serve;
mod settings;
mod telemetry;
mod token;

use std::{env, process::ExitCode};

use clap::Parser;
use mimalloc::MiMalloc;

/// Gives memory back to the system: what a build of the read models used would otherwise stay with the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    dealog_store::failpoints::set_up();
    files::keep_private();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::note(format_args!("error: the runtime could not be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut log = None;
    let done = runtime.block_on(cli.run(&mut log));
    // What is still under way on other threads was given its time.
    runtime.shutdown_background();
    let code = if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match (done, &log) {
        (Err(error), Some(log)) => log.line(&out::said(&format!("error: {error}"))),
        (Err(error), None) => out::note(format_args!("error: {error}")),
        (Ok(()), _) => {}
    }
    if let Some(log) = log {
        log.flush();
    }
    code
}

/// What was typed is no command, or asks for help. The message repeats arguments, of which one may be an address with a
/// password, at whatever place it was typed.
fn refused(error: &clap::Error) -> ExitCode {
    let tails = env::args_os().filter_map(|argument| Some(argument.to_str()?.split_once("://")?.1.to_owned()));
    let tails: Vec<String> = tails.filter(|tail| !tail.is_empty()).collect();
    if tails.is_empty() {
        // Where it cannot be written, nobody misses it.
        let _ = error.print();
    } else {
        let text = tails.iter().fold(error.to_string(), |text, tail| text.replace(tail, "***"));
        out::note(text.trim_end());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX))
}
