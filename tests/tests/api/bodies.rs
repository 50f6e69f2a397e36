//! Bodies on their way share a budget of bytes, and one caller has half of it.

use std::time::Duration;

use dealog_tests::{Answer, Client, Raw, deal, until};
use serde_json::json;

use crate::access::Company;

const BUDGET_BYTES: usize = 64 * 1024;
const BODY_BYTES: usize = BUDGET_BYTES / 4;
/// How long a change may take to be felt, with something to spare on a busy machine.
const FELT: Duration = Duration::from_secs(20);

/// A body of this size that never comes to its end. The server has made room for it: it has asked for the rest.
fn half_a_body(company: &Company, length: &str) -> Raw {
    let head = format!(
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\n{length}\r\n\r\n",
        company.anna_token
    );
    let mut raw = Raw::sending(company.server.address(), &head);
    assert!(raw.answer().starts_with("HTTP/1.1 100"));
    raw
}

/// A command whose body is large: JSON may have any number of blanks.
fn large(client: &Client) -> Answer {
    let body = format!("{}{}", deal("Large", &json!({})), " ".repeat(BODY_BYTES - 1024));
    client.call("POST", "/v1/deals").raw("application/json", body).send()
}

#[test]
fn bodies_that_do_not_come_to_their_end_take_no_more_than_half_of_the_room_from_others() {
    let limits = format!("bodies_bytes_max = {BUDGET_BYTES}\nbody_bytes_max = {BODY_BYTES}");
    let company = Company::with_limits(&limits);
    large(&company.anna).expect(201);
    // One that says how long it is, and one that does not.
    let held = [format!("Content-Length: {BODY_BYTES}"), "Transfer-Encoding: chunked".into()]
        .map(|length| half_a_body(&company, &length));
    let refused = large(&company.anna).problem(503, "bodies_full");
    assert!(refused.header("retry-after").is_some());
    // Small ones go on, and so do those of others.
    company.anna.post("/v1/deals", &deal("Small", &json!({}))).expect(201);
    large(&company.boris).expect(201);
    drop(held);
    until("Anna should have room again", FELT, || (large(&company.anna).status == 201).then_some(()));
}
