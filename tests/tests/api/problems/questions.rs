//! Questions that are refused.

use dealog_tests::DEFAULT_PIPELINE;

use super::{Bad, Body, NOBODY, check};

#[test]
fn paths_and_methods_that_are_not_there() {
    check(&[
        Bad::get("unknown path", "/v1/nowhere").gives(404, "no_such_path", None),
        Bad::get("one slash more", "/v1/deals/").gives(404, "no_such_path", None),
        Bad::new("wrong method", "DELETE", "/v1/deals", Body::None).gives(405, "no_such_method", None),
        Bad::new("a figure is not sent", "POST", "/v1/pipeline", Body::None).gives(405, "no_such_method", None),
        Bad::get("no such deal", format!("/v1/deals/{NOBODY}")).gives(404, "not_found", None),
        Bad::get("no such history", format!("/v1/deals/{NOBODY}/history")).gives(404, "not_found", None),
        Bad::get("no such customer", format!("/v1/customers/{NOBODY}")).gives(404, "not_found", None),
        Bad::get("no such user", format!("/v1/users/{NOBODY}")).gives(404, "not_found", None),
        Bad::get("no such pipeline", format!("/v1/pipelines/{NOBODY}")).gives(404, "not_found", None),
        Bad::get("bad id", "/v1/deals/17").gives(400, "bad_request", "id"),
        Bad::get("bad id of a pipeline", "/v1/pipelines/sales").gives(400, "bad_request", "id"),
    ]);
}

#[test]
fn parameters_that_nobody_knows() {
    let paths = [
        "/v1/deals",
        "/v1/pipeline",
        "/v1/board",
        "/v1/funnel",
        "/v1/forecast",
        "/v1/time-in-stage",
        "/v1/win-rate",
        "/v1/cycle",
        "/v1/velocity",
        "/v1/events",
        "/v1/events/stream",
        "/v1/pipelines",
        "/v1/customers",
        "/v1/users",
        "/v1/teams",
        "/v1/settings",
    ];
    let mut bad: Vec<Bad> = paths
        .iter()
        .map(|path| Bad::get("unknown parameter", format!("{path}?colour=red")).gives(400, "bad_request", "colour"))
        .collect();
    for path in ["deals", "pipelines", "customers", "users"] {
        let path = format!("/v1/{path}/{NOBODY}?colour=red");
        bad.push(Bad::get("unknown parameter", path).gives(400, "bad_request", "colour"));
    }
    check(&bad);
}

