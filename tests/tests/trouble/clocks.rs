//! Clocks that disagree: a server that is behind another, and one whose clock was set back. What a command did is in every
//! answer that was asked to contain it, whatever the clock of the server that answers says.

use dealog_tests::{Data, Server, deal, with_clock};
use serde_json::{Value, json};

/// By how much a second server is behind.
const BEHIND_MS: [i64; 2] = [-100, -2_000];
/// By how much a clock is set back between two runs of a server.
const SET_BACK_MS: i64 = -3_600_000;
const ROUNDS: usize = 10;

fn start_with_clock(data: &Data, offset_ms: i64) -> Server {
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    Server::of(with_clock(command, offset_ms))
}

fn create(server: &Server) -> (String, u64) {
    let created = server.post("/v1/deals", &deal("A deal", &json!({}))).expect(201);
    (created.id(), created.position())
}

/// Every kind of answer about now contains the newest of so many open deals.
fn contains(server: &Server, deal: &str, position: u64, deals: usize) {
    let get = |path: &str| server.get(&format!("{path}min_position={position}")).expect(200).body;
    assert_eq!(get(&format!("/v1/deals/{deal}?"))["id"], deal);
    assert_eq!(get("/v1/deals?limit=1&")["deals"][0]["id"], deal);
    assert_eq!(get("/v1/pipeline?")["total"]["deals"], deals);
    assert_eq!(get("/v1/board?")["columns"][0]["deals"], deals);
}

/// So does one about the instant of the event that created it, which does not lie ahead. Gives that event.
fn contained(server: &Server, deal: &str, position: u64, deals: usize) -> Value {
    let get = |path: &str| server.get(&format!("{path}min_position={position}")).expect(200).body;
    let event = server.get(&format!("/v1/events?after={}&limit=1", position - 1)).expect(200).body["events"][0].clone();
    let [occurred, recorded] = ["occurred_at", "recorded_at"].map(|time| event[time].as_str().unwrap());
    assert_eq!(get(&format!("/v1/pipeline?as_of={occurred}&"))["total"]["deals"], deals);
    assert_eq!(get(&format!("/v1/deals/{deal}?as_of={occurred}&"))["id"], deal);
    assert_eq!(get(&format!("/v1/pipeline?known_at={recorded}&"))["total"]["deals"], deals);
    event
}

#[test]
fn a_server_whose_clock_is_behind_anothers_answers_with_what_it_was_asked_to_contain() {
    let data = Data::fresh();
    let ahead = Server::start(&data, &[]).ready();
    let mut deals = 0;
    for offset_ms in BEHIND_MS {
        let behind = start_with_clock(&data, offset_ms);
        for _ in 0..ROUNDS {
            let (deal, position) = create(&ahead);
            deals += 1;
            contains(&behind, &deal, position, deals);
            let event = contained(&behind, &deal, position, deals);
            // And the deal can be worked on there as of the instant at which it was seen last.
            let change = json!({"title": "Another title", "occurred_at": event["occurred_at"]});
            behind.patch(&format!("/v1/deals/{deal}"), &change).expect(200);
        }
        behind.stop();
    }
    ahead.stop();
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_hides_nothing_of_that_hour() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]).ready();
    let created: Vec<_> = (0..ROUNDS).map(|_| create(&server)).collect();
    let (deal, position) = created.last().unwrap();
    server.stop();
    let server = start_with_clock(&data, SET_BACK_MS);
    contains(&server, deal, *position, ROUNDS);
    contained(&server, deal, *position, ROUNDS);
    let (deal, position) = create(&server);
    contains(&server, &deal, position, ROUNDS + 1);
    server.stop();
    // Read models that are made anew know the time as those before them did.
    data.run(["rebuild"]).succeed();
    let server = start_with_clock(&data, SET_BACK_MS);
    contains(&server, &deal, position, ROUNDS + 1);
    server.stop();
    data.run(["check"]).succeed();
}
