//! PostgreSQL crashes under load, or loses one of its processes: a server goes on by itself when it is back, and nothing that
//! was acknowledged is lost.

use dealog_test_postgres::Postgres;
use dealog_tests::{
    Data, Server,
    workload::{FOUNDING, Load, check_log, views},
};
use serde_json::json;

const CLIENTS: usize = 8;
/// Answers between one crash and the next.
const ANSWERS: usize = 100;
const CRASHES: usize = 2;

#[test]
fn a_server_goes_on_after_each_crash_of_its_database_and_nothing_acknowledged_is_lost() {
    let postgres = Postgres::start();
    let database = postgres.fresh();
    let url = database.url().to_owned();
    let data = Data::within(database);
    let server = Server::start(&data, &[]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| vec![server.client()]).collect();
    let ((), sent) = Load::beside(&clients, |load| {
        load.answered(ANSWERS);
        for crash in 0..CRASHES {
            postgres.crash();
            server.get("/health/live").expect(200);
            for path in ["/v1/deals", "/v1/events?after=0"] {
                let refused = server.get(path);
                assert_eq!((refused.status, &refused.body["code"]), (503, &json!("unavailable")), "{path}");
                assert!(refused.header("retry-after").is_some(), "{path}");
            }
            postgres.start_again();
            load.answered(ANSWERS);
            assert!(postgres.kill_backend(&url, crash), "nobody is connected");
            load.answered(ANSWERS);
        }
    });
    let events = server.events();
    check_log(&events, &sent);
    assert_eq!(events.len(), FOUNDING + sent.len(), "one event for each command");
    for command in sent.iter().step_by(10) {
        command.is_remembered(&server);
    }

    let before = views(&server);
    let log = server.stop();
    assert!(!log.contains("panicked"), "{log}");
    data.run(["check"]).succeed();
    data.run(["rebuild"]).succeed();
    assert_eq!(views(&Server::start(&data, &[])), before, "the read models are not what a rebuild makes");
}
