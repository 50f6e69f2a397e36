//! Connections that are slow, silent or too many: they come to their end, and nobody else suffers.

use std::{
    thread,
    time::{Duration, Instant},
};

use dealog_tests::{Data, Raw, Server, Subscription, deal, until};
use serde_json::json;

const BETWEEN_BYTES: Duration = Duration::from_millis(50);
const GET: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HALF_A_HEAD: &str = "GET /health/live HTTP/1.1\r\nHost: local";

fn server(limits: &str) -> Server {
    Server::with(Data::fresh().with_limits(limits), &[])
}

/// Sends a byte of `text` at a time, until the server closes the connection. Gives what it says, and after how long.
fn dribble(server: &Server, begin: &str, text: impl Iterator<Item = u8>) -> (String, Duration) {
    let (mut raw, begun) = (Raw::sending(server.address(), begin), Instant::now());
    for byte in text {
        if raw.try_send([byte]).is_err() || begun.elapsed() > Duration::from_secs(10) {
            break;
        }
        thread::sleep(BETWEEN_BYTES);
    }
    (raw.rest().0, begun.elapsed())
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_cut() {
    let server = server("head_ms = 500");
    for begin in ["", "G", HALF_A_HEAD] {
        let (said, after) = Raw::sending(server.address(), begin).rest();
        assert_eq!(said, "", "after {begin:?}");
        assert!((Duration::from_millis(400)..Duration::from_secs(5)).contains(&after), "{begin:?}: {after:?}");
    }
    // Neither does it help to send a little now and then.
    let (said, after) = dribble(&server, HALF_A_HEAD, std::iter::repeat(b'x'));
    assert!(said.is_empty() && after < Duration::from_secs(5), "{after:?}: {said}");
    // Nor in the second head of a connection.
    let mut raw = Raw::sending(server.address(), GET);
    assert!(raw.answer().starts_with("HTTP/1.1 200"));
    raw.send(HALF_A_HEAD);
    assert!(raw.rest().1 < Duration::from_secs(5));
}

#[test]
fn a_connection_may_be_silent_between_requests_for_as_long_as_is_said() {
    let server = server("head_ms = 200\nidle_ms = 1500");
    let mut raw = Raw::sending(server.address(), GET);
    raw.answer();
    thread::sleep(Duration::from_millis(700));
    raw.send(GET);
    assert!(raw.answer().starts_with("HTTP/1.1 200"));
    let (said, after) = raw.rest();
    assert_eq!(said, "");
    assert!((Duration::from_millis(1300)..Duration::from_secs(6)).contains(&after), "{after:?}");
}

#[test]
fn a_body_that_does_not_come_to_its_end_is_answered_408() {
    let server = server("body_ms = 500\nhead_ms = 200\nidle_ms = 200");
    let begun = server.head();
    let head =
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    for body in ["", "{"] {
        let (said, after) = Raw::sending(server.address(), &format!("{head}{body}")).rest();
        assert!(said.starts_with("HTTP/1.1 408") && said.contains("body_timeout"), "{said}");
        assert!(after < Duration::from_secs(5), "{after:?}");
    }
    let (said, after) = dribble(&server, head, std::iter::repeat(b' '));
    assert!(after < Duration::from_secs(5), "{after:?}: {said}");
    // A body where none is asked for keeps nobody either.
    let (said, after) =
        dribble(&server, &GET.replace("\r\n\r\n", "\r\nContent-Length: 1000\r\n\r\n"), std::iter::repeat(b' '));
    assert!(after < Duration::from_secs(5), "{after:?}: {said}");
    assert_eq!(server.head(), begun);
}

#[test]
fn a_stream_and_a_slow_answer_are_not_cut_by_the_bounds_on_what_is_sent() {
    let server = server("body_ms = 200\nhead_ms = 200\nidle_ms = 200");
    let mut stream = server.subscribe("");
    stream.expect("position");
    // Nothing is appended for it to wait for: the answer takes as long as it may.
    let path = format!("/v1/pipeline?min_position={}", server.head() + 1_000);
    assert!([422, 503].contains(&server.get(&path).status));
    thread::sleep(Duration::from_secs(1));
    let created = server.post("/v1/deals", &deal("After a while", &json!({}))).expect(201);
    assert_eq!(stream.expect("deal.created").id, Some(created.position()));
}

#[test]
fn an_address_with_too_many_connections_is_told_so_and_is_served_again_when_it_has_closed_some() {
    let server = server("connections_per_address_max = 3\nhead_ms = 60000");
    let mut held: Vec<Raw> = (0..3).map(|_| Raw::sending(server.address(), HALF_A_HEAD)).collect();
    let refused = until("one more should be refused", Duration::from_secs(10), || {
        let said = Raw::sending(server.address(), GET).rest().0;
        said.starts_with("HTTP/1.1 503").then_some(said)
    });
    assert!(refused.to_lowercase().contains("retry-after: 1") && refused.contains("too_many_connections"), "{refused}");
    let (_, body) = refused.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"], 503);
    server.logged("as many connections as there may be");
    held.pop();
    until("a place should be free", Duration::from_secs(10), || {
        Raw::sending(server.address(), GET).answer().starts_with("HTTP/1.1 200").then_some(())
    });
    drop(held);
    let page = until("a place for a client should be free", Duration::from_secs(10), || {
        let page = server.get("/metrics");
        (page.status == 200).then_some(page.text)
    });
    assert!(page.contains(r#"dealog_connections_refused_total{full="address"}"#), "{page}");
}

#[test]
fn half_heads_by_the_hundred_do_not_keep_others_out_for_long() {
    // As many files as a process is given without being asked, and fewer than connections.
    for limit in ["ulimit -S -n 256", "ulimit -n 300"] {
        let data = Data::fresh().with_limits("head_ms = 1000");
        let server = Server::start_under(&data, limit);
        let held: Vec<Raw> = (0..600).map(|_| Raw::sending(server.address(), HALF_A_HEAD)).collect();
        let begun = Instant::now();
        until("others should be served", Duration::from_secs(10), || {
            let mut raw = Raw::open(server.address());
            raw.try_send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).ok()?;
            raw.rest().0.starts_with("HTTP/1.1 200").then_some(())
        });
        assert!(begun.elapsed() < Duration::from_secs(10));
        server.post("/v1/deals", &deal("Beside them", &json!({}))).expect(201);
        drop(held);
        server.stop();
    }
}

#[test]
fn too_many_headers_are_refused() {
    let server = server("head_ms = 1000");
    let headers = |number: usize| "X: y\r\n".repeat(number);
    let ask = |number: usize| {
        let head = GET.trim_end_matches("\r\n");
        Raw::sending(server.address(), &format!("{head}\r\n{}Connection: close\r\n\r\n", headers(number))).rest().0
    };
    assert!(ask(90).starts_with("HTTP/1.1 200"));
    assert!(ask(200).starts_with("HTTP/1.1 431"));
    // Neither do endless ones gather in memory.
    let (said, after) = dribble(&server, GET.trim_end(), std::iter::repeat_n(b'x', 1));
    assert!(after < Duration::from_secs(5), "{after:?}: {said}");
    let mut raw = Raw::sending(server.address(), "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let sent = (0..10_000).take_while(|_| raw.try_send([b'x'; 1024]).is_ok()).count();
    assert!(sent < 10_000, "a head of 10 MB was taken");
}

#[test]
fn a_subscriber_beside_a_crowd_of_slow_heads_misses_nothing() {
    let server = server("head_ms = 500");
    let mut stream: Subscription = server.subscribe("");
    stream.expect("position");
    let held: Vec<Raw> = (0..100).map(|_| Raw::sending(server.address(), HALF_A_HEAD)).collect();
    for index in 0..20 {
        let created = server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
        assert_eq!(stream.expect("deal.created").id, Some(created.position()));
    }
    drop(held);
}
