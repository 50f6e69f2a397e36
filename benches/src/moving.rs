//! Deals that are moved back and forth, by commands in this process.

use std::{sync::Arc, time::Duration};

use dealog_commands::{Commands, Limits, Meta, Request, fingerprint, system_clock};
use dealog_domain::{Command, deal, pipeline, settings};
use dealog_events::{Actor, Cause, CommandId, DealId, PipelineId, StreamId};
use dealog_store::{EventStore, Place};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    Result,
    table::{millis, rate},
};

/// Deals that there are to move.
pub(crate) const DEALS: usize = 1_024;

/// A pipeline to move them through, as the API takes it.
pub(crate) fn pipeline() -> Value {
    let stage = |slug: &str| json!({"slug": slug, "name": slug, "probability": 0.5, "forecast_category": "pipeline"});
    json!({"name": "Bench", "stages": [stage("lead"), stage("offer")]})
}

/// The body of a move that takes a deal out of the stage it is in.
pub(crate) fn to_stage(moves_before: u32) -> Value {
    json!({"stage": if moves_before.is_multiple_of(2) { "offer" } else { "lead" }})
}

pub(crate) struct Moving {
    commands: Commands,
    pipeline: PipelineId,
    deals: Vec<Deal>,
}

struct Deal {
    stream: StreamId,
    moves: u32,
}

impl Moving {
    /// A company with a log here and [`DEALS`] deals.
    pub(crate) async fn found(place: &Place) -> Result<Self> {
        let store = place.open(dealog_store::Limits::default()).await?;
        let commands = Commands::new(store, system_clock(), Limits::default());
        let currency = json!({"reporting_currency": "EUR"});
        let settings = Command::Settings(settings::Command::Change(serde_json::from_value(currency)?));
        commands.execute(&request(StreamId::Settings, settings)).await?;
        let id = PipelineId(Uuid::now_v7());
        let define = Command::Pipeline(pipeline::Command::Define(serde_json::from_value(pipeline())?));
        commands.execute(&request(StreamId::Pipeline(id), define)).await?;
        let mut moving = Self { commands, pipeline: id, deals: Vec::new() };
        moving.begin_anew().await?;
        Ok(moving)
    }

    /// Leaves the deals that there are, and creates as many others to move from now on.
    pub(crate) async fn begin_anew(&mut self) -> Result<()> {
        let mut requests = Vec::with_capacity(DEALS);
        for number in 0..DEALS {
            let create = json!({"title": format!("Deal {number}"), "pipeline": self.pipeline});
            let create = Command::Deal(deal::Command::Create(serde_json::from_value(create)?));
            requests.push(request(StreamId::Deal(DealId(Uuid::now_v7())), create));
        }
        self.deals.clear();
        for outcome in self.commands.execute_in_order(&requests).await {
            self.deals.push(Deal { stream: outcome?.stream, moves: 0 });
        }
        Ok(())
    }

    /// Its log.
    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        self.commands.store()
    }

    /// Commands a second, sent by so many tasks. Each has deals of its own and waits for one command before the next.
    pub(crate) async fn rate(&mut self, tasks: usize, slice: Duration) -> Result<f64> {
        let begun = Instant::now();
        let mut running = JoinSet::new();
        let each = self.deals.len() / tasks;
        while !self.deals.is_empty() {
            let deals = self.deals.split_off(self.deals.len().saturating_sub(each));
            running.spawn(move_deals(self.commands.clone(), deals, begun + slice));
        }
        let mut done = 0;
        while let Some(ended) = running.join_next().await {
            let (deals, moves) = ended??;
            self.deals.extend(deals);
            done += moves;
        }
        Ok(rate(done, begun.elapsed()))
    }

    /// What commands took that were sent one after another, in milliseconds.
    pub(crate) async fn alone(&mut self, slice: Duration) -> Result<Vec<f64>> {
        let (begun, mut took) = (Instant::now(), Vec::new());
        loop {
            for deal in &mut self.deals {
                let asked = Instant::now();
                if asked >= begun + slice {
                    return Ok(took);
                }
                deal.move_on(&self.commands).await?;
                took.push(millis(asked.elapsed()));
            }
        }
    }
}

impl Deal {
    async fn move_on(&mut self, commands: &Commands) -> Result<()> {
        let command = Command::Deal(deal::Command::Move(serde_json::from_value(to_stage(self.moves))?));
        let outcome = commands.execute(&request(self.stream, command)).await?;
        // A command appends one event, so that commands and events a second are the same.
        if outcome.events != 1 {
            return Err(format!("{}: a move appended {} events", self.stream, outcome.events).into());
        }
        self.moves += 1;
        Ok(())
    }
}

async fn move_deals(commands: Commands, mut deals: Vec<Deal>, until: Instant) -> Result<(Vec<Deal>, usize)> {
    let mut done = 0;
    loop {
        for deal in &mut deals {
            if Instant::now() >= until {
                return Ok((deals, done));
            }
            deal.move_on(&commands).await?;
            done += 1;
        }
    }
}

/// A command as the API makes one of a request without an idempotency key.
fn request(stream: StreamId, command: Command) -> Request {
    let command_id = CommandId(Uuid::now_v7());
    let meta = Meta {
        command_id,
        fingerprint: fingerprint(&[stream.to_string().as_bytes()]),
        cause: Cause::new(Actor::Local, command_id),
        ..Meta::keyed(Actor::Local, "")
    };
    Request { stream, command, meta }
}
