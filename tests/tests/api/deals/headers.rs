//! What surrounds a command: If-Match and Idempotency-Key.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use dealog_tests::{Answer, deal};
use serde_json::{Value, json};

use super::{create, euro, history, seen, types};
use crate::server;

fn post(path: &str, header: (&str, &str), body: &Value) -> Answer {
    server().call("POST", path).header(header.0, header.1).json(body).send()
}

/// A key that no other test uses.
fn key() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("key {}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_command_with_the_version_that_was_seen_is_carried_out() {
    let created = create("Matched", &json!({}));
    let path = format!("/v1/deals/{}/move", created.id());
    let etag = server().get(&format!("/v1/deals/{}?min_position={}", created.id(), created.position()));
    let etag = etag.header("etag").unwrap();
    assert_eq!(etag, "\"1\"");
    let moved = post(&path, ("if-match", etag), &json!({"stage": "qualified"})).expect(200);
    assert_eq!(moved.header("etag"), Some("\"2\""));
    post(&path, ("if-match", "*"), &json!({"stage": "contract"})).expect(200);
}

#[test]
fn a_command_with_a_stale_version_changes_nothing() {
    let created = create("Stale", &json!({}));
    let path = format!("/v1/deals/{}/move", created.id());
    post(&path, ("if-match", "\"1\""), &json!({"stage": "qualified"})).expect(200);
    let stale = post(&path, ("if-match", "\"1\""), &json!({"stage": "contract"})).problem(412, "stale_version");
    assert_eq!(stale.body["field"], "If-Match");
    post(&path, ("if-match", "\"3\""), &json!({"stage": "contract"})).problem(412, "stale_version");
    assert_eq!(types(&history(&created.id())), ["deal.created", "deal.stage_moved"]);
}

#[test]
fn what_is_no_etag_is_refused() {
    let created = create("Malformed", &json!({}));
    let path = format!("/v1/deals/{}/move", created.id());
    for etag in ["1", "\"1", "", "w/\"1\"", "\"1\" \"2\""] {
        let problem = post(&path, ("if-match", etag), &json!({"stage": "qualified"})).problem(400, "bad_request");
        assert_eq!(problem.body["field"], "If-Match", "{etag}");
    }
    assert_eq!(history(&created.id()).len(), 1);
}

#[test]
fn of_a_list_any_strong_tag_will_do_and_a_weak_one_never_does() {
    let created = create("Listed", &json!({}));
    let path = format!("/v1/deals/{}/move", created.id());
    for etag in ["W/\"1\"", "\"one\"", "\"-1\"", "\"2\", \"3\"", "W/\"1\", \"a,1\""] {
        let problem = post(&path, ("if-match", etag), &json!({"stage": "qualified"})).problem(412, "stale_version");
        assert_eq!(problem.body["field"], "If-Match", "{etag}");
    }
    assert_eq!(history(&created.id()).len(), 1);
    post(&path, ("if-match", "W/\"7\" ,\"9\",  \"1\""), &json!({"stage": "qualified"})).expect(200);
}

#[test]
fn a_question_whose_answer_is_known_already_is_answered_304() {
    let created = create("Known", &json!({}));
    let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
    let ask = |known: &str| server().call("GET", &path).header("if-none-match", known).send();
    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = ask(known).expect(304);
        assert_eq!((answer.header("etag"), answer.text.as_str()), (Some("\"1\""), ""), "{known}");
        assert!(answer.header("dealog-position").is_some());
    }
    for other in ["\"2\"", "\"1", "1"] {
        assert_eq!(ask(other).expect(200).body["title"], "Known", "{other}");
    }
    // What has no tag, and what is not there, is told.
    server().call("GET", "/v1/pipeline").header("if-none-match", "*").send().expect(200);
    let nobody = "/v1/deals/0192f3a4-5b6c-7d8e-9f00-112233445566";
    server().call("GET", nobody).header("if-none-match", "*").send().expect(404);
}

#[test]
fn a_create_that_comes_again_gives_the_first_outcome() {
    let (key, body) = (key(), deal("Only once", &json!({"amount": euro("10")})));
    let first = post("/v1/deals", ("idempotency-key", &key), &body).expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    // What came of the deal since does not matter to what came of the command.
    let path = format!("/v1/deals/{}", first.id());
    server().post(&format!("{path}/move"), &json!({"stage": "contract"})).expect(200);
    server().post(&format!("{path}/win"), &json!({})).expect(200);

    let again = post("/v1/deals", ("idempotency-key", &key), &body).expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body["replayed"], true);
    for what in ["id", "stream", "version", "position", "events"] {
        assert_eq!(again.body[what], first.body[what], "{what}");
    }
    for header in ["location", "etag"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    let created = server().events().into_iter().filter(|event| event["data"]["title"] == "Only once").count();
    assert_eq!(created, 1);
}

#[test]
fn a_command_that_would_be_refused_by_now_still_gives_its_first_outcome() {
    let created = create("Refused by now", &json!({}));
    let (key, path) = (key(), format!("/v1/deals/{}/lose", created.id()));
    let lose = json!({"reason": "price"});
    let first = post(&path, ("idempotency-key", &key), &lose).expect(200);
    post(&path, ("idempotency-key", &super::headers::key()), &lose).problem(409, "deal_closed");
    let again = post(&path, ("idempotency-key", &key), &lose).expect(200);
    assert_eq!((again.position(), again.header("idempotency-replayed")), (first.position(), Some("true")));
    assert_eq!(history(&created.id()).len(), 2);
}

