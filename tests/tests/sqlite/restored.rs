//! A log that was restored from a backup and written to again has other events at positions that somebody may have seen. Whoever
//! proves by a cursor which history they have seen is told; a read model or a snapshot of the other history is not used.

use std::{fs, time::Duration};

use dealog_tests::{Data, Server, deal, until};
use serde_json::{Value, json};

/// What was there before the log was restored.
struct Before {
    data: Data,
    /// The cursor of its end.
    cursor: String,
    head: u64,
}

/// A log with twenty deals, of which a backup had five; what it has now is as long, and other.
fn restored() -> Before {
    let data = Data::on_sqlite().with_limits("figures_last_snapshot_events_min = 1");
    let create = |server: &Server, count: usize, amount: &str| {
        for index in 0..count {
            let amount = json!({"amount": {"amount": amount, "currency": "EUR"}});
            server.post("/v1/deals", &deal(&format!("Deal {index}"), &amount)).expect(201);
        }
    };
    let server = Server::start(&data, &["--currency", "EUR"]);
    create(&server, 5, "1.00");
    server.stop();
    let log = data.folder().join("log.db");
    let backup = fs::read(&log).unwrap();
    let server = Server::start(&data, &[]);
    create(&server, 15, "1.00");
    let head = server.head();
    let page = server.get(&format!("/v1/events?after={}", head - 1)).expect(200).body;
    let cursor = page["next"].as_str().unwrap().to_owned();
    assert_eq!(cursor.split('-').next(), Some(head.to_string().as_str()));
    server.stop();
    fs::write(&log, backup).unwrap();
    fs::remove_file(data.folder().join("views.db")).unwrap();
    Before { data, cursor, head }
}

impl Before {
    /// A server over what was restored, which is written to until it is longer than it was before.
    fn go_on(&self) -> Server {
        let server = Server::start(&self.data, &[]);
        while server.head() <= self.head {
            let amount = json!({"amount": {"amount": "100.00", "currency": "EUR"}});
            server.post("/v1/deals", &deal("Another", &amount)).expect(201);
        }
        server
    }
}

#[test]
fn a_page_of_events_and_a_stream_are_refused_to_a_cursor_of_the_other_history() {
    let before = restored();
    let server = Server::start(&before.data, &[]);
    let pages = format!("/v1/events?after={}", before.cursor);
    let short = server.get(&pages).problem(409, "other_history");
    assert!(short.body["detail"].as_str().unwrap().contains("the log ends at"), "{}", short.text);
    server.stop();

    let server = before.go_on();
    let page = server.get(&pages).problem(409, "other_history");
    assert_eq!(page.body["field"], "after");
    let stream = server.call("GET", "/v1/events/stream").header("Last-Event-ID", &before.cursor).send();
    let stream = stream.problem(409, "other_history");
    assert_eq!(stream.body["field"], "Last-Event-ID");
    server.get(&format!("/v1/events/stream?after={}", before.cursor)).problem(409, "other_history");
    // A bare position is taken at its word, and a cursor of this history is one.
    server.get(&format!("/v1/events?after={}", before.head)).expect(200);
    let page = server.get(&format!("/v1/events?limit=3&after={}", before.head - 3)).expect(200).body;
    server.get(&format!("/v1/events?after={}", page["next"].as_str().unwrap())).expect(200);
    server.stop();
}

#[test]
fn figures_are_not_begun_with_a_snapshot_of_the_other_history() {
    let before = restored();
    assert!(before.data.folder().join("figures.snapshot").exists(), "there is no snapshot to begin with");
    let server = before.go_on();
    let deals = server.events().iter().filter(|event| event["type"] == "deal.created").count() as u64;
    let total = server.get(&format!("/v1/pipeline?min_position={}", server.head())).expect(200).body["total"].clone();
    assert_eq!(total["deals"], deals);
    assert_eq!(total["amount"]["amount"], format!("{}.00", 5 + 100 * (deals - 5)));
    server.stop();
}

#[test]
fn figures_begin_with_their_snapshot_and_without_one_that_is_damaged() {
    let data = Data::on_sqlite().with_limits("figures_last_snapshot_events_min = 1");
    let server = Server::start(&data, &[]);
    server.post("/v1/deals", &deal("First", &json!({}))).expect(201);
    server.stop();
    let snapshot = data.folder().join("figures.snapshot");
    let deals = |server: &Server| -> Value {
        let answer = server.get(&format!("/v1/pipeline?min_position={}", server.head())).expect(200);
        answer.body["total"]["deals"].clone()
    };
    let server = Server::start(&data, &[]);
    assert_eq!(deals(&server), 1);
    server.stop();
    let mut bytes = fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for damaged in [bytes.as_slice(), &bytes[..middle], b"something else", b""] {
        fs::write(&snapshot, damaged).unwrap();
        let server = Server::start(&data, &[]);
        assert_eq!(deals(&server), 1);
        server.stop();
        until("a new snapshot takes its place", Duration::from_secs(10), || {
            (fs::read(&snapshot).unwrap() != damaged).then_some(())
        });
    }
}
