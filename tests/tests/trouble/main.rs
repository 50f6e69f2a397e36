//! What goes wrong in the world: a process that is killed, a disk that is full, a file that is damaged, an event that nobody can
//! read. What was acknowledged is there, what is asked is answered rightly or not at all, and whoever looks is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod damaged_log;
mod damaged_views;
mod database;
mod full_disk;
mod killed;
mod poison;
mod rebuilding;
mod upgrade;
mod workload;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use dealog_tests::{Client, Done, Run, command, repository};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// `dealog` with these arguments, over this data folder.
fn dealog(data: &Path, args: &[&str]) -> Run {
    Run::within(data.parent().unwrap()).args(args).args(["--data".as_ref(), data.as_os_str()])
}

/// What `dealog projections` says of the one that there is, and its exit code.
fn projection(data: &Path) -> (Value, Done) {
    let done = dealog(data, &["projections", "--format", "json", "--log", "error"]).end();
    let lines: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    (lines[0].clone(), done)
}

/// A data folder with the company of the importer's sample: a few hundred events, no read models.
fn company() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let maven = repository().join("examples/maven");
    let [mapping, sample] = ["mapping.toml", "sample"].map(|name| maven.join(name).display().to_string());
    dealog(&data, &["import", "--mapping", &mapping, &sample]).succeed();
    (folder, data)
}

/// Folds one event at a time, so that a build takes long enough to be met on its way; and does not wait for it.
fn slowly(folder: &TempDir) {
    let limits =
        "[limits]\nprojection_batch_events_max = 1\nprojection_build_events_max = 1\nmin_position_wait_ms = 0\n";
    fs::write(folder.path().join("dealog.toml"), limits).unwrap();
}

fn as_usual(folder: &TempDir) {
    fs::remove_file(folder.path().join("dealog.toml")).unwrap();
}

/// `dealog rebuild` on its way.
fn rebuilding(data: &Path) -> Child {
    let mut rebuild = command(data.parent().unwrap());
    rebuild.args(["rebuild", "--data"]).arg(data);
    rebuild.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Answers to fixed questions, to the byte.
fn answers(client: &Client) -> Vec<String> {
    let figures = ["pipeline", "funnel", "forecast", "time-in-stage", "win-rate", "cycle", "velocity", "board"];
    let figures = figures.map(|figure| format!("/v1/{figure}?as_of=2025-01-01"));
    let lists = ["deals?limit=500", "customers", "users", "teams", "pipelines"].map(|list| format!("/v1/{list}"));
    figures.iter().chain(&lists).map(|path| client.get(path).expect(200).text).collect()
}
