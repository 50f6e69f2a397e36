//! What only the PostgreSQL back end promises: about its schema and roles, about several nodes, and about a server that goes
//! away and a network that cuts and stalls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "postgres/altered.rs"]
mod altered;
#[path = "postgres/network.rs"]
mod network;
#[path = "postgres/nodes.rs"]
mod nodes;
#[path = "postgres/restricted.rs"]
mod restricted;
#[path = "postgres/schema.rs"]
mod schema;
#[path = "postgres/session.rs"]
mod session;

use std::time::Duration;

use dealog_events::{Actor, Cause, CommandId, DealId, Position, StreamId, Timestamp, Version};
use dealog_store::{Append, EventStore as _, Fingerprint, Limits, NewEvent, StoreError, postgres::PostgresStore};
use uuid::Uuid;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(url, Limits::default()).await
}

fn append() -> Append {
    let time = Timestamp::from_micros(1).unwrap();
    Append {
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([1; 32]),
        cause: Cause { actor: Actor::Local, correlation_id: Uuid::now_v7(), causation_id: None },
        now: time,
        stream: StreamId::Deal(DealId(Uuid::now_v7())),
        expected: Version::ZERO,
        unchanged: vec![],
        events: vec![NewEvent { event_type: "deal.noted", schema: 1, occurred_at: time, data: "{}".into() }],
    }
}

async fn commands(store: &PostgresStore) -> Vec<CommandId> {
    store.read(Position::ZERO, 1_000, &[]).await.unwrap().iter().map(|event| event.command_id).collect()
}
