//! A subscriber whose connection breaks again and again while others work.

use std::{
    env,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use dealog_tests::{Client, Subscription, until};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde_json::Value;

use super::{create, server_with};

const COMMANDS_MIN: usize = 5_000;
const CUTS: usize = 50;
const WORKERS: usize = 4;

/// The seed of chance: that of `FEED_SEED`, to repeat a failure, or another each time.
fn seed() -> u64 {
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    env::var("FEED_SEED").map_or_else(|_| now(), |seed| seed.parse().expect("FEED_SEED is a number"))
}

/// A subscriber that keeps what it got, and resumes by what it was told last.
struct Resuming {
    client: Client,
    told: Option<u64>,
    events: Vec<Value>,
}

impl Resuming {
    fn subscribe(&self, bytes: usize) -> Subscription {
        let call = self.client.call("GET", "/v1/events/stream?after=0");
        match self.told {
            Some(id) => call.header("Last-Event-ID", id.to_string()).subscribe_for(bytes),
            None => call.subscribe_for(bytes),
        }
    }

    /// Reads this many bytes, wherever that is in a message, and breaks the connection.
    fn read(&mut self, bytes: usize) {
        for message in self.subscribe(bytes) {
            self.told = message.id;
            if message.is_of_the_log() {
                self.events.push(message.data);
            }
        }
    }
}

#[test]
fn a_subscriber_that_is_cut_off_fifty_times_gets_every_event_once_and_in_order() {
    let seed = seed();
    eprintln!("to repeat: FEED_SEED={seed}");
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |end: u64| chance.next_u64() % end;
    // Few events are kept for subscribers: who was away for long has to catch up from the log.
    let server = server_with("subscriber_queue_events_max = 200");
    let (done, cut) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut subscriber = Resuming { client: server.client(), told: None, events: Vec::new() };
    thread::scope(|threads| {
        for _ in 0..WORKERS {
            let client = server.client();
            let (done, cut) = (&done, &cut);
            threads.spawn(move || {
                while done.load(Ordering::Relaxed) < COMMANDS_MIN || !cut.load(Ordering::Relaxed) {
                    create(&client, "One of many");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Spread over all the commands: on the average as much is read as 60 of 100 commands bring.
        for _ in 0..CUTS {
            subscriber.read(usize::try_from(below(2 * 60 * 700)).unwrap());
            let away = done.load(Ordering::Relaxed) + usize::try_from(below(80)).unwrap();
            until("commands should be carried out", Duration::from_secs(30), || {
                (done.load(Ordering::Relaxed) >= away).then_some(())
            });
        }
        cut.store(true, Ordering::Relaxed);
    });
    let head = server.head();
    assert!(head >= COMMANDS_MIN as u64);
    for message in subscriber.subscribe(usize::MAX) {
        if message.is_of_the_log() {
            subscriber.events.push(message.data);
        }
        if message.id == Some(head) {
            break;
        }
    }
    let positions: Vec<u64> = subscriber.events.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    assert_eq!(subscriber.events, server.events());
}
