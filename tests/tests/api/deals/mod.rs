//! Deals: their life, how they are found, and what surrounds a command.

mod corrections;
mod headers;
mod life;
mod lists;
mod patch;

use dealog_tests::{Answer, Server, deal};
use serde_json::{Value, json};

use crate::server;

fn create(title: &str, more: &Value) -> Answer {
    server().post("/v1/deals", &deal(title, more)).expect(201)
}

/// The deal, as soon as the read model has come to what `answer` tells of.
fn seen(server: &Server, answer: &Answer) -> Value {
    let (id, position) = (answer.id(), answer.position());
    server.get(&format!("/v1/deals/{id}?min_position={position}")).expect(200).body
}

fn history(id: &str) -> Vec<Value> {
    server().get(&format!("/v1/deals/{id}/history")).expect(200).body["events"].as_array().unwrap().clone()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn euro(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}
