//! A mistake in a task that others depend on costs what it had in hand, and nothing after that.

use dealog_tests::{Data, PATIENCE, Server, deal, until};
use serde_json::json;

/// A server over a company that is there, with a mistake planted.
fn server_with(data: &Data, failpoints: &str) -> Server {
    Server::start(data, &[]).ready().stop();
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("FAILPOINTS", failpoints);
    Server::of(command)
}

/// The mistake was made, the task was started again, and the server can do its work.
fn is_well(server: &Server, task: &str) {
    let restarted = format!("dealog_task_restarts_total{{task=\"{task}\"}} 1");
    until("the task should be started again", PATIENCE, || {
        server.get("/metrics").expect(200).text.contains(&restarted).then_some(())
    });
    server.logged("a task failed, and is started again");
    until("the server should be ready", PATIENCE, || (server.get("/health/ready").status == 200).then_some(()));
}

#[test]
fn a_command_in_the_hands_of_an_appender_that_fails_is_in_doubt_and_later_ones_are_carried_out() {
    let data = Data::fresh();
    let server = server_with(&data, "appender=1*panic(planted)->off");
    let send =
        || server.call("POST", "/v1/deals").header("idempotency-key", "the same").json(&deal("A deal", &json!({})));
    send().send().problem(503, "in_doubt");
    let created = send().send().expect(201);
    assert_eq!(send().send().expect(201).body["replayed"], true);
    server.get(&format!("/v1/deals/{}?min_position={}", created.id(), created.position())).expect(200);
    is_well(&server, "appender");
    server.stop();
}

#[test]
fn subscribers_of_a_feed_that_fails_miss_nothing_and_are_not_sent_away() {
    let data = Data::fresh();
    let server = server_with(&data, "feed=4*off->1*panic(planted)->off");
    let mut stream = server.subscribe("");
    stream.expect("position");
    for index in 0..20 {
        let created = server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
        assert_eq!(stream.expect("deal.created").id, Some(created.position()));
    }
    is_well(&server, "feed");
    drop(stream);
    server.stop();
}

#[test]
fn read_models_whose_worker_fails_catch_up() {
    let data = Data::fresh();
    let server = server_with(&data, "worker=3*off->1*panic(planted)->off");
    is_well(&server, "models");
    for index in 0..5 {
        let created = server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
        server.get(&format!("/v1/deals/{}?min_position={}", created.id(), created.position())).expect(200);
    }
    server.stop();
}
