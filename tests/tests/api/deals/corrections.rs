//! People can correct what they got wrong: closings, and their last command.

use dealog_tests::{DEFAULT_PIPELINE, Server, deal};
use serde_json::{Value, json};

use super::{euro, seen};

/// A company of its own, whose figures no other test moves.
fn company() -> Server {
    Server::of_a_new_company(&["--currency", "EUR", "--time-zone", "Europe/Riga"])
}

fn won_between(server: &Server, query: &str) -> Value {
    let head = server.head();
    let rate = server.get(&format!("/v1/win-rate?{query}&min_position={head}")).expect(200).body;
    json!([rate["won"], rate["won_amount"]["amount"]])
}

#[test]
fn a_contract_signed_in_september_and_entered_in_october_counts_in_september() {
    let server = company();
    let create = json!({"amount": euro("900.00"), "occurred_at": "2025-09-01T08:00:00Z"});
    let id = server.post("/v1/deals", &deal("Signed on the 30th", &create)).expect(201).id();
    let path = format!("/v1/deals/{id}");
    // Something else was recorded in between.
    server.patch(&path, &json!({"title": "Signed", "occurred_at": "2025-10-01T08:00:00Z"})).expect(200);
    let win = json!({"closed_at": "2025-09-30", "occurred_at": "2025-10-02T08:00:00Z"});
    let won = server.post(&format!("{path}/win"), &win).expect(200);
    let found = seen(&server, &won);
    assert_eq!(found["closed_at"], "2025-09-30T20:59:59.999999Z");
    assert_eq!(won_between(&server, "from=2025-09-01&to=2025-10-01"), json!([1, "900.00"]));
    assert_eq!(won_between(&server, "from=2025-10-01&to=2025-11-01"), json!([0, "0.00"]));
    // As of that evening nobody knew of it.
    let then = server.get("/v1/pipeline?as_of=2025-09-30").expect(200).body;
    assert_eq!((&then["total"]["deals"], &then["closed"]["won"]), (&json!(1), &json!(0)));

    let early = json!({"closed_at": "2025-08-31", "reason": "price"});
    let other = server.post("/v1/deals", &deal("Another", &create)).expect(201).id();
    let problem = server.post(&format!("/v1/deals/{other}/lose"), &early).problem(422, "closed_too_early");
    assert_eq!(problem.body["field"], "closed_at");
    assert!(problem.body["detail"].as_str().unwrap().contains("2025-09-01T08:00:00.000000Z"), "{}", problem.text);
    let ahead = json!({"closed_at": "2999-01-01", "reason": "price"});
    server.post(&format!("/v1/deals/{other}/lose"), &ahead).problem(422, "closed_ahead");
    let nonsense = json!({"closed_at": "30.09.2025", "reason": "price"});
    let problem = server.post(&format!("/v1/deals/{other}/lose"), &nonsense).problem(400, "bad_request");
    assert_eq!(problem.body["field"], "closed_at");
    assert!(problem.text.contains("neither a day such as 2026-03-01 nor an instant"), "{}", problem.text);
}

#[test]
fn what_was_said_of_a_closing_is_corrected_and_figures_of_the_past_follow() {
    let server = company();
    let invite = |name: &str| server.post("/v1/users", &json!({"name": name, "roles": ["seller"]})).expect(201).id();
    let (anna, boris) = (invite("Anna Berg"), invite("Boris Weiss"));
    let create = json!({"amount": euro("900.00"), "owner": anna, "occurred_at": "2025-09-01T08:00:00Z"});
    let id = server.post("/v1/deals", &deal("Corrected", &create)).expect(201).id();
    let path = format!("/v1/deals/{id}");
    server.patch(&format!("{path}/closing"), &json!({"closed_at": "2025-09-03"})).problem(409, "deal_not_closed");
    let won = server.post(&format!("{path}/win"), &json!({"occurred_at": "2025-10-02T08:00:00Z"})).expect(200);
    let known = won.position();

    let correction = json!({"closed_at": "2025-09-30", "amount": euro("950.00"), "contract": "C-17", "owner": boris});
    let corrected = server.patch(&format!("{path}/closing"), &correction).expect(200);
    let found = seen(&server, &corrected);
    assert_eq!(
        [&found["amount"]["amount"], &found["contract"], &found["owner"], &found["credited_to"]],
        [&json!("950.00"), &json!("C-17"), &json!(anna), &json!(boris)]
    );
    let september = "from=2025-09-01&to=2025-10-01";
    assert_eq!(won_between(&server, september), json!([1, "950.00"]));
    assert_eq!(won_between(&server, &format!("{september}&owner={boris}")), json!([1, "950.00"]));
    assert_eq!(won_between(&server, &format!("{september}&owner={anna}")), json!([0, "0.00"]));
    assert_eq!(won_between(&server, &format!("from=2025-10-01&to=2025-11-01&known_at={known}")), json!([1, "900.00"]));
    let again = server.patch(&format!("{path}/closing"), &correction).expect(200).body;
    assert_eq!(again["events"], 0);

    let of_a_loss = server.patch(&format!("{path}/closing"), &json!({"reason": "price"}));
    assert_eq!(of_a_loss.problem(422, "not_of_this_closing").body["field"], "reason");
    let emptied = server.patch(&format!("{path}/closing"), &json!({"amount": null}));
    assert_eq!(emptied.problem(422, "never_empty").body["field"], "amount");

    let lost = server.post("/v1/deals", &deal("Lost", &json!({}))).expect(201).id();
    server.post(&format!("/v1/deals/{lost}/lose"), &json!({"reason": "price"})).expect(200);
    let excluded = server.patch(&format!("/v1/deals/{lost}/closing"), &json!({"reason": "error"})).expect(200);
    let found = seen(&server, &excluded);
    assert_eq!((&found["loss_reason"], &found["loss_counted"]), (&json!("error"), &json!(false)));
    let figures = server.get(&format!("/v1/pipeline?min_position={}", excluded.position())).expect(200).body;
    assert_eq!((&figures["closed"]["lost"], &figures["closed"]["excluded"]), (&json!(0), &json!(1)));
}