#[test]
fn the_same_key_with_another_request_is_refused() {
    let (key, created) = (key(), create("Another", &json!({})));
    let (move_it, lose_it) = (format!("/v1/deals/{}/move", created.id()), format!("/v1/deals/{}/lose", created.id()));
    post(&move_it, ("idempotency-key", &key), &json!({"stage": "qualified"})).expect(200);
    for (path, body) in [(&move_it, json!({"stage": "contract"})), (&lose_it, json!({"reason": "price"}))] {
        let problem = post(path, ("idempotency-key", &key), &body).problem(422, "idempotency_key_reused");
        assert_eq!(problem.body["field"], "Idempotency-Key");
    }
    assert_eq!(history(&created.id()).len(), 2);
}

#[test]
fn a_key_is_used_up_by_any_outcome_and_by_no_refusal() {
    let (key, created) = (key(), create("Free key", &json!({})));
    let path = format!("/v1/deals/{}/move", created.id());
    post(&path, ("idempotency-key", &key), &json!({"stage": "nowhere"})).problem(422, "stage_not_open");
    let stay = post(&path, ("idempotency-key", &key), &json!({"stage": "first_contact"})).expect(200);
    assert_eq!((&stay.body["events"], stay.header("idempotency-replayed")), (&json!(0), None));
    post(&path, ("idempotency-key", &key), &json!({"stage": "contract"})).problem(422, "idempotency_key_reused");
    assert_eq!(history(&created.id()).len(), 1);
}

#[test]
fn a_command_that_found_nothing_to_do_does_nothing_when_it_comes_again() {
    let (key, created) = (key(), create("Moved meanwhile", &json!({})));
    let path = format!("/v1/deals/{}/move", created.id());
    let stay = json!({"stage": "first_contact"});
    let first = post(&path, ("idempotency-key", &key), &stay).expect(200);
    assert_eq!(first.body["events"], 0);
    server().post(&path, &json!({"stage": "contract"})).expect(200);
    let again = post(&path, ("idempotency-key", &key), &stay).expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for what in ["id", "stream", "version", "position", "events"] {
        assert_eq!(again.body[what], first.body[what], "{what}");
    }
    let history = history(&created.id());
    assert_eq!((history.len(), &history[1]["data"]["to"]), (2, &json!("contract")), "{history:?}");
}

#[test]
fn the_same_create_sent_by_many_at_once_makes_one_deal() {
    let (key, body) = (key(), deal("By many", &json!({})));
    let ids: Vec<String> = thread::scope(|scope| {
        let send = || server().client().call("POST", "/v1/deals").header("idempotency-key", &key).json(&body).send();
        let senders: Vec<_> = (0..12).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap().expect(201).id()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let created = server().events().into_iter().filter(|event| event["data"]["title"] == "By many").count();
    assert_eq!(created, 1);
}

#[test]
fn commands_on_one_deal_at_once_are_all_carried_out_or_told_so() {
    let created = create("Contended", &json!({}));
    let path = format!("/v1/deals/{}", created.id());
    let done = thread::scope(|scope| {
        let send = |index: u32| server().client().patch(&path, &json!({"title": format!("Contended {index}")}));
        let senders: Vec<_> = (0..12).map(|index| scope.spawn(move || send(index))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).filter(|answer| answer.status == 200).count()
    });
    let history = history(&created.id());
    assert!(done > 0);
    assert_eq!(history.len(), 1 + done);
    // Each was decided on what the one before had left.
    for pair in history[1..].windows(2) {
        assert_eq!(pair[0]["data"]["to"], pair[1]["data"]["from"]);
    }
}

#[test]
fn of_many_with_the_same_version_one_goes_through() {
    let created = create("One of many", &json!({}));
    let path = format!("/v1/deals/{}", created.id());
    let mut statuses: Vec<u16> = thread::scope(|scope| {
        let send = |index: u32| {
            let call = server().client().call("PATCH", &path).header("if-match", "\"1\"");
            call.json(&json!({"title": format!("Mine {index}")})).send().status
        };
        let senders: Vec<_> = (0..8).map(|index| scope.spawn(move || send(index))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    assert_eq!(history(&created.id()).len(), 2);
}

#[test]
fn every_answer_names_its_request() {
    let named = server().call("GET", "/v1/deals").header("x-request-id", "mine").send();
    assert_eq!(named.header("x-request-id"), Some("mine"));
    for unfit in ["x".repeat(65), "with blanks".into(), "\u{e9}".into()] {
        let answer = server().call("GET", "/v1/deals").header("x-request-id", &unfit).send();
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(id.len() == 36 && id != unfit, "{id}");
    }
    assert!(server().get("/v1/nowhere").header("x-request-id").is_some());
    let created = create("Position", &json!({}));
    let seen_at = server().get(&format!("/v1/deals?min_position={}", created.position())).expect(200);
    let position: u64 = seen_at.header("dealog-position").unwrap().parse().unwrap();
    assert!(position >= created.position());
    assert_eq!(seen(server(), &created)["title"], "Position");
}
