//! What goes wrong in the world: a process that is killed, a disk that is full, a file that is damaged, an event that nobody can
//! read. What was acknowledged is there, what is asked is answered rightly or not at all, and whoever looks is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod damaged_log;
mod damaged_views;
mod full_disk;
mod killed;
mod poison;
mod rebuilding;
mod tables;
mod upgrade;
mod workload;

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use dealog_tests::{Client, Data, Done, repository};
use serde_json::Value;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What `dealog projections` says of the one that there is, and its exit code.
fn projection(data: &Data) -> (Value, Done) {
    let done = data.run(["projections", "--format", "json", "--log", "error"]).end();
    let lines: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    (lines[0].clone(), done)
}

/// The company of the importer's sample: a few hundred events, no read models.
fn company(data: Data) -> Data {
    let maven = repository().join("examples/maven");
    let [mapping, sample] = ["mapping.toml", "sample"].map(|name| maven.join(name).display().to_string());
    data.run(["import", "--mapping", &mapping, &sample]).succeed();
    data
}

/// Folds one event at a time, so that a build takes long enough to be met on its way; and does not wait for it.
fn slowly(data: &Data) {
    data.set("[limits]\nprojection_batch_events_max = 1\nprojection_build_events_max = 1\nmin_position_wait_ms = 0\n");
}

fn as_usual(data: &Data) {
    data.set("");
}

/// `dealog rebuild` on its way.
fn rebuilding(data: &Data) -> Child {
    let mut rebuild = data.command();
    rebuild.arg("rebuild").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Answers to fixed questions, to the byte.
fn answers(client: &Client) -> Vec<String> {
    let figures = ["pipeline", "funnel", "forecast", "time-in-stage", "win-rate", "cycle", "velocity", "board"];
    let figures = figures.map(|figure| format!("/v1/{figure}?as_of=2025-01-01"));
    let lists = ["deals?limit=500", "customers", "users", "teams", "pipelines"].map(|list| format!("/v1/{list}"));
    figures.iter().chain(&lists).map(|path| client.get(path).expect(200).text).collect()
}
