//! An event that this version cannot read: the read model stops right before it, loudly, and everything else goes on.

use dealog_tests::{Data, Database, Dialect, PATIENCE, Server, deal, until};
use serde_json::{Value, json};

/// Appends what a later version of Dealog may write, as that would; gives its position.
fn plant(data: &Data) -> u64 {
    let mut log = Database::log(data);
    log.run(match log.dialect() {
        // SQLite has no hashes: the id that this command gives its event was made elsewhere.
        Dialect::Sqlite => {
            "BEGIN;
             INSERT INTO events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor, command_id,
                 correlation_id, causation_id, data)
             SELECT max(position) + 1, x'b97ecb57b0338484b1bc9f100dc461d8', 'deal-0192f3a4-0000-7000-8000-00000000dead', 1, 'deal.exploded', 1,
                 max(recorded_at), max(recorded_at), 'local', x'0192f3a4000070008000000000c0ffee', randomblob(16), NULL, '{\"loud\":true}' FROM events;
             INSERT INTO commands (command_id, fingerprint, stream, version, position, events)
             SELECT command_id, randomblob(32), stream, version, position, 1 FROM events WHERE type = 'deal.exploded';
             UPDATE head SET position = position + 1;
             COMMIT"
        }
        // The head tells no position there, and triggers take an event only with its id and with its command.
        Dialect::Postgres => {
            "WITH command AS (SELECT gen_random_uuid() AS id), hashed AS (
                 SELECT id, substr(sha256(uuid_send(id) || int8send(0)), 1, 16) AS hash FROM command
             ), appended AS (
                 INSERT INTO events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor,
                     command_id, correlation_id, causation_id, data)
                 SELECT position + 1, encode(set_byte(set_byte(hash, 6, get_byte(hash, 6) & 15 | 128), 8, get_byte(hash, 8) & 63 |
                     128), 'hex')::uuid, 'deal-0192f3a4-0000-7000-8000-00000000dead', 1, 'deal.exploded', 1, recorded_at,
                     recorded_at, 'local', id, id, NULL, '{\"loud\":true}'
                 FROM hashed, (SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1) AS last
             )
             INSERT INTO commands (command_id, fingerprint, stream, version, position, events)
             SELECT id, sha256('exploded'), 'deal-0192f3a4-0000-7000-8000-00000000dead', 1, max(position) + 1, 1
             FROM command, events GROUP BY id"
        }
    });
    log.number("SELECT max(position) FROM events").unwrap().try_into().unwrap()
}

/// A company whose read models have yet to meet three deals, the event, and three more deals in one batch.
fn company_with_an_event_from_the_future() -> (Data, u64) {
    let data = Data::fresh().with_limits("min_position_wait_ms = 0");
    Server::start(&data, &[]).ready().stop();
    let server = Server::start(&data, &["--no-workers"]);
    let create = || server.post("/v1/deals", &deal("A deal", &json!({}))).expect(201);
    (0..3).for_each(|_| drop(create()));
    let poison = plant(&data);
    (0..3).for_each(|_| drop(create()));
    server.stop();
    (data, poison)
}

fn stopped(server: &Server, poison: u64) -> Value {
    let ready = until("health should tell of it", PATIENCE, || {
        let ready = server.get("/health/ready");
        ready.body["projections"][0]["trouble"].is_string().then_some(ready)
    });
    let ready = ready.expect(503).body;
    let projection = &ready["projections"][0];
    assert_eq!((&ready["ready"], &projection["position"]), (&json!(false), &json!(poison - 1)), "{ready}");
    assert_eq!(projection["lag"].as_u64().unwrap(), ready["head"].as_u64().unwrap() - poison + 1);
    let trouble = projection["trouble"].as_str().unwrap();
    assert!(trouble.contains(&format!("position {poison} ")) && trouble.contains("deal.exploded"), "{trouble}");
    ready
}

#[test]
fn the_read_model_stops_right_before_it_and_health_log_and_command_line_tell() {
    let (data, poison) = company_with_an_event_from_the_future();
    let server = Server::start(&data, &[]);
    stopped(&server, poison);

    // What came before it is there, and nothing else is held up.
    let deals = server.get("/v1/deals").expect(200);
    assert_eq!(deals.header("dealog-position"), Some((poison - 1).to_string().as_str()));
    assert_eq!(deals.body["deals"].as_array().unwrap().len(), 3);
    // Figures of long ago are none: they say where they stopped.
    let figures = server.get("/v1/pipeline").problem(503, "model_stopped");
    let told = figures.body["detail"].as_str().unwrap();
    assert!(told.contains(&format!("position {poison} ")) && told.contains("deal.exploded"), "{told}");
    let created = server.post("/v1/deals", &deal("Another", &json!({}))).expect(201);
    server.post(&format!("/v1/deals/{}/move", created.id()), &json!({"stage": "contract"})).expect(200);
    server.get(&format!("/v1/deals?min_position={poison}")).problem(503, "not_caught_up");
    assert_eq!(server.head(), poison + 5);

    // Whoever looks from another process sees it too, and one without a worker.
    let (line, done) = data.projection();
    assert_eq!((done.code, &line["position"], &line["head"]), (1, &json!(poison - 1), &json!(poison + 5)), "{line}");
    let state = line["state"].as_str().unwrap().to_owned();
    assert!(state.starts_with("stopped since") && state.contains(&format!("position {poison} ")), "{state}");
    let told = data.run(["projections", "--log", "error"]).end();
    assert!(told.code == 1 && told.stdout.contains("deal.exploded") && told.stderr.contains("error: "), "{told:?}");
    let other = Server::start(&data, &["--no-workers"]);
    stopped(&other, poison);
    other.stop();

    let log = server.stop();
    let line = log.lines().find(|line| line.contains("projection stopped")).unwrap_or_else(|| panic!("{log}"));
    let fields = serde_json::from_str::<Value>(line).unwrap()["fields"].clone();
    assert_eq!(fields["position"], poison.to_string(), "{fields}");
    assert!(fields["reason"].as_str().unwrap().contains("deal.exploded"), "{fields}");

    // The same version never gets over it, and it has been known since it was known.
    let server = Server::start(&data, &[]);
    stopped(&server, poison);
    assert_eq!(data.projection().0["state"], state);
    server.stop();
}

#[test]
fn read_models_made_anew_stop_there_too_and_are_swapped_in_with_all_before_it() {
    let (data, poison) = company_with_an_event_from_the_future();
    let told = data.run(["rebuild", "--log", "error"]).fail();
    assert!(told.contains(&format!("position {poison} ")) && told.contains("deal.exploded"), "{told}");
    let (line, done) = data.projection();
    assert_eq!((done.code, &line["position"]), (1, &json!(poison - 1)), "{line}");
    let server = Server::start(&data, &[]);
    stopped(&server, poison);
    assert_eq!(server.get("/v1/deals").expect(200).body["deals"].as_array().unwrap().len(), 3);
    server.stop();
}

#[test]
fn a_worker_ends_before_it_and_says_why() {
    let (data, poison) = company_with_an_event_from_the_future();
    let told = data.run(["work", "--log", "off"]).fail();
    assert!(told.contains(&format!("after position {}", poison - 1)) && told.contains("deal.exploded"), "{told}");
}
