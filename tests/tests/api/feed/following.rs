//! What a subscriber gets: from where on, and of which types.

use std::io::{BufRead as _, BufReader};

use dealog_tests::{Data, Message, Server};
use serde_json::json;

use super::{create, server_with};

fn ids(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.id.unwrap()).collect()
}

#[test]
fn a_message_is_an_event_with_its_whole_envelope() {
    let server = Server::of_a_new_company(&[]);
    create(&server, "A deal\nof two lines");
    let log = server.events();
    let messages: Vec<Message> = server.subscribe("?after=0").take(log.len()).collect();
    assert_eq!(ids(&messages), (1..=log.len() as u64).collect::<Vec<_>>());
    for (message, event) in messages.iter().zip(&log) {
        assert_eq!((&message.data, json!(message.event)), (event, event["type"].clone()));
        assert_eq!(event["position"], json!(message.id));
    }
}

#[test]
fn without_a_position_a_subscriber_is_told_where_it_is_and_gets_what_is_new() {
    let server = Server::of_a_new_company(&[]);
    let head = server.head();
    let mut stream = server.subscribe("");
    let first = stream.expect("position");
    assert_eq!((first.id, &first.data), (Some(head), &json!({"position": head})));
    for index in 1..=3 {
        create(&server, &format!("Deal {index}"));
        let message = stream.expect("deal.created");
        assert_eq!((message.id, &message.data["data"]["title"]), (Some(head + index), &json!(format!("Deal {index}"))));
    }
}

#[test]
fn a_stream_resumes_after_a_position_and_the_header_goes_before_the_parameter() {
    let server = Server::of_a_new_company(&[]);
    let last = create(&server, "The last").position();
    let first = |query: &str, header: Option<&str>| {
        let call = server.call("GET", &format!("/v1/events/stream{query}"));
        let call = match header {
            Some(id) => call.header("Last-Event-ID", id),
            None => call,
        };
        call.subscribe().next().unwrap().id
    };
    assert_eq!(first("?after=0", None), Some(1));
    assert_eq!(first("?after=2", None), Some(3));
    assert_eq!(first("", Some("2")), Some(3));
    assert_eq!(first("?after=0", Some("3")), Some(4));
    let at_the_end = server.call("GET", "/v1/events/stream").header("Last-Event-ID", last.to_string());
    let mut stream = at_the_end.subscribe();
    create(&server, "A later one");
    assert_eq!(stream.expect("deal.created").id, Some(last + 1));
}

#[test]
fn types_are_chosen_as_in_pages_of_events_before_and_after_catching_up() {
    let server = Server::of_a_new_company(&[]);
    let types = "deal.*,customer.registered";
    let one_round = |name: &str| {
        let customer = server.post("/v1/customers", &json!({"name": name})).expect(201).id();
        server.patch(&format!("/v1/customers/{customer}"), &json!({"name": format!("{name} & Sons")})).expect(200);
        server.post("/v1/users", &json!({"name": name, "roles": ["seller"]})).expect(201);
        let deal = create(&server, name).id();
        server.post(&format!("/v1/deals/{deal}/lose"), &json!({"reason": "price"})).expect(200);
    };
    one_round("Before");
    let mut stream = server.subscribe(&format!("?after=0&types={types}"));
    let mut found: Vec<Message> = stream.by_ref().take(3).collect();
    for name in ["Then", "And then"] {
        one_round(name);
        found.extend(stream.by_ref().take(3));
    }
    let asked = server.get(&format!("/v1/events?types={types}")).expect(200).body;
    let data: Vec<_> = found.iter().map(|message| message.data.clone()).collect();
    assert_eq!(json!(data), asked["events"]);
    assert_eq!(data.len(), 9);
}

#[test]
fn who_sees_nothing_of_its_types_is_told_how_far_the_log_is_and_can_resume_there() {
    let server = server_with("subscriber_keep_alive_ms = 100");
    let mut stream = server.subscribe("?after=0&types=deal.won");
    let told = stream.expect("position");
    assert_eq!(told.id, Some(server.head()), "all that there is was passed over");
    let deal = create(&server, "Not won yet");
    let told = stream.expect("position");
    assert_eq!((told.id, &told.data), (Some(deal.position()), &json!({"position": deal.position()})));
    drop(stream);

    let resumed = server.call("GET", "/v1/events/stream?types=deal.won");
    let mut stream = resumed.header("Last-Event-ID", deal.position().to_string()).subscribe();
    server.post(&format!("/v1/deals/{}/win", deal.id()), &json!({"amount": {"amount": "1.00", "currency": "EUR"}}));
    let won = stream.expect("deal.won");
    assert_eq!(won.data["stream"], deal.body["stream"]);
}

/// The cursor of whoever has seen an event: its position, and the beginning of its id.
fn cursor(server: &Server, position: u64) -> String {
    let page = server.get(&format!("/v1/events?after={}&limit=1", position - 1)).expect(200).body;
    format!("{position}-{}", &page["events"][0]["event_id"].as_str().unwrap()[..8])
}

#[test]
fn a_silent_stream_gives_signs_of_life_and_outlives_the_limit_of_a_request() {
    let server = server_with("subscriber_keep_alive_ms = 200\nrequest_ms = 1000");
    let response = server.call("GET", &format!("/v1/events/stream?after={}", server.head())).open();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let log = server.get("/v1/events?limit=1").body["log_id"].clone();
    assert_eq!(response.headers()["dealog-log-id"], log.as_str().unwrap());
    let mut lines = BufReader::new(response).lines().map(Result::unwrap);
    // Ten times 200 ms is twice as long as a request may take.
    for _ in 0..10 {
        assert_eq!((lines.next().as_deref(), lines.next().as_deref()), (Some(":"), Some("")));
    }
    let created = create(&server, "After a long silence").position();
    assert_eq!(lines.find(|line| line.starts_with("id")), Some(format!("id: {}", cursor(&server, created))));
}

#[test]
fn what_another_process_appends_is_seen_too() {
    let data = Data::fresh();
    let [here, there] = [Server::start(&data, &[]), Server::start(&data, &[])];
    let mut stream = here.subscribe("");
    stream.expect("position");
    for index in 0..5 {
        let by = [&here, &there][index % 2];
        let created = create(by, &format!("Deal {index}")).position();
        assert_eq!(stream.expect("deal.created").id, Some(created));
    }
}
