//! What is done to the server, one file for each kind. Every attack is bounded: in connections, in requests a second, and in
//! time. None of them obeys what the server asks of its callers.

mod bodies;
mod commands;
mod heads;
mod methods;
mod queries;
mod readers;
mod streams;
mod tokens;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::ValueEnum;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    broken::{Broken, Result},
    company::Callers,
    connection::Connection,
};

/// How long an attacker whose connection was refused or cut waits before it comes again.
const AGAIN: Duration = Duration::from_millis(200);
/// The addresses that strangers call from: several, since one is soon kept within its bounds.
const STRANGERS: u8 = 8;

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// Heads of requests that come a byte at a time, or not at all
    Heads,
    /// Bodies that come a byte at a time
    Bodies,
    /// Large answers that are taken a few bytes at a time
    Readers,
    /// Streams of rare events from the beginning of the log, by one service
    Streams,
    /// The most expensive questions, over 64 connections by one analyst
    Queries,
    /// Methods that nobody knows, and ids of 30 KB
    Methods,
    /// Wrong secrets for the seller's own token, from the seller's own address, and tokens made up
    Tokens,
    /// Commands on one customer without a pause, by one seller
    Commands,
}

impl Kind {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What became of one attack.
#[derive(Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    fn count(&self, what: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what.into()).or_default() += 1;
    }

    /// `1,234 times 429, 12 times cut`.
    pub(crate) fn told(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<_> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        if told.is_empty() { "nothing was answered".into() } else { told.join(", ") }
    }
}

/// One attack under way.
#[derive(Clone)]
struct Attack {
    callers: Callers,
    tally: Arc<Tally>,
}

impl Attack {
    /// Opens a connection from `from`, and comes again as long as that is refused.
    async fn connect(&self, from: IpAddr) -> Connection {
        loop {
            match Connection::open(from, self.callers.address).await {
                Ok(connection) => return connection,
                Err(_) => self.tally.count("refused"),
            }
            sleep(AGAIN).await;
        }
    }

    /// Sends a request over and over, each time after a pause, and counts what is answered.
    async fn ask_on(&self, from: IpAddr, pause: Duration, mut request: impl FnMut() -> Vec<u8>) {
        loop {
            let mut connection = self.connect(from).await;
            loop {
                match connection.ask(&request()).await {
                    Ok(answer) => self.tally.count(answer.status.to_string()),
                    Err(Broken(_)) => break,
                }
                sleep(pause).await;
            }
            self.tally.count("cut");
            sleep(AGAIN).await;
        }
    }

    /// Counts how the server ended a connection: with a word, or without one.
    async fn ended(&self, connection: &mut Connection) {
        let said = connection.read_some(64).await.ok().flatten().unwrap_or_default();
        let status = said.get(9..12).map(|status| String::from_utf8_lossy(status).into_owned());
        self.tally.count(status.unwrap_or_else(|| "cut".into()));
    }
}

/// An address that a stranger calls from.
fn stranger(number: usize) -> IpAddr {
    let host = u8::try_from(number % usize::from(STRANGERS)).unwrap_or_default();
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + host))
}

/// The address of those who misuse their own token.
const MISUSER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 100));

/// Starts an attack, which goes on until the set is dropped.
pub(crate) fn start(kind: Kind, callers: &Callers, attacking: &mut JoinSet<Result<()>>) -> Arc<Tally> {
    let tally = Arc::<Tally>::default();
    let attack = Attack { callers: callers.clone(), tally: Arc::clone(&tally) };
    match kind {
        Kind::Heads => heads::start(&attack, attacking),
        Kind::Bodies => bodies::start(&attack, attacking),
        Kind::Readers => readers::start(&attack, attacking),
        Kind::Streams => streams::start(&attack, attacking),
        Kind::Queries => queries::start(&attack, attacking),
        Kind::Methods => methods::start(&attack, attacking),
        Kind::Tokens => tokens::start(&attack, attacking),
        Kind::Commands => commands::start(&attack, attacking),
    }
    tally
}