#[test]
fn a_card_that_was_dragged_too_far_goes_back_as_if_it_had_never_been_there() {
    let server = company();
    let create = json!({"amount": euro("900.00"), "occurred_at": "2026-01-01T08:00:00Z"});
    let created = server.post("/v1/deals", &deal("Dragged", &create)).expect(201);
    let path = format!("/v1/deals/{}", created.id());
    let before = seen(&server, &created);
    server.post(&format!("{path}/move"), &json!({"stage": "contract"})).expect(200);
    let undone = server.post(&format!("{path}/undo"), &json!({"reason": "Slipped"})).expect(200);
    let after = seen(&server, &undone);
    for same in ["stage", "entered_at", "status", "amount", "title"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    let funnel = server
        .get(&format!("/v1/funnel?pipeline={DEFAULT_PIPELINE}&from=2026-01-01&min_position={}", undone.position()))
        .expect(200)
        .body;
    let reached = funnel["funnels"][0]["stages"].as_array().unwrap().iter().map(|stage| stage["reached"].clone());
    assert_eq!(reached.collect::<Value>(), json!([1, 0, 0, 0, 0, 0]));

    let history = server.get(&format!("{path}/history")).expect(200).body["events"].clone();
    let (moved, told) = (&history[1], &history[2]);
    assert_eq!(told["type"], "deal.undone");
    assert_eq!(
        [&told["data"]["command"], &told["data"]["events"], &told["data"]["reason"]],
        [&moved["command_id"], &json!([moved["position"]]), &json!("Slipped")]
    );
    let restored = &told["data"]["restores"][0];
    assert_eq!((&restored["from"]["stage"], &restored["to"]["stage"]), (&json!("contract"), &json!("first_contact")));
    assert_eq!(restored["to"]["entered_at"], created_at(&history[0]));
}

fn created_at(event: &Value) -> Value {
    event["occurred_at"].clone()
}

#[test]
fn only_the_last_command_is_undone_once_and_not_an_undo() {
    let server = company();
    let created = server.post("/v1/deals", &deal("Once", &json!({}))).expect(201);
    let path = format!("/v1/deals/{}", created.id());
    let undo = || server.call("POST", &format!("{path}/undo"));
    let problem = undo().send().problem(409, "creation_is_last");
    assert_eq!(problem.body["allowed"], json!(["lose"]));

    let command_of = |version: usize| {
        let history = server.get(&format!("{path}/history")).expect(200).body;
        history["events"][version - 1]["command_id"].clone()
    };
    let moved = server.post(&format!("{path}/move"), &json!({"stage": "qualified"})).expect(200);
    assert_eq!(moved.body["command_id"], command_of(2));
    server.patch(&path, &json!({"title": "Twice"})).expect(200);
    let problem = undo().json(&json!({"command": command_of(2)})).send().problem(409, "not_the_last");
    assert!(problem.text.contains("deal.title_changed"), "{}", problem.text);
    undo().json(&json!({"command": created.id()})).send().problem(422, "no_such_command");
    undo().header("If-Match", "\"2\"").send().problem(412, "stale_version");

    // Without a body, and sent again under its own name.
    let first = undo().header("Idempotency-Key", "undo it").send().expect(200);
    let again = undo().header("Idempotency-Key", "undo it").send().expect(200);
    assert_eq!((&again.body["replayed"], &again.body["version"]), (&json!(true), &first.body["version"]));
    undo().send().problem(409, "undo_is_last");
    let found = seen(&server, &first);
    assert_eq!((&found["title"], &found["stage"]), (&json!("Once"), &json!("qualified")));
}

#[test]
fn a_win_is_undone_with_the_amount_that_came_with_it() {
    let server = company();
    let created = server.post("/v1/deals", &deal("Won by mistake", &json!({"amount": euro("5.00")}))).expect(201);
    let path = format!("/v1/deals/{}", created.id());
    server.post(&format!("{path}/win"), &json!({"amount": euro("9.00"), "contract": "C-1"})).expect(200);
    let undone = server.post(&format!("{path}/undo"), &json!({})).expect(200);
    let found = seen(&server, &undone);
    assert_eq!(
        [&found["status"], &found["amount"]["amount"], &found["contract"], &found["closed_at"], &found["credited_to"]],
        [&json!("open"), &json!("5.00"), &json!(null), &json!(null), &json!(null)]
    );
    assert_eq!(won_between(&server, "from=2020-01-01"), json!([0, "0.00"]));
    // Back and forth: what is won again counts again.
    server.post(&format!("{path}/win"), &json!({})).expect(200);
    assert_eq!(won_between(&server, "from=2020-01-01"), json!([1, "5.00"]));
}

#[test]
fn gates_hold_for_stages_that_are_jumped_over_and_for_what_is_emptied() {
    let server = company();
    let stage = format!("/v1/pipelines/{DEFAULT_PIPELINE}/stages/qualified");
    server.patch(&stage, &json!({"required_fields": ["amount", "source"]})).expect(200);
    let path = format!("/v1/deals/{}", server.post("/v1/deals", &deal("Gated", &json!({}))).expect(201).id());
    let jump = server.post(&format!("{path}/move"), &json!({"stage": "contract"})).problem(422, "fields_missing");
    assert_eq!(jump.body["missing"], json!(["amount", "source"]));
    let begun = json!({"stage": "offer_made"});
    server.post("/v1/deals", &deal("Begun late", &begun)).problem(422, "fields_missing");

    server.patch(&path, &json!({"amount": euro("5.00"), "source": "Web"})).expect(200);
    server.post(&format!("{path}/move"), &json!({"stage": "qualified"})).expect(200);
    let emptied = server.patch(&path, &json!({"source": null})).problem(422, "stage_needs");
    assert_eq!((&emptied.body["missing"], &emptied.body["field"]), (&json!(["source"]), &json!("source")));
    server.patch(&path, &json!({"source": "Fair"})).expect(200);
}

#[test]
fn a_message_says_what_would_be_right() {
    let server = company();
    let id = server.post("/v1/deals", &deal("Told", &json!({}))).expect(201).id();
    let path = format!("/v1/deals/{id}");
    for (field, value, says) in [
        ("amount", json!("900"), r#"{"amount":"1200.00","currency":"EUR"}"#),
        ("probability", json!("half"), "a number from 0 to 1 with at most four decimals, such as 0.35"),
        ("probability", json!(2), "such as 0.35"),
        ("expected_close", json!("soon"), "expected one such as 2026-03-01"),
    ] {
        let problem = server.patch(&path, &json!({field: value})).problem(400, "bad_request");
        assert_eq!(problem.body["field"], field);
        assert!(problem.body["detail"].as_str().unwrap().contains(says), "{}", problem.text);
    }
    // A reason by what people call it, in their own words; and one that there is not.
    let lose = |reason: &str| server.post(&format!("{path}/lose"), &json!({"reason": reason}));
    let problem = lose("Слишком дорого").problem(422, "unknown_loss_reason");
    assert!(problem.body["allowed"].as_array().unwrap().contains(&json!("price")), "{}", problem.text);
    let reasons = server.get("/v1/settings").expect(200).body["loss_reasons"].clone();
    let named = reasons.as_array().unwrap().iter().find(|reason| reason["slug"] == "price").unwrap();
    let lost = lose(named["name"].as_str().unwrap()).expect(200);
    assert_eq!(seen(&server, &lost)["loss_reason"], "price");
}

#[test]
fn null_says_nothing_of_what_always_has_a_value() {
    let server = company();
    let id = server.post("/v1/deals", &deal("Named", &json!({}))).expect(201).id();
    let customer = server.post("/v1/customers", &json!({"name": "Acme"})).expect(201).id();
    for (path, field) in [
        (format!("/v1/deals/{id}"), "title"),
        (format!("/v1/customers/{customer}"), "name"),
        ("/v1/settings".to_owned(), "time_zone"),
        ("/v1/settings".to_owned(), "loss_reasons"),
        (format!("/v1/pipelines/{DEFAULT_PIPELINE}/stages/qualified"), "name"),
        (format!("/v1/pipelines/{DEFAULT_PIPELINE}/stages/qualified"), "probability"),
    ] {
        let problem = server.patch(&path, &json!({field: null})).problem(422, "never_empty");
        assert_eq!(problem.body["field"], field, "{path}");
    }
}
