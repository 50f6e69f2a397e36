//! A disk that takes no more: commands are refused and may be sent again, questions go on, and nothing is lost.

use std::{sync::atomic::AtomicUsize, time::Duration};

use dealog_tests::{Data, Server, deal, until};
use serde_json::json;

use dealog_tests::workload::{FOUNDING, Sent, check_log, views, work};

/// How long a file may become: enough to begin a company and fill it for a while.
const FILE_BYTES_MAX: u64 = 1_500_000;

const DEALS: usize = 300;

/// Works until the disk takes no more.
fn work_until_refused(server: &Server, name: &str) -> Vec<Sent> {
    let sent = work(&server.client(), name, &AtomicUsize::new(0));
    let refused = sent.last().unwrap().refused.as_ref().expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(["unavailable", "in_doubt"].contains(&refused.body["code"].as_str().unwrap()), "{}", refused.text);
    sent
}

/// What `rebuild` makes of the log is what the server says.
fn figures_are_those_of_a_rebuild(data: &Data) {
    let server = Server::start(data, &[]);
    let before = views(&server);
    server.stop();
    data.run(["check"]).succeed();
    data.run(["rebuild"]).succeed();
    let server = Server::start(data, &[]);
    assert_eq!(views(&server), before, "the read models are not what a rebuild makes");
    server.stop();
}

#[test]
fn a_server_on_a_full_disk_refuses_commands_and_loses_nothing() {
    let data = Data::on_sqlite();
    let server = Server::start_on_a_full_disk(&data, FILE_BYTES_MAX);
    let mut sent = work_until_refused(&server, "first");
    assert!(sent.len() > 20, "the disk was full from the start");
    // It goes on refusing, and answering questions.
    for name in ["second", "third"] {
        sent.extend(work_until_refused(&server, name));
    }
    let health = server.not_ready().body;
    assert!(health["trouble"].as_str().is_some_and(|trouble| trouble.contains("disk")), "{health}");
    check_log(&server.events(), &sent);
    server.get("/v1/deals").expect(200);
    server.get("/v1/pipeline").expect(200);
    server.get("/health/live").expect(200);
    let log = server.stop();
    assert!(!log.contains("panicked"), "{log}");

    // It also starts on a disk that is full already.
    let server = Server::start_on_a_full_disk(&data, FILE_BYTES_MAX / 16);
    sent.extend(work_until_refused(&server, "fourth"));
    server.get("/v1/deals").expect(200);
    server.kill9();

    let server = Server::start(&data, &[]);
    check_log(&server.events(), &sent);
    for command in sent.iter_mut().filter(|command| command.acknowledged.is_none()) {
        command.send(&server);
        assert!(command.acknowledged.is_some(), "{:?}", command.refused);
    }
    for command in &sent {
        command.is_remembered(&server);
    }
    let events = server.events();
    check_log(&events, &sent);
    assert_eq!(events.len(), FOUNDING + sent.len(), "one event for each command");
    server.stop();
    figures_are_those_of_a_rebuild(&data);
}

#[cfg(target_os = "linux")]
#[test]
fn readiness_says_that_the_disk_is_full_and_when_it_is_not_any_more() {
    let data = Data::on_sqlite();
    let server = Server::start_on_a_full_disk(&data, FILE_BYTES_MAX / 4);
    let mut sent = work_until_refused(&server, "first");
    let full = server.not_ready().body;
    assert!(full["trouble"].as_str().is_some_and(|trouble| trouble.contains("disk")), "{full}");
    server.has_room_again();
    until("it should be ready again", Duration::from_secs(20), || {
        let ready = server.get("/health/ready");
        (ready.status == 200 && ready.body["trouble"].is_null()).then_some(())
    });
    let refused = sent.last_mut().unwrap();
    refused.send(&server);
    assert!(refused.acknowledged.is_some(), "{:?}", refused.refused);
    server.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn read_models_that_find_no_room_fall_behind_and_commands_go_on() {
    let data = Data::on_sqlite();
    Server::start(&data, &[]).stop();
    let server = Server::start(&data, &["--no-workers"]);
    for index in 0..DEALS {
        server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
    }
    server.stop();

    // Room for a few commands, and not for what all of these make of the read models.
    let server = Server::start_on_a_full_disk(&data, FILE_BYTES_MAX / 12);
    let health = until("the worker should say that it waits", Duration::from_secs(20), || {
        let health = server.get("/health/ready");
        (!health.body["projections"][0]["trouble"].is_null()).then_some(health)
    });
    assert_eq!((health.status, &health.body["ready"]), (503, &json!(false)));
    let projection = &health.body["projections"][0];
    assert!(projection["trouble"].as_str().unwrap().contains("disk"), "{projection}");
    assert_eq!(projection["position"], FOUNDING);
    let created = server.post("/v1/deals", &deal("All the same", &json!({}))).expect(201);
    let known = server.get("/v1/deals").expect(200).body;
    assert_eq!((&known["position"], &known["deals"]), (&json!(FOUNDING), &json!([])), "half of a fold is seen");
    // A board speaks of where the models are, and keeps nobody waiting for them.
    let board = server.get("/v1/board").expect(200).body;
    assert_eq!((&board["position"], &board["columns"][0]["deals"]), (&json!(FOUNDING), &json!(0)));
    server.get(&format!("/v1/deals?min_position={}", created.position())).problem(503, "not_caught_up");
    // A stop brings the journal into the file, which takes room too.
    server.has_room_again();
    let log = server.stop();
    assert!(!log.contains("panicked"), "{log}");

    let server = Server::start(&data, &[]);
    let page = format!("/v1/deals?limit=500&min_position={}", server.head());
    assert_eq!(server.get(&page).expect(200).body["deals"].as_array().unwrap().len(), DEALS + 1);
    server.stop();
    figures_are_those_of_a_rebuild(&data);
}
