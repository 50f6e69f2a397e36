//! From the first contact to the end, and on from there.

use serde_json::{Value, json};

use super::{create, euro, history, seen, types};
use crate::server;

#[test]
fn a_deal_lives_from_its_creation_to_another_pipeline_and_each_step_is_seen_at_once() {
    let server = server();
    let stages = json!([
        {"slug": "due", "name": "Due", "probability": 0.6, "forecast_category": "commit"},
        {"slug": "agreed", "name": "Agreed", "probability": 0.8, "forecast_category": "commit"}
    ]);
    let renewals = server.post("/v1/pipelines", &json!({"name": "Renewals", "stages": stages})).expect(201).id();

    let created = create("Scales for the harbour", &json!({"amount": euro("1000.00")}));
    let id = created.id();
    assert_eq!(created.header("location"), Some(format!("/v1/deals/{id}").as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(created.body["stream"], format!("deal-{id}"));
    assert_eq!((&created.body["version"], &created.body["events"]), (&json!(1), &json!(1)));
    assert_eq!(created.body["replayed"], json!(false));
    let deal = seen(server, &created);
    assert_eq!((&deal["status"], &deal["stage"]), (&json!("open"), &json!("first_contact")));

    let command = |path: &str, body: Value| {
        let answer = server.post(&format!("/v1/deals/{id}/{path}"), &body).expect(200);
        assert_eq!(answer.header("etag"), Some(format!("\"{}\"", answer.body["version"]).as_str()));
        let deal = seen(server, &answer);
        assert_eq!(deal["version"], answer.body["version"]);
        assert_eq!(deal["position"], answer.body["position"]);
        deal
    };
    assert_eq!(command("move", json!({"stage": "offer_made", "reason": "They asked for one"}))["stage"], "offer_made");
    let changed =
        server.patch(&format!("/v1/deals/{id}"), &json!({"title": "Two scales", "source": "Fair"})).expect(200);
    assert_eq!(changed.body["events"], 2);
    assert_eq!(seen(server, &changed)["title"], "Two scales");

    let won = command("win", json!({"amount": euro("1200.50"), "contract": "C-17"}));
    assert_eq!((&won["status"], &won["contract"], &won["amount"]), (&json!("won"), &json!("C-17"), &euro("1200.50")));
    assert!(won["closed_at"].is_string());

    let reopened = command("reopen", json!({"stage": "negotiation", "reason": "The budget came back"}));
    assert_eq!((&reopened["status"], &reopened["stage"]), (&json!("open"), &json!("negotiation")));
    assert_eq!((&reopened["contract"], &reopened["closed_at"]), (&Value::Null, &Value::Null));

    let lost = command("lose", json!({"reason": "price", "competitor": "Waage AG", "note": "Too dear"}));
    assert_eq!(
        (&lost["status"], &lost["loss_reason"], &lost["loss_counted"]),
        (&json!("lost"), &json!("price"), &json!(true))
    );
    assert_eq!(lost["competitor"], "Waage AG");

    let reopened = command("reopen", json!({"reason": "They called"}));
    assert_eq!((&reopened["stage"], &reopened["loss_reason"]), (&json!("negotiation"), &Value::Null));
    let transferred = command("transfer", json!({"pipeline": renewals, "stage": "agreed"}));
    assert_eq!((&transferred["pipeline"], &transferred["stage"]), (&json!(renewals), &json!("agreed")));

    let history = history(&id);
    assert_eq!(
        types(&history),
        [
            "deal.created",
            "deal.stage_moved",
            "deal.title_changed",
            "deal.source_changed",
            "deal.amount_changed",
            "deal.won",
            "deal.reopened",
            "deal.lost",
            "deal.reopened",
            "deal.transferred"
        ]
    );
    let versions: Vec<u64> = history.iter().map(|event| event["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=10).collect::<Vec<_>>());
    assert!(history.iter().all(|event| event["actor"] == "local"));
    let stream: Vec<Value> =
        server.events().into_iter().filter(|event| event["stream"] == format!("deal-{id}")).collect();
    assert_eq!(stream, history);
}

#[test]
fn every_event_of_a_deals_course_tells_its_pipeline_and_stage() {
    let server = server();
    let created = create("Told whole", &json!({"amount": euro("10")}));
    let path = |rest: &str| format!("/v1/deals/{}/{rest}", created.id());
    server.post(&path("move"), &json!({"stage": "qualified"})).expect(200);
    server.post(&path("win"), &json!({})).expect(200);
    server.post(&path("reopen"), &json!({"reason": "Again"})).expect(200);
    server.post(&path("lose"), &json!({"reason": "timing"})).expect(200);
    let history = history(&created.id());
    assert!(history.iter().all(|event| event["data"]["pipeline"] == history[0]["data"]["pipeline"]), "{history:?}");
    let moved = &history[1]["data"];
    assert_eq!((&moved["from"], &moved["to"]), (&json!("first_contact"), &json!("qualified")));
    assert_eq!(history[2]["data"]["amount"], euro("10.00"));
    assert_eq!((&history[3]["data"]["was"], &history[3]["data"]["stage"]), (&json!("won"), &json!("qualified")));
    assert_eq!((&history[4]["data"]["counted"], &history[4]["data"]["stage"]), (&json!(true), &json!("qualified")));
}

#[test]
fn moving_to_the_present_stage_is_answered_and_is_no_event() {
    let created = create("Stays", &json!({}));
    let path = format!("/v1/deals/{}/move", created.id());
    let answer = server().post(&path, &json!({"stage": "first_contact"})).expect(200);
    assert_eq!((&answer.body["events"], &answer.body["version"]), (&json!(0), &json!(1)));
    assert!(answer.position() >= created.position());
    assert_eq!(history(&created.id()).len(), 1);
}

#[test]
fn a_win_at_the_amount_of_the_deal_changes_no_amount() {
    let created = create("As agreed", &json!({"amount": euro("99.90")}));
    let answer =
        server().post(&format!("/v1/deals/{}/win", created.id()), &json!({"amount": euro("99.9")})).expect(200);
    assert_eq!(answer.body["events"], 1);
    assert_eq!(types(&history(&created.id())), ["deal.created", "deal.won"]);
}

#[test]
fn a_command_without_attributes_needs_no_body() {
    let created = create("Won as it is", &json!({"amount": euro("5")}));
    let answer = server().call("POST", &format!("/v1/deals/{}/win", created.id())).send().expect(200);
    assert_eq!(seen(server(), &answer)["status"], "won");
}

#[test]
fn a_mistaken_deal_is_lost_as_a_duplicate_and_does_not_count() {
    let original = create("The original", &json!({}));
    let copy = create("The copy", &json!({}));
    let lose = json!({"reason": "duplicate", "duplicate_of": original.id()});
    let lost = server().post(&format!("/v1/deals/{}/lose", copy.id()), &lose).expect(200);
    let deal = seen(server(), &lost);
    assert_eq!((&deal["loss_counted"], &deal["duplicate_of"]), (&json!(false), &json!(original.id())));
}

#[test]
fn what_happened_in_the_past_is_dated_then_and_recorded_now() {
    let server = server();
    let created = create("Long ago", &json!({"occurred_at": "2020-02-29T12:00:00Z"}));
    let path = |rest: &str| format!("/v1/deals/{}/{rest}", created.id());
    server.post(&path("move"), &json!({"stage": "contract", "occurred_at": "2020-03-01T12:00:00.5+02:00"})).expect(200);
    let history = history(&created.id());
    assert_eq!(history[0]["occurred_at"], "2020-02-29T12:00:00.000000Z");
    assert_eq!(history[1]["occurred_at"], "2020-03-01T10:00:00.500000Z");
    assert!(history[0]["recorded_at"].as_str().unwrap() > "2026");

    let early = json!({"stage": "qualified", "occurred_at": "2020-02-29T11:59:59Z"});
    let problem = server.post(&path("move"), &early).problem(422, "before_last");
    assert_eq!(problem.body["field"], "occurred_at");
    let late = json!({"stage": "qualified", "occurred_at": "9999-01-01T00:00:00Z"});
    let problem = server.post(&path("move"), &late).problem(422, "in_future");
    assert_eq!(problem.body["field"], "occurred_at");
}

#[test]
fn a_history_comes_in_pages() {
    let created = create("Restless", &json!({}));
    for index in 0..7 {
        let title = json!({"title": format!("Restless {index}")});
        server().patch(&format!("/v1/deals/{}", created.id()), &title).expect(200);
    }
    let (mut found, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let page = server().get(&format!("/v1/deals/{}/history?limit=3&after={after}", created.id())).expect(200).body;
        assert!(page["events"].as_array().unwrap().len() <= 3);
        found.extend(page["events"].as_array().unwrap().iter().map(|event| event["version"].as_u64().unwrap()));
        after = page["next"].clone();
    }
    assert_eq!(found, (1..=8).collect::<Vec<_>>());
}
