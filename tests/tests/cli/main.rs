//! The command line, and processes that end: well, badly, or with a bang.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod demo;
mod help;
mod import;
mod maven;
mod output;
mod rebuild;
mod replay;
mod secrets;
mod serve;
mod settings;

use dealog_tests::Data;
use serde_json::Value;

/// The whole log, as `replay` prints it for programs.
fn log_of(data: &Data) -> String {
    data.run(["replay", "--format", "jsonl"]).succeed().stdout
}

/// The events of a log, a JSON object a line.
fn events(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a log says, whenever it was recorded.
fn without_recorded_at(log: &str) -> Vec<Value> {
    let mut events = events(log);
    for event in &mut events {
        assert!(event.as_object_mut().unwrap().remove("recorded_at").is_some());
    }
    events
}
