//! The live feed: the log as it grows, as Server-Sent Events.

mod cut_off;
mod ends;
mod following;
mod slow;

use std::fs;

use dealog_tests::{Answer, Client, Server, deal};
use serde_json::json;
use tempfile::TempDir;

/// A server with limits of its own.
fn server_with(limits: &str) -> (Server, TempDir) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("dealog.toml"), format!("[limits]\n{limits}")).unwrap();
    (Server::start(&folder.path().join("data"), &[]), folder)
}

fn create(client: &Client, title: &str) -> Answer {
    client.post("/v1/deals", &deal(title, &json!({}))).expect(201)
}
