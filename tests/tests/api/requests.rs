//! Requests as HTTP lets them be written: strange ones cost nothing, and none is understood in two ways.

use dealog_tests::{Data, Raw, Server, deal};
use serde_json::{Value, json};

use crate::server;

fn head(method: &str, more: &str) -> String {
    format!("{method} /v1/deals HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

#[test]
fn two_thousand_odd_methods_leave_metrics_small_and_the_log_short() {
    let server = Server::with(Data::fresh(), &[]);
    let mut raw = Raw::open(server.address());
    for index in 0..2_000 {
        raw.send(head(&format!("ODD{index}"), ""));
        let answer = raw.answer();
        assert!(answer.starts_with("HTTP/1.1 501") && answer.contains("unknown_method"), "{answer}");
    }
    for method in ["CONNECT-ME", "get"] {
        raw.send(head(method, ""));
        assert!(raw.answer().starts_with("HTTP/1.1 501"), "{method}");
    }
    for method in ["OPTIONS", "TRACE"] {
        raw.send(head(method, ""));
        assert!(raw.answer().starts_with("HTTP/1.1 405"), "{method}");
    }
    let page = server.get("/metrics").expect(200).text;
    assert!(!page.contains("ODD") && page.contains(r#"method="other""#), "{page}");
    assert!(page.len() < 50_000, "{} bytes", page.len());
    let log = server.stop();
    assert!(!log.contains("ODD"), "methods are logged as they come");
}

#[test]
fn nothing_long_from_a_request_is_logged() {
    let server = Server::with(Data::fresh(), &[]);
    let long = "y".repeat(4_000);
    let call = |path: &str| server.call("GET", path);
    call(&format!("/v1/{long}")).header("x-request-id", &long).send().expect(404);
    call("/v1/deals").header("host", &long).send().expect(403);
    call("/v1/deals").header("origin", &long).send().expect(403);
    call("/v1/deals").header("authorization", format!("Bearer {long}")).send().expect(401);
    call("/v1/events/stream").header("last-event-id", &long).send().expect(400);
    server.call("POST", "/v1/deals").raw(&long, "{}").send().expect(415);
    let log = server.stop();
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 1_000, "a line of {longest} bytes");
}

#[test]
fn a_key_that_comes_twice_is_refused_and_named() {
    // One of its own, where nobody else appends meanwhile.
    let server = Server::of_a_new_company(&[]);
    let before = server.head();
    let title = r#"{"title": "One", "title": "Two", "pipeline": "00000000-0000-0000-0000-000000000000"}"#;
    let nested = deal("Nested", &json!({})).to_string().replacen(
        '{',
        r#"{"amount": {"amount": "1", "currency": "EUR", "amount": "2"}, "#,
        1,
    );
    for (body, key) in [(title, "title"), (&nested, "amount")] {
        let problem = server.call("POST", "/v1/deals").raw("application/json", body).send().problem(400, "bad_request");
        assert_eq!(problem.body["field"], key, "{}", problem.text);
        assert!(problem.body["detail"].as_str().unwrap().contains("twice"), "{}", problem.text);
    }
    assert_eq!(server.head(), before);
}

#[test]
fn a_compressed_body_is_refused() {
    let send = |encoding: &str| {
        let body = deal("Compressed", &json!({}));
        server().call("POST", "/v1/deals").header("content-encoding", encoding).json(&body).send()
    };
    for encoding in ["gzip", "br", "identity, gzip"] {
        let problem = send(encoding).problem(415, "content_encoding");
        assert_eq!(
            (problem.header("accept-encoding"), &problem.body["field"]),
            (Some("identity"), &json!("Content-Encoding"))
        );
    }
    send("Identity").expect(201);
}

#[test]
fn json_may_be_called_by_any_of_its_names() {
    let send = |content_type: &str, title: &str| {
        server().call("POST", "/v1/deals").raw(content_type, deal(title, &json!({})).to_string()).send()
    };
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        send(content_type, "Named").expect(201);
    }
    for content_type in ["text/plain", "application/jsonx", "application/x-www-form-urlencoded", "json", ""] {
        send(content_type, "Not named").problem(415, "media_type");
    }
}

#[test]
fn a_day_is_written_in_one_way() {
    for day in ["2026-3-1", "+2026-03-01", "2026-03-01 ", " 2026-03-01", "2026-03-32", "20260301", "12026-03-01", ""] {
        let body = deal("Dated", &json!({"expected_close": day}));
        let problem = server().post("/v1/deals", &body).problem(400, "bad_request");
        assert_eq!(problem.body["field"], "expected_close", "{day:?}: {}", problem.text);
        let asked = day.replace('+', "%2B").replace(' ', "%20");
        let problem = server().get(&format!("/v1/pipeline?as_of={asked}")).problem(400, "bad_request");
        assert_eq!(problem.body["field"], "as_of", "{day:?}");
    }
    let created = server().post("/v1/deals", &deal("Dated", &json!({"expected_close": "2026-03-01"}))).expect(201);
    let path = format!("/v1/deals/{}", created.id());
    server().patch(&path, &json!({"expected_close": "2026-4-1"})).problem(400, "bad_request");
    server().patch(&path, &json!({"expected_close": Value::Null})).expect(200);
}

#[test]
fn a_text_that_cannot_be_seen_is_empty_and_what_looks_alike_is_found() {
    for text in ["\u{200b}", "\u{feff}", "\u{3164}", "\u{2800}", " \u{200b} \u{2060}"] {
        let problem = server().post("/v1/deals", &deal(text, &json!({}))).problem(400, "bad_request");
        assert_eq!(problem.body["field"], "title", "{text:?}");
    }
    let created = server().post("/v1/deals", &deal("Composed", &json!({"source": "Cafe\u{301}"}))).expect(201);
    for source in ["Caf%C3%A9", "Cafe%CC%81"] {
        let found = server().get(&format!("/v1/deals?source={source}&min_position={}", created.position())).expect(200);
        assert_eq!(found.body["deals"][0]["source"], "Caf\u{e9}", "{}", found.text);
    }
}

#[test]
fn an_empty_last_event_id_counts_as_none() {
    let mut stream = server().call("GET", "/v1/events/stream").header("last-event-id", "").subscribe();
    stream.expect("position");
    let mut stream =
        server().call("GET", "/v1/events/stream?after=0&types=deal.created").header("last-event-id", "").subscribe();
    server().post("/v1/deals", &deal("Some deal", &json!({}))).expect(201);
    stream.expect("deal.created");
}

#[test]
fn types_named_again_and_again_cost_a_stream_nothing() {
    let types = vec!["deal.*"; 1_000].join(",");
    let mut streams: Vec<_> = (0..20).map(|_| server().subscribe(&format!("?types={types}"))).collect();
    for stream in &mut streams {
        stream.expect("position");
    }
    let created = server().post("/v1/deals", &deal("Of a type", &json!({}))).expect(201);
    for stream in &mut streams {
        let seen = stream.find(|message| message.id >= Some(created.position())).unwrap();
        assert_eq!(seen.event, "deal.created");
    }
}

#[test]
fn browsers_are_told_to_keep_nothing_and_to_believe_what_an_answer_says_it_is() {
    let paths = ["/v1/deals", "/v1/nowhere", "/health/live", "/docs/", "/openapi.json", "/docs/swagger-ui.css"];
    for path in paths {
        let answer = server().get(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    let page = server().get("/docs/").expect(200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
}
