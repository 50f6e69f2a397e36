//! A server does its work whatever the database or its role sets for their sessions, and tells in its own words what passes by
//! itself.

use std::thread;

use dealog_test_postgres::Postgres;
use dealog_tests::{Data, Database, PATIENCE, Server, deal, until};
use serde_json::{Value, json};

const CLIENTS: usize = 8;
const COMMANDS: usize = 25;

/// Settings that others may need, and that a server must not depend on.
const SETTINGS: [&str; 6] = [
    "default_transaction_isolation = 'serializable'",
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_read_only = on",
    "search_path = 'nowhere'",
    "statement_timeout = '50ms'",
    "standard_conforming_strings = off",
];

#[test]
fn no_command_and_no_question_fails_whatever_the_role_sets_for_its_sessions() {
    let postgres = Postgres::start();
    // Its session is as it was when it began.
    let mut admin = Database::at(&postgres.url());
    for setting in SETTINGS {
        let data = Data::within(postgres.fresh());
        admin.run(&format!("ALTER ROLE dealog SET {setting}"));
        let server = Server::start(&data, &[]);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let client = server.client();
                scope.spawn(move || {
                    for _ in 0..COMMANDS {
                        let created = client.post("/v1/deals", &deal("Whatever is set", &json!({}))).expect(201);
                        let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
                        client.get(&path).expect(200);
                        client.get("/v1/pipeline").expect(200);
                        client.get("/v1/deals").expect(200);
                    }
                });
            }
        });
        server.stop();
        data.run(["rebuild"]).succeed();
        data.run(["check"]).succeed();
        admin.run("ALTER ROLE dealog RESET ALL");
    }
}

/// A problem of the code `unavailable` that may be tried again, without a word of the database's.
fn passes(status: u16, text: &str, body: &Value, retry_after: Option<&str>) {
    assert_eq!((status, &body["code"]), (503, &json!("unavailable")), "{text}");
    assert!(retry_after.is_some(), "{text}");
    for word in ["canceling", "terminat", "error returned", "statement", "relation", "administrator"] {
        assert!(!text.contains(word), "`{word}` in {text}");
    }
}

#[test]
fn a_statement_that_is_canceled_or_whose_session_is_ended_may_be_tried_again() {
    let data = Data::on_postgres();
    let server = Server::start(&data, &[]).ready();
    let url = data.database().unwrap();
    // What each waits for, until its statement is ended.
    for (lock, method, path) in [
        ("log.events", "GET", "/v1/events?after=0"),
        ("views.checkpoints", "GET", "/v1/deals"),
        ("views.deals", "GET", "/v1/deals"),
        ("log.commands", "POST", "/v1/deals"),
    ] {
        for end in ["pg_cancel_backend", "pg_terminate_backend"] {
            let mut other = Database::at(url);
            other.run(&format!("BEGIN; LOCK TABLE {lock} IN ACCESS EXCLUSIVE MODE"));
            let answer = thread::scope(|scope| {
                let client = server.client();
                let asked = scope.spawn(move || match method {
                    "GET" => client.get(path),
                    _ => client.post(path, &deal("Canceled", &json!({}))),
                });
                let mut watcher = Database::at(url);
                let sql = format!(
                    "SELECT count({end}(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = \
                     'Lock'"
                );
                // The worker of the read models may be among them, and comes again.
                until("the request should be answered", PATIENCE, || {
                    watcher.number(&sql);
                    asked.is_finished().then_some(())
                });
                asked.join().unwrap()
            });
            passes(answer.status, &answer.text, &answer.body, answer.header("retry-after"));
            other.run("ROLLBACK");
        }
    }
    let health = server.get("/health/ready");
    assert!(!health.text.contains("error returned"), "{}", health.text);
    server.post("/v1/deals", &deal("After all", &json!({}))).expect(201);
    server.stop();
}
