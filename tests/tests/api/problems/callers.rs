//! Requests of those who may not make them.

use std::time::Duration;

use dealog_tests::{Server, deal, until};
use serde_json::json;

use super::{Bad, NOBODY, check_at, with};

#[test]
fn requests_of_those_who_may_not_make_them() {
    let server = Server::of_a_new_company(&[]);
    let created = server.post("/v1/deals", &deal("Nobody's", &json!({}))).expect(201).id();
    let token = |name: &str, role: &str| {
        let args = ["token", "create", "--invite", name, "--role", role];
        server.data().run(args).succeed().stdout.trim_end().to_owned()
    };
    let [seller, analyst, auditor] = ["seller", "analyst", "auditor"].map(|role| token(role, role));
    until("a request without a token should be refused", Duration::from_secs(20), || {
        (server.get("/v1/deals").status == 401).then_some(())
    });

    let as_ = |token: &str, bad: Bad| bad.header("authorization", format!("Bearer {token}"));
    let create = |what| Bad::post(what, "/v1/deals", with("title", json!("Forbidden")));
    let move_it = |what, deal: &str| Bad::post(what, format!("/v1/deals/{deal}/move"), json!({"stage": "contract"}));
    let (rest, last) = seller.split_at(seller.len() - 1);
    let another_secret = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    let field = "Authorization";
    check_at(
        &server,
        &server.client().with_token(&auditor),
        &[
            create("no token").gives(401, "no_token", field),
            Bad::get("a question without a token", "/v1/pipeline").gives(401, "no_token", field),
            as_("dealog_nonsense", create("a wrong token")).gives(401, "invalid_token", field),
            as_(&another_secret, create("a token with another secret")).gives(401, "invalid_token", field),
            create("another scheme").header("authorization", "Basic eDp5").gives(401, "invalid_token", field),
            as_(&analyst, create("a role that reads")).gives(403, "forbidden", field).allowed(json!(["read"])),
            as_(&analyst, Bad::get("a role that does not read the log", "/v1/events")).gives(403, "forbidden", field),
            as_(&seller, Bad::patch("a seller's settings", "/v1/settings", json!({"time_zone": "Europe/Riga"}))).gives(
                403,
                "forbidden",
                field,
            ),
            as_(&seller, move_it("someone else's deal", &created)).gives(403, "not_your_deal", "owner"),
            as_(&seller, move_it("a deal that is not there", NOBODY)).gives(404, "not_found", None),
        ],
    );
}
