//! What was known: events folded in memory, and the same queries asked of them.
//!
//! The tables answer for any instant, but with all that has been recorded by now. What had been recorded by *then* is the
//! log up to a position; it is folded anew for whoever asks, which is slower by design. The last few such models are kept for
//! a while, since who asks about a day asks more than one thing.

use std::{sync::Arc, time::Duration};

use dealog_events::{Envelope, Position, StreamId, Version};
use dealog_store::{EventStore, Head};
use moka::sync::Cache;
use tokio::sync::Mutex;

use super::{Deals, NAME, VERSION, Views};
use crate::{Checkpoint, Database, Projection as _, ProjectionError, projection::decoded, runtime::checkpoint};

/// Events folded at once.
const PAGE_EVENTS: usize = 2_000;
/// Events of a stream folded at once: many questions about single streams may be asked at the same time.
const STREAM_PAGE_EVENTS: usize = 100;

/// Named limits of asking what was known.
#[derive(Debug, Clone, Copy)]
pub struct PastLimits {
    /// Events that are folded for one question.
    pub known_at_events_max: u64,
    /// Models that are kept.
    pub known_at_models_max: u64,
    /// How long a model is kept that nobody asks.
    pub known_at_idle: Duration,
}

impl Default for PastLimits {
    fn default() -> Self {
        Self { known_at_events_max: 1_000_000, known_at_models_max: 2, known_at_idle: Duration::from_mins(1) }
    }
}

/// Answers for what was known at a position. Cheap to clone.
#[derive(Clone)]
pub struct Past {
    store: Arc<dyn EventStore>,
    limits: PastLimits,
    folded: Cache<Position, Views>,
    /// One log is folded at a time: it takes a core, and commands need one too.
    turn: Arc<Mutex<()>>,
}

impl Past {
    /// The past of this log.
    pub fn new(store: Arc<dyn EventStore>, limits: PastLimits) -> Self {
        let folded =
            Cache::builder().max_capacity(limits.known_at_models_max).time_to_idle(limits.known_at_idle).build();
        Self { store, limits, folded, turn: Arc::default() }
    }

    /// The read models as they would be had the log ended at `position`.
    pub async fn views(&self, position: Position) -> Result<Views, ProjectionError> {
        if let Some(views) = self.folded.get(&position) {
            return Ok(views);
        }
        let max = self.limits.known_at_events_max;
        if position.0 > max {
            let message = format!("known_at means {position} events, and at most {max} are folded for a question");
            return Err(ProjectionError::Query { field: "known_at", message });
        }
        let _turn = self.turn.lock().await;
        if let Some(views) = self.folded.get(&position) {
            return Ok(views);
        }
        let views = self.fold(position).await?;
        self.folded.insert(position, views.clone());
        Ok(views)
    }

    async fn fold(&self, position: Position) -> Result<Views, ProjectionError> {
        let head = self.store.head().await?;
        let mut model = Model::begin().await?;
        let mut reached = Position::ZERO;
        while reached < position {
            let mut events = self.store.read(reached, PAGE_EVENTS, &[]).await?;
            events.truncate(events.partition_point(|event| event.position <= position));
            let Some(last) = events.last() else { break };
            reached = last.position;
            model.apply(events).await?;
        }
        model.end(&head, reached).await
    }

    /// The read models of nothing but the beginning of `stream`, as far as its events are `wanted`: up to `version` where that is
    /// named. They belong to this log up to `position`. The stream is read page by page and no further, and folded as it
    /// is read. With them comes the last version that was read, wanted or not.
    pub async fn views_of(
        &self,
        stream: StreamId,
        version: Option<Version>,
        position: Position,
        wanted: impl Fn(&Envelope) -> bool,
    ) -> Result<(Views, Version), ProjectionError> {
        let head = self.store.head().await?;
        let (mut model, mut reached) = (Model::begin().await?, Version::ZERO);
        loop {
            let left = version.map_or(u64::MAX, |version| version.0.saturating_sub(reached.0));
            let limit = usize::try_from(left).unwrap_or(usize::MAX).min(STREAM_PAGE_EVENTS);
            if limit == 0 {
                break;
            }
            let mut events = self.store.read_stream(stream, reached, limit).await?;
            let Some(last) = events.last() else { break };
            reached = last.version;
            // Within a stream neither versions, nor positions, nor times run backwards: what is wanted is a beginning of it.
            let beginning = events.partition_point(&wanted);
            let more = beginning == events.len();
            events.truncate(beginning);
            model.apply(events).await?;
            if !more {
                break;
            }
        }
        Ok((model.end(&head, position).await?, reached))
    }
}

/// Read models that are being made in memory.
struct Model {
    database: Database,
    deals: Deals,
}

impl Model {
    async fn begin() -> Result<Self, ProjectionError> {
        let (database, deals) = (Database::in_memory().await?, Deals::default());
        let mut db = database.write().await?;
        for statement in deals.schema(database.dialect()) {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *db).await?;
        }
        db.commit().await?;
        Ok(Self { database, deals })
    }

    async fn apply(&mut self, events: Vec<Envelope>) -> Result<(), ProjectionError> {
        let mut db = self.database.write().await?;
        self.deals.apply(&mut db, &decoded(events)?).await?;
        Ok(db.commit().await?)
    }

    async fn end(self, head: &Head, position: Position) -> Result<Views, ProjectionError> {
        let mut db = self.database.write().await?;
        for statement in self.deals.indexes() {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *db).await?;
        }
        let reached = Checkpoint { version: VERSION, log_id: head.log_id, position, proof: None, build: 1 };
        checkpoint::save(&mut db, NAME, &reached).await?;
        db.commit().await?;
        Ok(Views::new(self.database))
    }
}
