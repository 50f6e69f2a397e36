//! A server over tables of another version: it serves, and says what it does.

use dealog_tests::{Data, Database, PATIENCE, Server, company, until};
use serde_json::{Value, json};

use super::{as_usual, slowly};

#[test]
fn over_tables_of_an_earlier_version_commands_work_questions_are_told_to_come_again_and_health_says_how_far_it_is() {
    let data = company(Data::fresh());
    let server = Server::start(&data, &[]).ready();
    let before = server.answers();
    let head = server.head();
    server.stop();
    let mut views = Database::views(&data);
    views.run("UPDATE checkpoints SET version = version - 1");

    // The build cannot begin as long as somebody else writes.
    slowly(&data);
    views.hold();
    let server = Server::start(&data, &[]);
    let ready = server.not_ready().body;
    assert_eq!((&ready["ready"], &ready["head"]), (&json!(false), &json!(head)));
    let building = json!({"position": 0, "head": head});
    let told = ["company", "customers", "deals"].map(|name| {
        json!({"name": name, "position": null, "lag": null, "building": building, "leader": null, "trouble": null})
    });
    assert_eq!(ready["projections"], json!(told));
    for path in ["/v1/users".to_owned(), "/v1/deals".to_owned(), format!("/v1/settings?min_position={head}")] {
        let answer = server.get(&path).problem(503, "not_caught_up");
        assert_eq!(answer.header("retry-after"), Some("1"), "{path}");
    }
    // Figures are folded in memory, and need no tables.
    server.get(&format!("/v1/pipeline?min_position={head}")).expect(200);
    let created = server.post("/v1/customers", &json!({"name": "Meanwhile"})).expect(201);
    server.get("/health/live").expect(200);
    let state = data.projection().0["state"].as_str().unwrap().to_owned();
    assert!(state.starts_with("of an earlier version"), "{state}");

    views.let_go();
    let server = server.ready();
    until("the build should be over", PATIENCE, || {
        let ready = server.get("/health/ready");
        let is_made = |model: &Value| model["building"].is_null();
        (ready.status == 200 && ready.body["projections"].as_array().unwrap().iter().all(is_made)).then_some(())
    });
    let customer = server.get(&format!("/v1/customers/{}?min_position={}", created.id(), created.position()));
    assert_eq!(customer.expect(200).body["name"], "Meanwhile");
    let after = server.answers();
    assert_eq!(after.len(), before.len());
    server.stop();
    as_usual(&data);
    data.run(["rebuild"]).succeed();
    let server = Server::start(&data, &[]);
    assert_eq!(server.answers(), after);
    server.stop();
}

#[test]
fn tables_of_a_later_version_are_left_alone_until_somebody_asks_for_others() {
    let data = company(Data::fresh());
    data.run(["rebuild"]).succeed();
    let version = data.projection().0["version"].as_u64().unwrap();
    let mut views = Database::views(&data);
    let before = data.tables();
    views.run("UPDATE checkpoints SET version = version + 1 WHERE projection = 'deals'");
    let told = data.run(["serve", "--listen", "127.0.0.1:0", "--log", "error"]).fail();
    assert!(told.contains(&format!("version {}", version + 1)) && told.contains("dealog rebuild"), "{told}");
    assert_eq!(data.tables(), before);
    data.run(["rebuild"]).succeed();
    assert_eq!(data.projection().0["version"], version);
    Server::start(&data, &[]).ready().stop();
}

#[test]
fn a_server_whose_tables_another_version_takes_over_stops_keeping_them_and_says_so() {
    let data = company(Data::fresh());
    let server = Server::start(&data, &[]).ready();
    Database::views(&data).run("UPDATE checkpoints SET version = version + 1 WHERE projection = 'deals'");
    server.post("/v1/customers", &json!({"name": "For nobody"})).expect(201);
    let ready = until("health should say so", PATIENCE, || {
        let ready = server.get("/health/ready");
        ready.body["projections"][2]["trouble"].as_str().map(|trouble| (ready.status, trouble.to_owned()))
    });
    assert!(ready.0 == 503 && ready.1.contains("version 5"), "{ready:?}");
    server.get("/v1/deals").problem(503, "not_caught_up");
    server.stop();
}
