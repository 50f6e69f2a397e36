//! Commands that are sent until one is not acknowledged, or beside what else is done, and the witness who knows which were
//! acknowledged.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::{Answer, Client, DEFAULT_PIPELINE, PATIENCE, Server, deal, until};
use serde_json::{Value, json};

/// Events of a company that has just been set up.
pub const FOUNDING: usize = 4;
const STAGES: [&str; 5] = ["qualified", "needs_found", "offer_made", "negotiation", "contract"];

/// A command as it was sent, and what was acknowledged, if anything was.
pub struct Sent {
    key: String,
    path: String,
    body: Value,
    pub acknowledged: Option<Value>,
    /// The answer of a server that did not carry it out.
    pub refused: Option<Answer>,
}

impl Sent {
    fn new(key: String, path: String, body: Value) -> Self {
        Self { key, path, body, acknowledged: None, refused: None }
    }

    /// Sends it, again if it was sent before.
    pub fn send(&mut self, client: &Client) {
        let call = client.call("POST", &self.path).header("idempotency-key", &self.key).json(&self.body);
        match call.try_send() {
            Ok(answer) if answer.status == 200 || answer.status == 201 => self.acknowledged = Some(answer.body),
            Ok(answer) => self.refused = Some(answer),
            Err(_) => {}
        }
    }

    /// Where its event is, if it was acknowledged.
    pub fn position(&self) -> Option<u64> {
        self.acknowledged.as_ref().and_then(|answer| answer["position"].as_u64())
    }

    /// Sends it once more: it was done, and the answer says the same again.
    pub fn is_remembered(&self, client: &Client) {
        let mut again = Self::new(self.key.clone(), self.path.clone(), self.body.clone());
        again.send(client);
        let mut again = again.acknowledged.unwrap_or_else(|| panic!("{} is refused by now", self.key));
        assert_eq!(again["replayed"], true, "{} was done again", self.key);
        again["replayed"] = self.acknowledged.as_ref().unwrap()["replayed"].clone();
        assert_eq!(Some(&again), self.acknowledged.as_ref(), "{}", self.key);
    }

    /// Whether this event is what the command asked for.
    fn is_told_by(&self, event: &Value) -> bool {
        match self.body.get("stage") {
            Some(stage) => event["type"] == "deal.stage_moved" && event["data"]["to"] == *stage,
            None => event["type"] == "deal.created" && event["data"]["title"] == self.body["title"],
        }
    }
}

/// Creates deals and moves each through the stages, until something is not acknowledged.
pub fn work(client: &Client, name: &str, answers: &AtomicUsize) -> Vec<Sent> {
    commands(name, |command| {
        command.send(client);
        let acknowledged = command.acknowledged.is_some();
        answers.fetch_add(usize::from(acknowledged), Ordering::Relaxed);
        acknowledged
    })
}

/// Commands that clients send for as long as something else is done.
#[derive(Default)]
pub struct Load {
    answers: AtomicUsize,
    over: AtomicBool,
}

/// Ends the load, however the rest ends: who sends would be waited for for ever.
struct End<'load>(&'load Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Sends commands for as long as `meanwhile` takes. Each client knows servers to turn to, one after another. Gives what was
    /// sent.
    pub fn beside<T>(clients: &[Vec<Client>], meanwhile: impl FnOnce(&Self) -> T) -> (T, Vec<Sent>) {
        let load = Self::default();
        thread::scope(|scope| {
            let load = &load;
            let sending: Vec<_> = (0..)
                .zip(clients)
                .map(|(number, servers): (usize, _)| {
                    scope.spawn(move || load.persist(servers, &format!("client {number}")))
                })
                .collect();
            let end = End(load);
            let done = meanwhile(load);
            drop(end);
            (done, sending.into_iter().flat_map(|client| client.join().unwrap()).collect())
        })
    }

    /// Waits until so many more commands have been acknowledged.
    pub fn answered(&self, more: usize) {
        let answers = || self.answers.load(Ordering::Relaxed);
        let wanted = answers() + more;
        until("commands should be carried out", PATIENCE, || (answers() >= wanted).then_some(()));
    }

    /// What is not acknowledged is sent again, to one server after another.
    fn persist(&self, servers: &[Client], name: &str) -> Vec<Sent> {
        let mut turn = servers.iter().cycle().peekable();
        commands(name, |command| {
            until(&format!("{} should be carried out", command.key), PATIENCE, || {
                command.send(turn.peek().expect("there are servers"));
                if command.acknowledged.is_none() {
                    turn.next();
                }
                command.acknowledged.as_ref().map(|_| ())
            });
            self.answers.fetch_add(1, Ordering::Relaxed);
            !self.over.load(Ordering::Relaxed)
        })
    }
}

/// Deals that are created and moved through the stages, a command after the other, for as long as `send` goes on.
fn commands(name: &str, mut send: impl FnMut(&mut Sent) -> bool) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    for round in 0.. {
        let mut id = None;
        for step in 0..=STAGES.len() {
            let (path, body) = match (&id, step) {
                (Some(id), step) if step > 0 => (format!("/v1/deals/{id}/move"), json!({"stage": STAGES[step - 1]})),
                _ => ("/v1/deals".to_owned(), deal(&format!("Deal {name}:{round}"), &json!({}))),
            };
            let mut command = Sent::new(format!("{name}:{round}:{step}"), path, body);
            let go_on = send(&mut command);
            id = command.acknowledged.as_ref().map(|answer| answer["id"].as_str().unwrap().to_owned());
            sent.push(command);
            if !go_on {
                return sent;
            }
        }
    }
    sent
}

/// Each acknowledged command's event stands where the answer said and tells what was asked for, nothing is there twice, and
/// nothing that nobody sent.
pub fn check_log(events: &[Value], sent: &[Sent]) {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["position"], index + 1, "the log has a gap");
    }
    for command in sent {
        let Some(answer) = &command.acknowledged else { continue };
        let position = usize::try_from(answer["position"].as_u64().unwrap()).unwrap();
        let event = events.get(position - 1).unwrap_or_else(|| panic!("{} is lost: {answer}", command.key));
        assert_eq!((&event["stream"], &event["version"]), (&answer["stream"], &answer["version"]), "{}", command.key);
        assert!(command.is_told_by(event), "{} became {event}", command.key);
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in events {
        let created = event["type"] == "deal.created";
        let what = if created { event["data"]["title"].to_string() } else { event["event_id"].to_string() };
        *seen.entry(what).or_default() += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "there twice: {twice:?}");
    assert!(events.len() <= FOUNDING + sent.len(), "there is more than was sent");
}

/// What the read models say of the whole log, without the instant of asking.
pub fn views(server: &Server) -> Vec<String> {
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
    // Figures come there by themselves.
    let funnel = server.get(&format!("/v1/funnel?pipeline={DEFAULT_PIPELINE}&min_position={head}")).expect(200);
    let pipeline = server.get(&format!("/v1/pipeline?min_position={head}")).expect(200);
    for figures in [&funnel.body["funnels"], &pipeline.body["pipelines"][0]["stages"]] {
        assert!(figures.is_array());
        // Ages grow while one asks.
        let mut figures = figures.clone();
        for stage in figures.as_array_mut().unwrap() {
            stage.as_object_mut().unwrap().retain(|name, _| !name.starts_with("age_"));
        }
        pages.push(figures.to_string());
    }
    pages
}
