//! Whether the server lives and is ready.

use std::time::Duration;

use dealog_tests::{Server, deal, until};
use serde_json::json;

use crate::server;

#[test]
fn a_server_that_answers_is_alive() {
    assert_eq!(server().get("/health/live").expect(200).body, json!({"status": "live"}));
}

#[test]
fn a_server_is_ready_and_its_read_models_catch_up() {
    let server = Server::of_a_new_company(&[]);
    for index in 0..20 {
        server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
    }
    let ready = until("the lag should become 0", Duration::from_secs(10), || {
        let ready = server.get("/health/ready").expect(200).body;
        ready["projections"].as_array().unwrap().iter().all(|model| model["lag"] == 0).then_some(ready)
    });
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["head"], server.head());
    let leader = ready["projections"][0]["leader"].clone();
    assert!(leader.as_str().is_some_and(|leader| leader.contains(':')), "{leader}");
    let models = ["company", "customers", "deals"].map(|name| {
        json!({"name": name, "position": server.head(), "lag": 0, "building": null, "leader": leader, "trouble": null})
    });
    assert_eq!(ready["projections"], json!(models));
}
