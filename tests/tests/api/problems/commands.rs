//! Commands that are refused.

use dealog_tests::DEFAULT_PIPELINE;
use serde_json::json;

use super::{Bad, Body, NOBODY, USED_KEY, check, with, world};

const DEALS: &str = "/v1/deals";

#[test]
fn bodies_that_cannot_be_read() {
    let json = "application/json";
    let deep = format!("{{\"title\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let large = format!("{{\"title\":\"{}\"}}", "x".repeat(300_000));
    check(&[
        Bad::raw("malformed JSON", json, "{\"title\": ").gives(400, "bad_request", "body"),
        Bad::raw("two values", json, "{} {}").gives(400, "bad_request", "body"),
        Bad::raw("not an object", json, "[]").gives(400, "bad_request", "body"),
        Bad::raw("a text", json, "\"title\"").gives(400, "bad_request", "body"),
        Bad::raw("null", json, "null").gives(400, "bad_request", "body"),
        Bad::raw("invalid UTF-8", json, b"{\"title\":\"\xff\xfe\"}".to_vec()).gives(400, "bad_request", "body"),
        Bad::raw("half a surrogate pair", json, r#"{"title":"\ud800"}"#).gives(400, "bad_request", "body"),
        Bad::raw("deep JSON", json, deep).gives(400, "bad_request", "body"),
        Bad::raw("too large", json, large).gives(413, "body_too_large", "body"),
        Bad::raw("a form", "application/x-www-form-urlencoded", "title=x").gives(415, "media_type", "Content-Type"),
        Bad::raw("text", "text/plain", "{}").gives(415, "media_type", "Content-Type"),
        Bad::raw("no type", "", "{}").gives(415, "media_type", "Content-Type"),
        Bad::new("no body", "POST", DEALS, Body::None).gives(400, "bad_request", "title"),
        Bad::raw("blanks", json, "  \n ").gives(400, "bad_request", "title"),
    ]);
}

#[test]
fn bodies_that_do_not_fit() {
    let number = |digits: &str| json!({"amount": digits, "currency": "EUR"});
    check(&[
        Bad::post("missing title", DEALS, json!({"pipeline": DEFAULT_PIPELINE})).gives(400, "bad_request", "title"),
        Bad::post("missing pipeline", DEALS, json!({"title": "x"})).gives(400, "bad_request", "pipeline"),
        Bad::post("unknown field", DEALS, with("colour", json!("red"))).gives(400, "bad_request", "colour"),
        Bad::post("wrong type", DEALS, with("title", json!(7))).gives(400, "bad_request", "title"),
        Bad::post("empty title", DEALS, with("title", json!(""))).gives(400, "bad_request", "title"),
        Bad::post("blank title", DEALS, with("title", json!(" \t\n"))).gives(400, "bad_request", "title"),
        Bad::post("too long title", DEALS, with("title", json!("x".repeat(201)))).gives(400, "bad_request", "title"),
        Bad::post("control characters", DEALS, with("title", json!("a\u{7}b"))).gives(400, "bad_request", "title"),
        Bad::post("a zero character", DEALS, with("source", json!("a\u{0}b"))).gives(400, "bad_request", "source"),
        Bad::post("negative amount", DEALS, with("amount", number("-1.00"))).gives(400, "bad_request", "amount"),
        Bad::post("over-precise amount", DEALS, with("amount", number("1.001"))).gives(400, "bad_request", "amount"),
        Bad::post("too large amount", DEALS, with("amount", number("10000000000.01"))).gives(
            400,
            "bad_request",
            "amount",
        ),
        Bad::post("no number", DEALS, with("amount", number("1,00"))).gives(400, "bad_request", "amount"),
        Bad::post("an exponent", DEALS, with("amount", number("1e3"))).gives(400, "bad_request", "amount"),
        Bad::post("amount as a number", DEALS, with("amount", json!({"amount": 1, "currency": "EUR"}))).gives(
            400,
            "bad_request",
            "amount.amount",
        ),
        Bad::post("a bare number", DEALS, with("amount", json!(1))).gives(400, "bad_request", "amount"),
        Bad::post("no currency", DEALS, with("amount", json!({"amount": "1"}))).gives(
            400,
            "bad_request",
            "amount.currency",
        ),
        Bad::post("unknown currency", DEALS, with("amount", json!({"amount": "1", "currency": "EUX"}))).gives(
            400,
            "bad_request",
            "amount.currency",
        ),
        Bad::post("bad pipeline", DEALS, with("pipeline", json!("sales"))).gives(400, "bad_request", "pipeline"),
        Bad::post("bad stage", DEALS, with("stage", json!("Offer made"))).gives(400, "bad_request", "stage"),
        Bad::post("bad campaign", DEALS, with("campaign", json!("spring"))).gives(400, "bad_request", "campaign"),
        Bad::post("id in braces", DEALS, with("owner", json!(format!("{{{NOBODY}}}")))).gives(
            400,
            "bad_request",
            "owner",
        ),
        Bad::post("bad date", DEALS, with("expected_close", json!("2027-02-30"))).gives(
            400,
            "bad_request",
            "expected_close",
        ),
        Bad::post("bad instant", DEALS, with("occurred_at", json!("yesterday"))).gives(
            400,
            "bad_request",
            "occurred_at",
        ),
        Bad::post("bad fields", DEALS, with("fields", json!([]))).gives(400, "bad_request", "fields"),
        Bad::post("bad role", "/v1/users", json!({"name": "A", "roles": ["king"]})).gives(
            400,
            "bad_request",
            "roles[0]",
        ),
        Bad::post("bad email", "/v1/users", json!({"name": "A", "roles": ["seller"], "email": "a@b"})).gives(
            400,
            "bad_request",
            "email",
        ),
        Bad::post("bad kind", "/v1/customers", json!({"name": "A", "kind": "person"})).gives(
            400,
            "bad_request",
            "kind",
        ),
        Bad::patch("bad zone", "/v1/settings", json!({"time_zone": "Riga"})).gives(400, "bad_request", "time_zone"),
    ]);
}

#[test]
fn stages_that_do_not_fit() {
    let stage = |name: &str, value| {
        let mut stage = json!({"slug": "a", "name": "A", "probability": 0.5, "forecast_category": "commit"});
        stage[name] = value;
        json!({"name": "P", "stages": [stage]})
    };
    let path = "/v1/pipelines";
    check(&[
        Bad::post("certain", path, stage("probability", json!(1.5))).gives(400, "bad_request", "stages[0].probability"),
        Bad::post("over-precise", path, stage("probability", json!(0.12345))).gives(
            400,
            "bad_request",
            "stages[0].probability",
        ),
        Bad::post("a text", path, stage("probability", json!("0.5"))).gives(
            400,
            "bad_request",
            "stages[0].probability",
        ),
        Bad::post("bad slug", path, stage("slug", json!("A"))).gives(400, "bad_request", "stages[0].slug"),
        Bad::post("bad category", path, stage("forecast_category", json!("sure"))).gives(
            400,
            "bad_request",
            "stages[0].forecast_category",
        ),
        Bad::post("what none has", path, stage("required_fields", json!(["colour"]))).gives(
            400,
            "bad_request",
            "stages[0].required_fields[0]",
        ),
        Bad::post("a field nobody defined", path, stage("required_fields", json!(["fields.colour"])))
            .gives(422, "unknown_field", "fields.colour")
            .allowed(json!(["budget"])),
        Bad::post("no stages", path, json!({"name": "P", "stages": []})).gives(409, "no_stage_left", "stages"),
    ]);
}

#[test]
fn commands_about_what_is_not_there() {
    let path = |path: &str| format!("/v1/deals/{path}");
    let archived = &world().archived;
    check(&[
        Bad::post("no such pipeline", DEALS, with("pipeline", json!(NOBODY))).gives(
            422,
            "unknown_reference",
            "pipeline",
        ),
        Bad::post("no such customer", DEALS, with("customer", json!(NOBODY))).gives(
            422,
            "unknown_reference",
            "customer",
        ),
        Bad::post("no such owner", DEALS, with("owner", json!(NOBODY))).gives(422, "unknown_reference", "owner"),
        Bad::post("a deactivated owner", DEALS, with("owner", json!(world().inactive))).gives(
            422,
            "inactive_user",
            "owner",
        ),
        Bad::post("no such stage", DEALS, with("stage", json!("nowhere")))
            .gives(422, "stage_not_open", "stage")
            .allowed(json!(["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "contract"])),
        Bad::post("no such field", DEALS, with("fields", json!({"colour": "red"})))
            .gives(422, "unknown_field", "fields.colour")
            .allowed(json!(["budget"])),
        Bad::post("unfit value", DEALS, with("fields", json!({"budget": "much"}))).gives(
            422,
            "field_value",
            "fields.budget",
        ),
        Bad::post("archived pipeline", DEALS, with("pipeline", json!(archived))).gives(
            409,
            "pipeline_archived",
            "pipeline",
        ),
        Bad::post("currency without rate", DEALS, with("amount", json!({"amount": "1", "currency": "USD"})))
            .gives(422, "currency_without_rate", "amount")
            .allowed(json!(["EUR"])),
        Bad::post("no such deal", path(&format!("{NOBODY}/move")), json!({"stage": "contract"})).gives(
            404,
            "not_found",
            None,
        ),
        Bad::post("no such deal to win", path(&format!("{NOBODY}/win")), json!({})).gives(404, "not_found", None),
        Bad::patch("no such deal to change", path(NOBODY), json!({"title": "x"})).gives(404, "not_found", None),
        Bad::patch("no such user", format!("/v1/users/{NOBODY}"), json!({"roles": ["seller"]})).gives(
            404,
            "not_found",
            None,
        ),
        Bad::patch("no such customer to change", format!("/v1/customers/{NOBODY}"), json!({"name": "x"})).gives(
            404,
            "not_found",
            None,
        ),
        Bad::post("no such pipeline to archive", format!("/v1/pipelines/{NOBODY}/archive"), json!({})).gives(
            404,
            "not_found",
            None,
        ),
        Bad::post("bad id in the path", path("17/move"), json!({"stage": "contract"})).gives(400, "bad_request", "id"),
        Bad::post("id without hyphens", path(&format!("{}/win", NOBODY.replace('-', ""))), json!({})).gives(
            400,
            "bad_request",
            "id",
        ),
        Bad::post("unreadable path", path("%ff%fe/win"), json!({})).gives(400, "bad_request", "id"),
        Bad::post("bad stage in the path", format!("/v1/pipelines/{DEFAULT_PIPELINE}/stages/A-B/retire"), json!({}))
            .gives(400, "bad_request", "stage"),
    ]);
}

#[test]
fn headers_that_do_not_fit() {
    let open = &world().open;
    let bad = |what, name, value: &[u8]| {
        Bad::post(what, format!("/v1/deals/{open}/move"), json!({"stage": "contract"})).header(name, value)
    };
    check(&[
        bad("no ETag", "if-match", b"3").gives(400, "bad_request", "If-Match"),
        bad("a weak ETag", "if-match", b"W/\"1\"").gives(412, "stale_version", "If-Match"),
        bad("a stale ETag", "if-match", b"\"9\"").gives(412, "stale_version", "If-Match"),
        bad("an empty key", "idempotency-key", b"").gives(400, "bad_request", "Idempotency-Key"),
        bad("too long a key", "idempotency-key", &[b'x'; 256]).gives(400, "bad_request", "Idempotency-Key"),
        bad("no ASCII", "idempotency-key", "ключ".as_bytes()).gives(400, "bad_request", "Idempotency-Key"),
        bad("the key of another command", "idempotency-key", USED_KEY.as_bytes()).gives(
            422,
            "idempotency_key_reused",
            "Idempotency-Key",
        ),
        Bad::post("the key of a create with another body", DEALS, with("title", json!("Another")))
            .header("idempotency-key", USED_KEY)
            .gives(422, "idempotency_key_reused", "Idempotency-Key"),
        bad("a header too large", "x-note", &vec![b'x'; 40_000]).gives(431, "headers_too_large", "x-note"),
    ]);
}

#[test]
fn days_of_years_that_no_calendar_has() {
    let bad = |what, day: &str| Bad::post(what, DEALS, with("expected_close", json!(day)));
    check(&[
        bad("the year 0", "0000-03-01").gives(422, "day_out_of_range", "expected_close"),
        bad("too late", "+12026-03-01").gives(400, "bad_request", "expected_close"),
        bad("too early", "-2026-03-01").gives(400, "bad_request", "expected_close"),
    ]);
}

#[test]
fn requests_that_a_browser_carries_here_from_elsewhere() {
    let bad = |what, name, value: &str| Bad::post(what, DEALS, with("title", json!("From afar"))).header(name, value);
    check(&[
        bad("another page's", "origin", "https://evil.example").gives(403, "foreign_request", "Origin"),
        bad("another server's on this machine", "origin", "http://127.0.0.1:1").gives(403, "foreign_request", "Origin"),
        bad("a file's", "origin", "null").gives(403, "foreign_request", "Origin"),
        bad("a name made to point here", "host", "evil.example").gives(403, "foreign_request", "Host"),
        bad("a name that begins alike", "host", "127.0.0.1.evil.example:80").gives(403, "foreign_request", "Host"),
    ]);
}

#[test]
fn a_page_of_this_server_may_ask_it() {
    let server = &world().server;
    for host in [server.address().to_string(), format!("localhost:{}", server.address().port())] {
        let call = server.call("GET", "/v1/deals").header("host", &host);
        call.header("origin", format!("http://{host}")).send().expect(200);
    }
}
