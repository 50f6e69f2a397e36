//! Workers: callers who send commands one after another, each with a server of its choice, and tell the witness.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::{
    broken::{Broken, Result, ensure},
    chance::Chance,
    client::{Answer, Client},
    deal::Deal,
    witness::{Read, Witness},
    workload::Command,
};

const WORKERS: u64 = 8;
/// The pause of a worker that has no answer: a server that is gone refuses thousands of commands a second.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a worker without a server waits before it looks again.
const NO_SERVER: Duration = Duration::from_millis(5);

/// Workers at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
}

impl Load {
    /// `name` makes the keys of its commands its own; `shared` are the deals that all work on.
    pub(crate) fn start(
        name: &str,
        shared: &[String],
        addresses: &watch::Receiver<Vec<SocketAddr>>,
        witness: &Arc<Witness>,
        seed: u64,
    ) -> Result<Self> {
        let stop = watch::Sender::new(false);
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let worker = Worker {
                name: format!("{name}-{number}"),
                sent: 0,
                shared: shared.to_vec(),
                own: Vec::new(),
                versions: HashMap::new(),
                addresses: addresses.clone(),
                witness: Arc::clone(witness),
                client: Client::new()?,
                chance: Chance::new(seed, number + 1),
            };
            workers.spawn(worker.work(stop.subscribe()));
        }
        Ok(Self { stop, workers })
    }

    /// Lets each come to the end of what it does.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        while let Some(ended) = self.workers.join_next().await {
            ended?;
        }
        Ok(())
    }
}

struct Worker {
    name: String,
    sent: u64,
    shared: Vec<String>,
    own: Vec<String>,
    /// The last version of each deal that it was told.
    versions: HashMap<String, u64>,
    addresses: watch::Receiver<Vec<SocketAddr>>,
    witness: Arc<Witness>,
    client: Client,
    chance: Chance,
}

impl Worker {
    async fn work(mut self, stop: watch::Receiver<bool>) {
        if let Err(Broken(what)) = self.send_and_read(&stop).await {
            self.witness.broken(format!("worker {}: {what}", self.name));
        }
    }

    async fn send_and_read(&mut self, stop: &watch::Receiver<bool>) -> Result<()> {
        while !*stop.borrow() {
            let Some(node) = self.node() else {
                sleep(NO_SERVER).await;
                continue;
            };
            let command = self.next();
            let number = self.witness.sends(command.clone());
            let answer = self.send(number, &command, node).await?;
            match answer {
                Answer::Done(done) => {
                    if command.stream.is_none() {
                        self.own.push(done.stream.clone());
                    }
                    if self.chance.percent(15) {
                        self.read(&done.stream, done.position).await?;
                    }
                    self.versions.insert(done.stream, done.version);
                }
                // To come again is right; so is to leave it, and have it found out later.
                Answer::Unknown(_) => {
                    sleep(PAUSE).await;
                    if let (true, Some(node)) = (self.chance.percent(50), self.node()) {
                        self.send(number, &command, node).await?;
                    }
                }
                Answer::Refused { .. } => {}
            }
        }
        Ok(())
    }

    fn node(&mut self) -> Option<SocketAddr> {
        let nodes = self.addresses.borrow().clone();
        self.chance.pick(&nodes).copied()
    }

    fn next(&mut self) -> Command {
        self.sent += 1;
        let key = format!("{}-{}", self.name, self.sent);
        let stream = match self.chance.weighted([15, 25, 60]) {
            0 => None,
            1 => self.chance.pick(&self.own).cloned(),
            _ => self.chance.pick(&self.shared).cloned(),
        };
        match stream {
            None => Command::create(key, &mut self.chance),
            Some(stream) => {
                let version = self.versions.get(&stream).copied();
                Command::change(key, &stream, version, &mut self.chance)
            }
        }
    }

    /// Sends a command; now and then twice at the same time, as an impatient caller does.
    async fn send(&mut self, number: usize, command: &Command, node: SocketAddr) -> Result<Answer> {
        let twin = if self.chance.percent(5) { self.node() } else { None };
        let one = call(&self.client, &self.witness, number, command, node);
        let Some(other) = twin else { return one.await };
        let two = call(&self.client, &self.witness, number, command, other);
        let (one, two) = tokio::join!(one, two);
        Ok(match (one?, two?) {
            (done @ Answer::Done(_), _) => done,
            (_, other) => other,
        })
    }

    /// Asks for a deal as it is at a position or later.
    async fn read(&mut self, stream: &str, min_position: u64) -> Result<()> {
        let (Some(node), Some(id)) = (self.node(), stream.strip_prefix("deal-")) else { return Ok(()) };
        let path = format!("/v1/deals/{id}?min_position={min_position}");
        let Some(text) = self.client.ask(node, &path).await? else { return Ok(()) };
        let deal = shown(&serde_json::from_str(&text)?)?;
        ensure!(deal.version > 0, "GET {path}: {text}");
        let returned = self.witness.now();
        self.witness.reads(Read { stream: stream.to_owned(), min_position, returned, deal });
        Ok(())
    }
}

/// Sends a command and tells the witness what came of it.
pub(crate) async fn call(
    client: &Client,
    witness: &Witness,
    number: usize,
    command: &Command,
    node: SocketAddr,
) -> Result<Answer> {
    let called = witness.now();
    let answer = client.send(node, command).await?;
    witness.hears(number, called, answer.clone());
    Ok(answer)
}

/// A deal as the API shows it.
pub(crate) fn shown(deal: &Value) -> Result<Deal> {
    let field = |name: &str| deal.get(name).cloned().unwrap_or(Value::Null);
    let number = |name: &str| field(name).as_u64().unwrap_or(0);
    let status = ["open", "won", "lost"].into_iter().find(|status| field("status") == *status);
    Ok(Deal {
        version: number("version"),
        position: number("position"),
        title: field("title"),
        stage: field("stage"),
        status: status.ok_or_else(|| Broken(format!("no deal: {deal}")))?,
        amount: field("amount"),
        source: field("source"),
    })
}