#[test]
fn parameters_that_do_not_fit() {
    check(&[
        Bad::get("no items", "/v1/deals?limit=0").gives(422, "limit", "limit"),
        Bad::get("too many items", "/v1/deals?limit=501").gives(422, "limit", "limit"),
        Bad::get("too many cards", "/v1/board?limit=501").gives(422, "limit", "limit"),
        Bad::get("too many events", "/v1/events?limit=1001").gives(422, "limit", "limit"),
        Bad::get("too many customers", "/v1/customers?limit=501").gives(422, "limit", "limit"),
        Bad::get("bad limit", "/v1/deals?limit=ten").gives(400, "bad_request", "limit"),
        Bad::get("a negative limit", "/v1/deals?limit=-1").gives(400, "bad_request", "limit"),
        Bad::get("bad after", "/v1/deals?after=x").gives(400, "bad_request", "after"),
        Bad::get("bad status", "/v1/deals?status=closed").gives(400, "bad_request", "status"),
        Bad::get("bad stage", "/v1/deals?stage=Offer%20made").gives(400, "bad_request", "stage"),
        Bad::get("bad owner", "/v1/pipeline?owner=anna").gives(400, "bad_request", "owner"),
        Bad::get("bad source", "/v1/pipeline?source=").gives(400, "bad_request", "source"),
        Bad::get("bad amount", "/v1/deals?amount_from=much").gives(400, "bad_request", "amount_from"),
        Bad::get("over-precise amount", "/v1/pipeline?amount_to=1.001").gives(400, "bad_request", "amount_to"),
        Bad::get("invalid UTF-8", "/v1/deals?source=%ff%fe").gives(400, "bad_request", "source"),
        Bad::get("invalid UTF-8 in a name", "/v1/deals?%ff=1").gives(400, "bad_request", "query"),
        Bad::get("invalid UTF-8 in the path", "/v1/deals/%ff%fe").gives(400, "bad_request", "id"),
        Bad::get("a URL too long", format!("/v1/deals?source={}", "x".repeat(9_000))).gives(414, "url_too_long", "URL"),
        Bad::get("a path too long", format!("/v1/deals/{}", "x".repeat(9_000))).gives(414, "url_too_long", "URL"),
        Bad::get("a version beyond all", format!("/v1/deals/{NOBODY}/history?after=9223372036854775808")).gives(
            400,
            "bad_request",
            "after",
        ),
        Bad::get("said twice", "/v1/deals?limit=1&limit=2").gives(400, "bad_request", "limit"),
        Bad::get("garbage", "/v1/pipeline?as_of=yesterday").gives(400, "bad_request", "as_of"),
        Bad::get("no such day", "/v1/pipeline?as_of=2026-02-30").gives(400, "bad_request", "as_of"),
        Bad::get("a time to come", "/v1/pipeline?as_of=2999-01-01T00:00:00Z").gives(422, "in_future", "as_of"),
        Bad::get("a day to come", "/v1/pipeline?as_of=2999-01-01").gives(422, "in_future", "as_of"),
        Bad::get("a day of no year", "/v1/funnel?as_of=%2B262142-12-31").gives(400, "bad_request", "as_of"),
        Bad::get("bad mode", "/v1/funnel?mode=both").gives(400, "bad_request", "mode"),
        Bad::get("bad min_position", "/v1/settings?min_position=last").gives(400, "bad_request", "min_position"),
        Bad::get("beyond the head", "/v1/deals?min_position=1000000").gives(422, "beyond_head", "min_position"),
        Bad::get("a figure beyond the head", "/v1/pipeline?min_position=1000000").gives(
            422,
            "beyond_head",
            "min_position",
        ),
        Bad::get("events beyond the head", "/v1/events?after=1000000").gives(422, "beyond_head", "after"),
        Bad::get("a pipeline that is not there", format!("/v1/pipeline?pipeline={NOBODY}"))
            .gives(422, "query", "pipeline"),
        Bad::get("a stage that is not there", "/v1/board?stage=nowhere").gives(422, "query", "stage"),
        Bad::get("a list of a pipeline that is not there", format!("/v1/deals?pipeline={NOBODY}"))
            .gives(422, "query", "pipeline"),
        Bad::get("a list of an owner who is not there", format!("/v1/deals?owner={NOBODY}"))
            .gives(422, "query", "owner"),
        Bad::get("a list of a customer who is not there", format!("/v1/deals?customer={NOBODY}"))
            .gives(422, "query", "customer"),
        Bad::get("a list of a team that is not there", format!("/v1/deals?team={NOBODY}")).gives(422, "query", "team"),
        Bad::get("a list of a stage that is not there", "/v1/deals?stage=nowhere").gives(422, "query", "stage"),
        Bad::get("a list of a source that is not there", "/v1/deals?source=Nowhere").gives(422, "query", "source"),
        Bad::get("a figure of a source that is not there", "/v1/pipeline?source=Nowhere").gives(422, "query", "source"),
        Bad::get("amounts in the wrong order", "/v1/deals?amount_from=5&amount_to=4").gives(422, "query", "amount_to"),
        Bad::get("a figure with amounts in the wrong order", "/v1/pipeline?amount_from=5&amount_to=4").gives(
            422,
            "query",
            "amount_to",
        ),
        Bad::get("a place in no column", "/v1/board?stage=contract&after=3").gives(400, "bad_request", "after"),
        Bad::get("after without a stage", "/v1/board?after=1_1_0192f3a4-5b6c-7d8e-9f00-112233445566")
            .gives(422, "query", "after"),
    ]);
}

#[test]
fn groupings_that_there_are_not() {
    let known = serde_json::json!([
        "owner",
        "team",
        "source",
        "campaign",
        "customer",
        "pipeline",
        "stage",
        "loss_reason",
        "competitor",
        "week",
        "month",
        "quarter",
        "year",
        "fields.NAME"
    ]);
    let mut bad = Vec::new();
    for figure in ["pipeline?", "funnel?", "funnel?mode=period&", "win-rate?", "cycle?", "forecast?"] {
        let by = |what, by: &str| Bad::get(what, format!("/v1/{figure}by={by}")).gives(422, "query", "by");
        bad.push(by("by something else", "colour").allowed(known.clone()));
        bad.push(by("by nothing", "").allowed(known.clone()));
        bad.push(by("nothing behind the comma", "owner,").allowed(known.clone()));
        bad.push(by("in capitals", "Owner").allowed(known.clone()));
        bad.push(by("twice the same", "owner,owner"));
        bad.push(by("three of them", "owner,team,month"));
        bad.push(Bad::get("said twice", format!("/v1/{figure}by=owner&by=team")).gives(400, "bad_request", "by"));
    }
    bad.push(Bad::get("not in groups", "/v1/board?by=owner").gives(400, "bad_request", "by"));
    check(&bad);
}

