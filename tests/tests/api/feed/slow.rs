//! Subscribers that take events more slowly than they come.

use std::time::Duration;

use dealog_tests::{Client, Message, Server, Subscription, until};
use serde_json::{Value, json};

use super::{create, server_with};

/// Events of 40 KiB, as many as no buffer between server and client can hold.
const LARGE_EVENTS: usize = 300;

/// Appends a large event: the whole list of reasons to lose a deal, each with a long name.
fn append_large(client: &Client, index: usize) {
    let reasons: Vec<Value> = (0..100)
        .map(|number| json!({"slug": format!("r{number}"), "name": format!("{index} {}", "x".repeat(160)), "counted": true}))
        .collect();
    client.patch("/v1/settings", &json!({"loss_reasons": reasons})).expect(200);
}

fn positions(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.data["position"].as_u64().unwrap()).collect()
}

fn after(server: &Server, position: u64) -> Subscription {
    server.call("GET", "/v1/events/stream").header("Last-Event-ID", position.to_string()).subscribe()
}

#[test]
fn a_slow_reader_is_sent_away_with_the_reason_and_misses_nothing_when_it_resumes() {
    let server = server_with("subscriber_queue_events_max = 8\nwrite_stall_ms = 600000");
    let mut slow = server.subscribe("");
    let begin = slow.expect("position").id.unwrap();
    // It reads nothing, and others are not held up by it.
    (0..LARGE_EVENTS).for_each(|index| append_large(&server, index));
    let head = server.head();

    let mut found: Vec<Message> = slow.by_ref().collect();
    let last = found.pop().unwrap();
    assert_eq!((last.event.as_str(), &last.data["code"]), ("dropped", &json!("too_slow")));
    assert!(last.data["detail"].as_str().unwrap().contains("Last-Event-ID"), "{last:?}");
    let resume = last.data["position"].as_u64().unwrap();
    assert_eq!(last.id, Some(resume), "an EventSource resumes there by itself");
    assert!(resume < head, "it was dropped before the end");
    server.logged("too slow");

    let rest = usize::try_from(head - resume).unwrap();
    found.extend(after(&server, resume).take(rest));
    assert_eq!(positions(&found), (begin + 1..=head).collect::<Vec<_>>());
}

#[test]
fn who_reads_old_events_slowly_is_not_sent_away_and_gets_what_came_meanwhile() {
    let server = server_with("subscriber_queue_events_max = 8\nwrite_stall_ms = 600000");
    (0..LARGE_EVENTS / 2).for_each(|index| append_large(&server, index));
    let mut slow = server.subscribe("?after=0");
    assert_eq!(slow.next().unwrap().id, Some(1));
    (0..LARGE_EVENTS / 2).for_each(|index| append_large(&server, index));
    let head = server.head();
    let rest: Vec<Message> = slow.take(usize::try_from(head).unwrap() - 1).collect();
    assert_eq!(positions(&rest), (2..=head).collect::<Vec<_>>());
}

#[test]
fn a_connection_that_takes_nothing_at_all_is_cut_and_its_place_is_free() {
    let server = server_with("subscribers_max = 1\nwrite_stall_ms = 500");
    (0..LARGE_EVENTS).for_each(|index| append_large(&server, index));
    let stalled = server.call("GET", "/v1/events/stream?after=0").open();
    server.get("/v1/events/stream").problem(503, "too_many_subscribers");
    let next = until("the connection should be cut", Duration::from_secs(20), || {
        server.call("GET", "/v1/events/stream").try_open()
    });
    let mut next = Subscription::of(next, usize::MAX);
    next.expect("position");
    create(&server, "For who reads");
    next.expect("deal.created");
    drop(stalled);
}
