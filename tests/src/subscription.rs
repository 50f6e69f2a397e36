//! A subscriber of the live feed. It understands the stream by a parser that others wrote.

use std::{
    io::{self, Read},
    pin::Pin,
    time::{Duration, Instant},
};

use eventsource_stream::Eventsource as _;
use futures_util::{
    FutureExt as _,
    stream::{self, Stream, StreamExt as _},
};
use reqwest::blocking::Response;
use serde_json::Value;

/// How long a subscriber stays at most: a test that waits for what never comes should fail, and not hang.
const BOUND: Duration = Duration::from_mins(5);

/// A stream of events, with a connection of its own that is closed when this goes.
pub struct Subscription(Pin<Box<dyn Stream<Item = Message>>>);

/// A message of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub event: String,
    /// The position of the last id that was sent until now.
    pub id: Option<u64>,
    /// That id, with which an `EventSource` would resume.
    pub cursor: String,
    pub data: Value,
}

impl Message {
    /// Whether it is an event of the log, and not one of the stream's own.
    pub fn is_of_the_log(&self) -> bool {
        !["position", "dropped", "stopping"].contains(&self.event.as_str())
    }
}

impl Subscription {
    /// Reads an answer as it comes, and no more than `bytes` of it.
    pub fn of(response: Response, bytes: usize) -> Self {
        let chunks = stream::iter(Chunks { response, left: bytes, begun: Instant::now() });
        Self(Box::pin(chunks.eventsource().map(|event| {
            let event = event.expect("a stream of events");
            let position = event.id.split('-').next().filter(|position| !position.is_empty());
            let id = position.map(|position| position.parse().expect("an id begins with a position"));
            Message {
                event: event.event,
                id,
                cursor: event.id,
                data: serde_json::from_str(&event.data).expect("data is JSON"),
            }
        })))
    }

    /// The next message, which must be of this kind.
    #[track_caller]
    pub fn expect(&mut self, event: &str) -> Message {
        let message = self.next().unwrap_or_else(|| panic!("the stream ended, and {event} was expected"));
        assert_eq!(message.event, event, "{message:?}");
        message
    }
}

/// Ends with the stream, or with the bytes that were to be read.
impl Iterator for Subscription {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        // The bytes are read where they are asked for: nothing is ever pending.
        self.0.next().now_or_never().expect("a reader that blocks is always ready")
    }
}

struct Chunks {
    response: Response,
    left: usize,
    begun: Instant,
}

impl Iterator for Chunks {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.begun.elapsed() > BOUND {
            return Some(Err(io::ErrorKind::TimedOut.into()));
        }
        let mut buffer = [0; 4_096];
        let wanted = buffer.len().min(self.left);
        match self.response.read(&mut buffer[..wanted]) {
            Ok(0) => None,
            Ok(bytes) => {
                self.left -= bytes;
                Some(Ok(buffer[..bytes].to_vec()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
