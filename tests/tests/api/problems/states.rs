//! Commands that the deal is not in a state for.

use dealog_tests::DEFAULT_PIPELINE;
use serde_json::{Value, json};

use super::{Bad, NOBODY, check, world};

/// A command on a deal.
fn on(what: &'static str, deal: &str, command: &str, body: Value) -> Bad {
    Bad::post(what, format!("/v1/deals/{deal}/{command}"), body)
}

fn change(what: &'static str, deal: &str, body: Value) -> Bad {
    Bad::patch(what, format!("/v1/deals/{deal}"), body)
}

#[test]
fn commands_on_closed_deals() {
    let (open, won, lost) = (&world().open, &world().won, &world().lost);
    let closed = |bad: Bad| bad.gives(409, "deal_closed", None).allowed(json!(["reopen"]));
    let price = || json!({"reason": "price"});
    let euro = json!({"amount": {"amount": "1", "currency": "EUR"}});
    check(&[
        closed(on("move of a won deal", won, "move", json!({"stage": "contract"}))),
        closed(on("move of a lost deal", lost, "move", json!({"stage": "contract"}))),
        closed(on("win of a won deal", won, "win", json!({}))),
        closed(on("win of a lost deal", lost, "win", json!({}))),
        closed(on("loss of a won deal", won, "lose", price())),
        closed(on("loss of a lost deal", lost, "lose", price())),
        closed(on("transfer of a lost deal", lost, "transfer", json!({"pipeline": world().strict}))),
        closed(change("amount of a won deal", won, euro)),
        on("reopening an open deal", open, "reopen", json!({"reason": "x"})).gives(409, "deal_open", None),
        on("reopening without a reason", won, "reopen", json!({})).gives(400, "bad_request", "reason"),
    ]);
}

#[test]
fn losses_without_a_listed_reason() {
    let open = &world().open;
    let reasons = json!(["price", "no_budget", "competitor", "timing", "no_answer", "error", "duplicate"]);
    let lose = |what, body| on(what, open, "lose", body);
    let duplicate = |of: &str| json!({"reason": "duplicate", "duplicate_of": of});
    check(&[
        lose("no reason", json!({})).gives(400, "bad_request", "reason"),
        lose("a reason that is no name", json!({"reason": ""})).gives(400, "bad_request", "reason"),
        lose("unlisted reason", json!({"reason": "weather"}))
            .gives(422, "unknown_loss_reason", "reason")
            .allowed(reasons),
        lose("its own duplicate", duplicate(open)).gives(422, "duplicate_of_itself", "duplicate_of"),
        lose("duplicate of nothing", duplicate(NOBODY)).gives(422, "unknown_reference", "duplicate_of"),
    ]);
}

#[test]
fn moves_and_transfers_to_where_the_deal_cannot_go() {
    let (open, world) = (&world().open, world());
    let transfer = |what, pipeline: &str| on(what, open, "transfer", json!({"pipeline": pipeline}));
    check(&[
        on("no stage", open, "move", json!({})).gives(400, "bad_request", "stage"),
        on("no such stage", open, "move", json!({"stage": "nowhere"})).gives(422, "stage_not_open", "stage"),
        on("skipping", &world.in_strict, "move", json!({"stage": "three"}))
            .gives(409, "skips_stages", "stage")
            .allowed(json!(["two"])),
        transfer("transfer to where it is", DEFAULT_PIPELINE).gives(422, "same_pipeline", "pipeline"),
        transfer("transfer into the archive", &world.archived).gives(409, "pipeline_archived", "pipeline"),
        transfer("transfer to nowhere", NOBODY).gives(422, "unknown_reference", "pipeline"),
    ]);
}

#[test]
fn required_fields_that_are_missing() {
    let world = world();
    let money = |currency: &str| json!({"amount": {"amount": "1", "currency": currency}});
    let created = json!({"title": "x", "pipeline": world.strict, "stage": "two"});
    let all = |bad: Bad| {
        bad.gives(422, "fields_missing", "amount").missing(json!(["amount", "expected_close", "fields.budget"]))
    };
    check(&[
        all(on("a move", &world.in_strict, "move", json!({"stage": "two"}))),
        all(on("a win without an amount and more", &world.in_strict, "win", json!({}))),
        all(Bad::post("a create", "/v1/deals", created)),
        on("a win with an amount", &world.in_strict, "win", money("EUR"))
            .gives(422, "fields_missing", "expected_close")
            .missing(json!(["expected_close", "fields.budget"])),
        on("a win without an amount", &world.unpriced, "win", json!({})).gives(422, "amount_missing", "amount"),
        on("a win in another currency", &world.open, "win", money("USD"))
            .gives(422, "other_currency", "amount")
            .allowed(json!(["EUR"])),
    ]);
}

#[test]
fn times_and_values_that_do_not_fit() {
    let open = &world().open;
    let win = |what, time: &str| on(what, open, "win", json!({"occurred_at": time}));
    check(&[
        win("ahead of now", "2999-01-01T00:00:00Z").gives(422, "in_future", "occurred_at"),
        win("before its creation", "2001-01-01T00:00:00Z").gives(422, "before_last", "occurred_at"),
        change("bad probability", open, json!({"probability": 1.01})).gives(400, "bad_request", "probability"),
        change("no title", open, json!({"title": "  "})).gives(400, "bad_request", "title"),
    ]);
}
