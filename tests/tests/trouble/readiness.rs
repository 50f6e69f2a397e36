//! Readiness says whether a command could be carried out, and not whether something answers.

use std::time::{Duration, Instant};

use dealog_tests::{Answer, Data, Database, Dialect, PATIENCE, Server, deal, until};
use serde_json::json;

/// An orchestrator does not wait for longer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

fn ready(server: &Server) -> Answer {
    let asked = Instant::now();
    let ready = server.get("/health/ready");
    assert!(asked.elapsed() < ANSWER_MAX, "it took {:?}", asked.elapsed());
    assert_eq!(ready.body["ready"], ready.status == 200, "{}", ready.text);
    ready
}

#[test]
fn a_server_whose_log_another_process_keeps_locked_is_not_ready_until_it_lets_go() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]).ready();
    let mut other = Database::log(&data);
    other.run(match other.dialect() {
        Dialect::Sqlite => "BEGIN IMMEDIATE",
        Dialect::Postgres => "BEGIN; SELECT 1 FROM head FOR UPDATE",
    });
    // What was written a moment ago stays an answer for a moment.
    let told = until("it should notice", PATIENCE, || Some(ready(&server)).filter(|told| told.status == 503));
    let trouble = told.body["trouble"].as_str().expect("a reason");
    assert!(["the log does not come to write", "another process keeps the log locked"].contains(&trouble), "{trouble}");
    assert_eq!(told.body["projections"][0]["trouble"], json!(null), "{}", told.text);
    server.get("/health/live").expect(200);
    server.get("/v1/deals").expect(200);
    other.run("ROLLBACK");
    until("it should be ready again", PATIENCE, || (ready(&server).status == 200).then_some(()));
    server.post("/v1/deals", &deal("A deal", &json!({}))).expect(201);
    assert_eq!(ready(&server).expect(200).body["trouble"], json!(null));
    server.stop();
}

#[test]
fn to_ask_whether_it_is_ready_appends_nothing() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]).ready();
    let before = server.events();
    for _ in 0..20 {
        ready(&server).expect(200);
    }
    assert_eq!(server.events(), before);
    server.stop();
    data.run(["check"]).succeed();
}
