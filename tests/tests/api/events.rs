//! The log over HTTP: in pages, by type, and without a gap for whoever goes on from where they were.

use std::sync::OnceLock;

use dealog_tests::{Server, deal};
use serde_json::{Value, json};

/// A log of the new company's four events and three for each of five deals.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Server::shared(&[]);
        let amount = json!({"amount": {"amount": "10.00", "currency": "EUR"}});
        for index in 0..5 {
            let id = server.post("/v1/deals", &deal(&format!("Deal {index}"), &amount)).expect(201).id();
            server.post(&format!("/v1/deals/{id}/move"), &json!({"stage": "contract"})).expect(200);
            server.post(&format!("/v1/deals/{id}/win"), &json!({})).expect(200);
        }
        server
    })
}

fn page(query: &str) -> Value {
    server().get(&format!("/v1/events?{query}")).expect(200).body
}

fn positions(page: &Value) -> Vec<u64> {
    page["events"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

#[test]
fn an_event_carries_its_whole_envelope() {
    let page = page("after=4&limit=1");
    let event = page["events"][0].as_object().unwrap();
    let names: Vec<&str> = event.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "position",
            "event_id",
            "stream",
            "version",
            "type",
            "schema",
            "occurred_at",
            "recorded_at",
            "actor",
            "command_id",
            "correlation_id",
            "causation_id",
            "data",
        ]
    );
    assert_eq!((&event["position"], &event["version"], &event["schema"]), (&json!(5), &json!(1), &json!(1)));
    assert_eq!((&event["type"], &event["actor"]), (&json!("deal.created"), &json!("local")));
    assert_eq!((&event["correlation_id"], &event["causation_id"]), (&event["command_id"], &Value::Null));
    assert_eq!(event["occurred_at"], event["recorded_at"]);
}

#[test]
fn pages_of_any_size_hold_every_event_once_in_the_order_of_the_log() {
    for limit in [1, 3, 19, 20, 1_000] {
        let (mut found, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let page = page(&format!("after={after}&limit={limit}"));
            assert_eq!(page["head"], 19);
            if page["events"] == json!([]) {
                assert_eq!(page["next"], after, "the end is where it was");
                break;
            }
            found.extend(positions(&page));
            page["next"].as_str().unwrap().clone_into(&mut after);
        }
        assert_eq!(found, (1..=19).collect::<Vec<_>>(), "in pages of {limit}");
    }
}

#[test]
fn types_are_chosen_by_name_or_by_what_they_begin_with() {
    for (types, expected) in [
        ("deal.won", 5),
        ("deal.created,deal.won", 10),
        ("deal.*", 15),
        ("settings.*,%20pipeline.defined", 4),
        ("deal.*,deal.won", 15),
        ("deal.lost", 0),
    ] {
        let found = page(&format!("types={types}"));
        assert_eq!(positions(&found).len(), expected, "{types}");
        assert!(
            found["next"].as_str().unwrap().starts_with("19-"),
            "{types}: nothing up to the end has to be looked at again"
        );
    }
}

#[test]
fn whoever_follows_some_types_in_pages_misses_none() {
    let (mut found, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let page = page(&format!("types=deal.won&limit=2&after={after}"));
        found.extend(positions(&page));
        let next = page["next"].as_str().unwrap().to_owned();
        if next == after {
            break;
        }
        after = next;
    }
    assert_eq!(found, [7, 10, 13, 16, 19]);
}

#[test]
fn every_page_names_the_same_log() {
    let log = page("limit=1")["log_id"].clone();
    assert!(log.as_str().is_some_and(|log| log.len() == 36));
    assert_eq!(page("after=19")["log_id"], log);
    let other = Server::of_a_new_company(&[]);
    assert_ne!(other.get("/v1/events").expect(200).body["log_id"], log);
}