#[test]
fn periods_that_end_before_they_begin() {
    let mut bad: Vec<Bad> = ["funnel?mode=period&", "funnel?", "forecast?", "win-rate?", "cycle?", "velocity?"]
        .iter()
        .flat_map(|path| {
            [format!("/v1/{path}from=2026-02-01&to=2026-01-01"), format!("/v1/{path}from=2026-02-01&to=2026-02-01")]
        })
        .map(|path| Bad::get("from after to", path).gives(422, "query", "to"))
        .collect();
    bad.push(
        Bad::get("created_from after created_to", "/v1/deals?created_from=2026-02-01&created_to=2026-01-01").gives(
            422,
            "query",
            "created_to",
        ),
    );
    bad.push(Bad::get("a period of an instant's figure", "/v1/pipeline?to=2026-01-01").gives(422, "query", "to"));
    bad.push(Bad::get("days of a period", "/v1/funnel?mode=period&within_days=3").gives(422, "query", "within_days"));
    bad.push(Bad::get("no days", "/v1/funnel?within_days=0").gives(422, "query", "within_days"));
    bad.push(Bad::get("no interval", "/v1/pipeline?series=day").gives(400, "bad_request", "series"));
    bad.push(Bad::get("no number", "/v1/pipeline/deals?number=much").gives(400, "bad_request", "number"));
    bad.push(Bad::get("of which pipeline", "/v1/funnel/deals?number=reached").gives(422, "query", "pipeline"));
    let moves = "/v1/funnel/period/deals?number=moves&at_stage=";
    bad.push(Bad::get("moves of which pipeline", format!("{moves}lead")).gives(422, "query", "pipeline"));
    let one = format!("pipeline={DEFAULT_PIPELINE}");
    bad.push(Bad::get("moves to which stage", format!("{moves}qualified&{one}")).gives(422, "query", "to_stage"));
    bad.push(
        Bad::get("no such stage", format!("{moves}nowhere&to_stage=qualified&{one}")).gives(422, "query", "at_stage"),
    );
    check(&bad);
}

#[test]
fn streams_of_events_that_cannot_begin() {
    let from = |what, id: &str| Bad::get(what, "/v1/events/stream").header("Last-Event-ID", id);
    check(&[
        Bad::get("bad after", "/v1/events/stream?after=x").gives(400, "bad_request", "after"),
        Bad::get("beyond the head", "/v1/events/stream?after=1000000").gives(422, "beyond_head", "after"),
        Bad::get("unknown type", "/v1/events/stream?types=deal.*,deal.sold").gives(422, "unknown_type", "types"),
        from("not a position", "yesterday").gives(400, "bad_request", "Last-Event-ID"),
        from("a negative position", "-1").gives(400, "bad_request", "Last-Event-ID"),
        from("resumed beyond the head", "1000000").gives(422, "beyond_head", "Last-Event-ID"),
        Bad::get("the header goes first", "/v1/events/stream?after=0").header("Last-Event-ID", "1000000").gives(
            422,
            "beyond_head",
            "Last-Event-ID",
        ),
    ]);
}

#[test]
fn event_types_that_nobody_knows_are_refused_with_those_that_there_are() {
    for types in ["deal.sold", "deal.", "*", "deal.won,", "", "deal.*x"] {
        let answer = super::world().server.get(&format!("/v1/events?types={types}")).problem(422, "unknown_type");
        assert_eq!(answer.body["field"], "types", "{types}");
        let allowed = answer.body["allowed"].as_array().unwrap();
        assert!(allowed.iter().any(|known| known == "deal.won"), "{types}: {allowed:?}");
    }
}

#[test]
fn a_wrong_method_is_answered_with_those_that_are_right() {
    let answer = super::world().server.delete("/v1/deals").problem(405, "no_such_method");
    let allow = answer.header("allow").expect("the methods that are allowed");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}
