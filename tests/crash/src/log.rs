//! The log as it is read over HTTP, with the bytes of each event.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    broken::{Result, When as _, ensure},
    client::Client,
};

const PAGE_EVENTS: u64 = 1_000;

/// What the checks look at in an event.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) position: u64,
    pub(crate) event_id: String,
    pub(crate) stream: String,
    pub(crate) version: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) occurred_at: String,
    pub(crate) recorded_at: String,
    pub(crate) command_id: String,
    pub(crate) data: Value,
}

/// An event and its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) event: Event,
    pub(crate) bytes: String,
}

impl Written {
    pub(crate) fn parse(bytes: &str) -> Result<Self> {
        let event = serde_json::from_str(bytes).when(format_args!("`{bytes}` is not an event"))?;
        Ok(Self { event, bytes: bytes.to_owned() })
    }
}

#[derive(Deserialize)]
struct Page {
    head: u64,
    events: Vec<Box<RawValue>>,
    next: String,
}

/// All of it.
pub(crate) async fn read(client: &Client, node: SocketAddr) -> Result<Vec<Written>> {
    let (mut events, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let text = client.get(node, &format!("/v1/events?limit={PAGE_EVENTS}&after={after}")).await?;
        let page: Page = serde_json::from_str(&text).when("a page of the log")?;
        let found = page.events.len();
        for bytes in &page.events {
            events.push(Written::parse(bytes.get())?);
        }
        if found == 0 {
            ensure!(
                events.len() as u64 == page.head,
                "{} events are read, and the head is {}",
                events.len(),
                page.head
            );
            return Ok(events);
        }
        after = page.next;
    }
}
