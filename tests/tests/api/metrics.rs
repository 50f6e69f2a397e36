//! What a server measures, in the format of Prometheus.

use std::collections::HashMap;

use dealog_tests::{Server, deal};
use serde_json::json;

/// Each sample of a page of metrics, by its name and labels as they are written.
fn samples(server: &Server) -> HashMap<String, f64> {
    let page = server.get("/metrics").expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let lines = page.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("not a number: {line}")))
        })
        .collect()
}

#[test]
fn every_metric_says_what_it_is() {
    let server = Server::of_a_new_company(&[]);
    server.post("/v1/deals", &deal("Measured", &json!({}))).expect(201);
    server.get("/v1/pipeline").expect(200);
    let page = server.get("/metrics").expect(200).text;
    let of = |what: &str| -> std::collections::BTreeSet<String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(&format!("# {what} ")));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let (described, typed) = (of("HELP"), of("TYPE"));
    assert!(typed.is_subset(&described), "without HELP: {:?}", typed.difference(&described));
    assert!(typed.len() > 25, "{typed:?}");
    let samples = samples(&server);
    assert!(samples.keys().any(|name| name.starts_with("dealog_build_info{version=")), "{samples:?}");
    assert!(samples.contains_key("process_cpu_seconds_total"), "{samples:?}");
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(samples.get(name).is_some_and(|value| *value > 0.0), "{name}: {samples:?}");
    }
}

#[test]
fn commands_appends_requests_and_the_projection_are_measured() {
    let server = Server::of_a_new_company(&[]);
    let before = samples(&server);
    let body = deal("Measured", &json!({}));
    let create = || server.call("POST", "/v1/deals").header("Idempotency-Key", "once").json(&body).send().expect(201);
    let (created, _) = (create(), create());
    let path = format!("/v1/deals/{}", created.id());
    let moved = server.post(&format!("{path}/move"), &json!({"stage": "contract"})).expect(200);
    server.post(&format!("{path}/move"), &json!({"stage": "contract"})).expect(200);
    server.post(&format!("{path}/lose"), &json!({"reason": "bad_luck"})).expect(422);
    let stale = server.call("PATCH", &path).header("If-Match", "\"1\"").json(&json!({"title": "Stale"}));
    stale.send().expect(412);
    server.get(&format!("{path}?min_position={}", moved.position())).expect(200);
    server.get("/nowhere").expect(404);

    let after = samples(&server);
    let grown = |name: &str| after.get(name).copied().unwrap_or(0.0) - before.get(name).copied().unwrap_or(0.0);
    let expected = [
        (r#"dealog_commands_total{outcome="accepted"}"#, 2.0),
        (r#"dealog_commands_total{outcome="replayed"}"#, 1.0),
        (r#"dealog_commands_total{outcome="without_effect"}"#, 1.0),
        (r#"dealog_commands_total{outcome="rejected"}"#, 1.0),
        (r#"dealog_commands_total{outcome="stale"}"#, 1.0),
        ("dealog_events_total", 2.0),
        ("dealog_log_position", 2.0),
        (r#"dealog_projection_position{projection="deals"}"#, 2.0),
        (r#"dealog_requests_total{method="POST",path="/v1/deals",status="201"}"#, 2.0),
        (r#"dealog_requests_total{method="GET",path="/v1/deals/{id}",status="200"}"#, 1.0),
        (r#"dealog_requests_total{method="GET",path="none",status="404"}"#, 1.0),
        (r#"dealog_request_seconds_count{method="POST",path="/v1/deals"}"#, 2.0),
    ];
    for (name, count) in expected {
        assert!((grown(name) - count).abs() < f64::EPSILON, "{name} grew by {}, not {count}", grown(name));
    }
    // The create that came again went to the log too, and was found there; each append had a transaction to itself.
    for name in ["dealog_append_seconds_count", "dealog_commit_seconds_count", "dealog_batch_appends_count"] {
        assert!(grown(name) >= 2.0, "{name} grew by {}", grown(name));
        assert!((grown(name) - grown("dealog_append_seconds_count")).abs() < f64::EPSILON, "{name}");
    }
    for name in [
        r#"dealog_projection_lag{projection="deals"}"#,
        r#"dealog_projection_stopped{projection="deals"}"#,
        "dealog_queue_length",
    ] {
        assert!(after[name].abs() < f64::EPSILON, "{name} is {}", after[name]);
    }
}
