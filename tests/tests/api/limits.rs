//! Limits under load: a full queue refuses, and loses nothing that it took.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use dealog_tests::{Answer, Data, Server, deal};
use serde_json::json;

/// Callers at the same time.
const CALLERS: usize = 32;
/// How long a queue of one may take to be full.
const FULL: Duration = Duration::from_secs(30);

#[test]
fn a_full_queue_answers_503_with_retry_after_and_keeps_what_it_took() {
    let server = Server::with(Data::fresh().with_limits("queue_length_max = 1\nbatch_appends_max = 1"), &[]);
    let begun = server.head();
    let (refused, since) = (AtomicBool::new(false), Instant::now());
    let call = || {
        let (client, mut answers) = (server.client(), Vec::new());
        while !refused.load(Ordering::Relaxed) && since.elapsed() < FULL {
            let answer = client.post("/v1/deals", &deal("Under load", &json!({})));
            refused.fetch_or(answer.status == 503, Ordering::Relaxed);
            answers.push(answer);
        }
        answers
    };
    let answers: Vec<Answer> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert!(!refused.is_empty(), "a queue of one was never full");
    for answer in refused {
        let answer = answer.problem(503, "overloaded");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    // One event for each command that was taken, and none for one that was not.
    assert_eq!(server.head() - begun, taken.len() as u64);
    let positions: Vec<u64> = {
        let mut positions: Vec<u64> = taken.iter().map(Answer::position).collect();
        positions.sort_unstable();
        positions
    };
    assert_eq!(positions, (begun + 1..=server.head()).collect::<Vec<_>>());
    server.stop();
}

#[test]
fn pages_that_end_by_their_bytes_lead_on_to_the_end() {
    let server = Server::with(Data::fresh().with_limits("page_bytes_max = 1"), &[]);
    let id = server.post("/v1/deals", &deal("Page by page", &json!({}))).expect(201).id();
    for stage in ["qualified", "contract"] {
        server.post(&format!("/v1/deals/{id}/move"), &json!({"stage": stage})).expect(200);
    }
    let head = server.head();
    let walk = |path: &str, number: &str| {
        let (mut found, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let page = server.get(&format!("{path}after={after}")).expect(200).body;
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= 1, "{page}");
            found.extend(events.iter().map(|event| event[number].as_u64().unwrap()));
            // A version, or a cursor.
            after = page["next"].as_str().map_or_else(|| page["next"].to_string(), ToOwned::to_owned);
            if page["next"].is_null() || after.starts_with(&format!("{head}-")) {
                return found;
            }
        }
    };
    assert_eq!(walk(&format!("/v1/deals/{id}/history?"), "version"), [1, 2, 3]);
    assert_eq!(walk("/v1/events?", "position"), (1..=head).collect::<Vec<_>>());
    assert_eq!(walk("/v1/events?types=deal.*&", "position"), [head - 2, head - 1, head]);
    assert_eq!(walk("/v1/events?types=deal.created&", "position"), [head - 2], "the end is told with the last event");
    let past = server.get(&format!("/v1/deals/{id}?at_version=2")).expect(200);
    assert_eq!(past.body["stage"], "qualified");
    server.get(&format!("/v1/deals?min_position={head}")).expect(200);
    server.stop();
}
