//! `dealog`: the command line. This is the only place that knows all rooms; it wires them and decides nothing.

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
mod projections;
mod replay;
mod serve;
mod settings;
mod telemetry;
mod token;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Gives memory back to the system: what a build of the read models used would otherwise stay with the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    dealog_store::failpoints::set_up();
    files::keep_private();
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
