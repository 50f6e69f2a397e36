//! A server that is killed under load: what it acknowledged is there, and nothing is there twice.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use dealog_tests::{Client, DEFAULT_PIPELINE, Server, deal, until};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::dealog;

const CLIENTS: usize = 20;
/// The server is killed after so many answers.
const ANSWERS: usize = 600;
const STAGES: [&str; 5] = ["qualified", "needs_found", "offer_made", "negotiation", "contract"];

/// A command as it was sent, and what was acknowledged, if anything was.
struct Sent {
    key: String,
    path: String,
    body: Value,
    acknowledged: Option<Value>,
}

impl Sent {
    fn send(&self, client: &Client) -> Option<Value> {
        let call = client.call("POST", &self.path).header("idempotency-key", &self.key).json(&self.body);
        let answer = call.try_send().ok()?;
        assert!(answer.status == 200 || answer.status == 201, "{}", answer.text);
        Some(answer.body)
    }
}

/// Creates deals and moves each through the stages until there is no answer any more.
fn work(client: &Client, name: usize, answers: &AtomicUsize) -> Vec<Sent> {
    let mut sent = Vec::new();
    for round in 0.. {
        let mut id = None;
        for step in 0..=STAGES.len() {
            let key = format!("{name}:{round}:{step}");
            let (path, body) = match (&id, step) {
                (Some(id), step) if step > 0 => (format!("/v1/deals/{id}/move"), json!({"stage": STAGES[step - 1]})),
                _ => ("/v1/deals".to_owned(), deal(&format!("Deal {name}:{round}"), &json!({}))),
            };
            let mut command = Sent { key, path, body, acknowledged: None };
            command.acknowledged = command.send(client);
            let acknowledged = command.acknowledged.clone();
            sent.push(command);
            let Some(answer) = acknowledged else { return sent };
            answers.fetch_add(1, Ordering::Relaxed);
            id = answer["id"].as_str().map(ToOwned::to_owned);
        }
    }
    sent
}

#[test]
fn after_a_kill_under_load_every_acknowledged_command_is_there_once() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--log", "warn,dealog=info"]);
    let answers = AtomicUsize::new(0);
    let sent: Mutex<Vec<Sent>> = Mutex::new(Vec::new());
    let clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    thread::scope(|scope| {
        for (name, client) in clients.iter().enumerate() {
            let (answers, sent) = (&answers, &sent);
            scope.spawn(move || {
                let mine = work(client, name, answers);
                sent.lock().unwrap().extend(mine);
            });
        }
        until("the clients should have answers", Duration::from_mins(1), || {
            (answers.load(Ordering::Relaxed) >= ANSWERS).then_some(())
        });
        server.kill9();
    });
    let sent = sent.into_inner().unwrap();
    let unanswered = sent.iter().filter(|command| command.acknowledged.is_none()).count();
    assert_eq!(unanswered, CLIENTS, "each client was left with one command without an answer");

    let server = Server::start(&data, &[]);
    check_log(&server.events(), &sent);

    // What had no answer is sent again, and is done once whether or not it was done before.
    for command in sent.iter().filter(|command| command.acknowledged.is_none()) {
        command.send(&server).expect("an answer");
    }
    // What had one gives it again.
    for command in sent.iter().filter(|command| command.acknowledged.is_some()).step_by(7) {
        let mut again = command.send(&server).expect("an answer");
        assert_eq!(again["replayed"], true);
        again["replayed"] = false.into();
        assert_eq!(Some(again), command.acknowledged);
    }
    let events = server.events();
    check_log(&events, &sent);
    assert_eq!(events.len(), 4 + sent.len(), "the new company's own events, and one for each command");

    let before = views(&server);
    server.stop();
    dealog(&data, &["rebuild"]).succeed();
    let server = Server::start(&data, &[]);
    assert_eq!(views(&server), before, "the read models are not what a rebuild makes");
    server.stop();
}

/// Each acknowledged command's event stands where the answer said, and no command and no deal is there twice.
fn check_log(events: &[Value], sent: &[Sent]) {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["position"], index + 1, "the log has a gap");
    }
    for command in sent {
        let Some(answer) = &command.acknowledged else { continue };
        let position = usize::try_from(answer["position"].as_u64().unwrap()).unwrap();
        let event = events.get(position - 1).unwrap_or_else(|| panic!("{} is lost: {answer}", command.key));
        assert_eq!((&event["stream"], &event["version"]), (&answer["stream"], &answer["version"]), "{}", command.key);
    }
    let mut commands: BTreeMap<&str, usize> = BTreeMap::new();
    let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        *commands.entry(event["event_id"].as_str().unwrap()).or_default() += 1;
        if event["type"] == "deal.created" {
            *titles.entry(event["data"]["title"].as_str().unwrap()).or_default() += 1;
        }
    }
    assert!(commands.values().chain(titles.values()).all(|count| *count == 1), "something is there twice");
}

/// What the read models say, without the instant of asking.
fn views(server: &Server) -> Vec<String> {
    let head = server.head();
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/v1/deals?limit=500&min_position={head}{after}")).expect(200);
        pages.push(page.text);
        if page.body["next"].is_null() {
            break;
        }
        after = format!("&after={}", page.body["next"]);
    }
    let stages = server.get(&format!("/v1/funnel?pipeline={DEFAULT_PIPELINE}")).expect(200).body["funnels"].to_string();
    pages.push(stages);
    pages
}
