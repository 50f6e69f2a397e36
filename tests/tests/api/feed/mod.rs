//! The live feed: the log as it grows, as Server-Sent Events.

mod cut_off;
mod ends;
mod following;
mod slow;

use dealog_tests::{Answer, Client, Data, Server, deal};
use serde_json::json;

/// A server with limits of its own.
fn server_with(limits: &str) -> Server {
    Server::with(Data::fresh().with_limits(limits), &[])
}

fn create(client: &Client, title: &str) -> Answer {
    client.post("/v1/deals", &deal(title, &json!({}))).expect(201)
}
