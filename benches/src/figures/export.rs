//! The same log as tables: spans and visits as CSV files, for DuckDB to make Parquet of.
//!
//! This is a fold of its own, so that it shares no mistake with `dealog-figures`. Files have no headings; `duckdb/figures.py` names
//! the columns in the same order. Rows are written as they end and those that never do come last, which is the order in which
//! DuckDB can pass over most of them by the least and greatest values of a row group.

use std::{collections::HashMap, fs::File, path::Path};

use chrono::NaiveDate;
use csv::{Writer, WriterBuilder};
use dealog_events::{
    DealId, Envelope, Event, PipelineId, Position, Slug, StreamId, UserId,
    deal::DealEvent,
    pipeline::{ForecastCategory, PipelineEvent},
    user::UserEvent,
};
use dealog_store::{EventStore as _, Limits, sqlite::SqliteStore};
use indicatif::ProgressBar;

use crate::Result;

const PAGE_EVENTS: usize = 5_000;
/// What is not over yet: later than any instant, and than any position.
const NEVER: (i64, u32) = (i64::MAX, u32::MAX);

/// An instant and a position.
type Mark = (i64, u32);

/// Reads the log and writes `spans.csv`, `visits.csv` and `stages.csv` into a folder.
pub(super) async fn export(log: &Path, folder: &Path, progress: &ProgressBar) -> Result<()> {
    let store = SqliteStore::open(log, Limits::default()).await?;
    progress.set_length(store.head().await?.position.0);
    let mut tables = Tables::new(folder)?;
    let mut position = Position::ZERO;
    loop {
        let page = store.read(position, PAGE_EVENTS, &[]).await?;
        let Some(last) = page.last() else { break };
        position = last.position;
        for envelope in &page {
            tables.fold(envelope)?;
        }
        progress.set_position(position.0);
    }
    store.close().await;
    tables.end()
}

/// A stage: its number in all tables, its place in its pipeline, and what it is for deals in it.
struct Stage {
    number: u16,
    pipeline: u16,
    place: u16,
}

struct Tables {
    spans: Writer<File>,
    visits: Writer<File>,
    stages_file: Writer<File>,
    stages: HashMap<(PipelineId, Slug), Stage>,
    pipelines: u16,
    sellers: HashMap<UserId, u16>,
    deals: HashMap<DealId, Deal>,
}

/// A deal as it is now.
struct Deal {
    number: u32,
    created_at: i64,
    now: State,
    /// As it was when it was closed, while it is.
    closed: Option<State>,
    since: Mark,
    visit: Option<Visit>,
}

/// Stages are meant by their numbers, and amounts in minor units; probability in basis points.
#[derive(Clone, Copy)]
struct State {
    status: Status,
    stage: u16,
    pipeline: u16,
    owner: Option<u16>,
    amount: Option<i64>,
    probability: Option<u16>,
    category: Option<u8>,
    expected_close: Option<NaiveDate>,
    entered_at: i64,
    closed_at: Option<i64>,
}

/// As the tables have it.
#[derive(Clone, Copy)]
enum Status {
    Open = 0,
    Won = 1,
    Lost = 2,
    Excluded = 3,
}

struct Visit {
    stage: u16,
    pipeline: u16,
    place: u16,
    since: Mark,
}

/// How a visit ended, as the tables have it.
#[derive(Clone, Copy)]
enum Left {
    Not = 0,
    Moved = 1,
    Transferred = 2,
    Won = 3,
    Lost = 4,
}

impl Tables {
    fn new(folder: &Path) -> Result<Self> {
        let file = |name: &str| WriterBuilder::new().has_headers(false).from_path(folder.join(name));
        Ok(Self {
            spans: file("spans.csv")?,
            visits: file("visits.csv")?,
            stages_file: file("stages.csv")?,
            stages: HashMap::new(),
            pipelines: 0,
            sellers: HashMap::new(),
            deals: HashMap::new(),
        })
    }

    fn fold(&mut self, envelope: &Envelope) -> Result<()> {
        let mark = (envelope.occurred_at.micros(), u32::try_from(envelope.position.0)?);
        match (envelope.stream, envelope.event()?) {
            (StreamId::Pipeline(id), Event::Pipeline(event)) => self.define(id, &event),
            (StreamId::User(id), Event::User(UserEvent::Invited(_))) => {
                let number = u16::try_from(self.sellers.len())?;
                self.sellers.insert(id, number);
                Ok(())
            }
            (StreamId::Deal(id), Event::Deal(event)) => self.step(id, &event, mark),
            _ => Ok(()),
        }
    }

    fn define(&mut self, id: PipelineId, event: &PipelineEvent) -> Result<()> {
        let PipelineEvent::Defined(event) = event else { return Err("a pipeline that changes is not exported".into()) };
        for (stage, place) in event.stages.iter().zip(0..) {
            let number = u16::try_from(self.stages.len())?;
            let (chance, category) = (stage.probability.basis_points(), category(stage.forecast_category));
            let row = (number, self.pipelines, place, chance, category, stage.stale_after_days);
            self.stages_file.serialize(row)?;
            self.stages.insert((id, stage.slug.clone()), Stage { number, pipeline: self.pipelines, place });
        }
        self.pipelines += 1;
        Ok(())
    }

    fn step(&mut self, id: DealId, event: &DealEvent, mark: Mark) -> Result<()> {
        let seller = |id: &UserId| self.sellers.get(id).copied();
        if let DealEvent::Created(event) = event {
            let stage = self.stages.get(&(event.pipeline, event.stage.clone())).ok_or("a stage that is not defined")?;
            let now = State {
                status: Status::Open,
                stage: stage.number,
                pipeline: stage.pipeline,
                owner: event.owner.as_ref().and_then(seller),
                amount: event.amount.map(dealog_events::Money::minor),
                probability: None,
                category: None,
                expected_close: event.expected_close,
                entered_at: mark.0,
                closed_at: None,
            };
            let visit = Some(Visit { stage: stage.number, pipeline: stage.pipeline, place: stage.place, since: mark });
            let number = u32::try_from(self.deals.len())?;
            self.deals.insert(id, Deal { number, created_at: mark.0, now, closed: None, since: mark, visit });
            return Ok(());
        }
        let deal = self.deals.get_mut(&id).ok_or("a deal that was never created")?;
        deal.write_span(&mut self.spans, mark)?;
        deal.since = mark;
        let entered = match event {
            DealEvent::StageMoved(event) => Some((event.pipeline, &event.to, Left::Moved)),
            DealEvent::Transferred(event) => Some((event.to.pipeline, &event.to.stage, Left::Transferred)),
            DealEvent::Reopened(event) => Some((event.pipeline, &event.stage, Left::Not)),
            _ => None,
        };
        if let Some((pipeline, slug, how)) = entered {
            deal.write_visit(&mut self.visits, mark, how)?;
            let stage = self.stages.get(&(pipeline, slug.clone())).ok_or("a stage that is not defined")?;
            deal.enter(stage, mark);
            return Ok(());
        }
        match event {
            DealEvent::Won(_) => {
                deal.write_visit(&mut self.visits, mark, Left::Won)?;
                deal.close(Status::Won, mark);
            }
            DealEvent::Lost(event) => {
                deal.write_visit(&mut self.visits, mark, Left::Lost)?;
                deal.close(if event.counted { Status::Lost } else { Status::Excluded }, mark);
            }
            DealEvent::OwnerAssigned(event) => deal.now.owner = event.to.as_ref().and_then(seller),
            DealEvent::AmountChanged(event) => deal.now.amount = event.to.map(dealog_events::Money::minor),
            DealEvent::ExpectedCloseChanged(event) => deal.now.expected_close = event.to,
            DealEvent::ProbabilitySet(event) => deal.now.probability = Some(event.to.basis_points()),
            DealEvent::ProbabilityCleared(_) => deal.now.probability = None,
            DealEvent::ForecastCategorySet(event) => deal.now.category = event.to.map(category),
            _ => {}
        }
        Ok(())
    }

    /// Writes what is not over.
    fn end(mut self) -> Result<()> {
        let mut deals: Vec<Deal> = self.deals.into_values().collect();
        deals.sort_unstable_by_key(|deal| deal.number);
        for deal in &mut deals {
            deal.write_span(&mut self.spans, NEVER)?;
            deal.write_visit(&mut self.visits, NEVER, Left::Not)?;
        }
        self.spans.flush()?;
        self.visits.flush()?;
        Ok(self.stages_file.flush()?)
    }
}

impl Deal {
    fn enter(&mut self, stage: &Stage, mark: Mark) {
        let &Stage { number, pipeline, place } = stage;
        self.closed = None;
        self.now =
            State { status: Status::Open, stage: number, pipeline, entered_at: mark.0, closed_at: None, ..self.now };
        self.visit = Some(Visit { stage: number, pipeline, place, since: mark });
    }

    fn close(&mut self, status: Status, mark: Mark) {
        self.now = State { status, closed_at: Some(mark.0), ..self.now };
        self.closed = Some(self.now);
    }

    /// What figures said of it from its last event up to this one.
    fn write_span(&self, to: &mut Writer<File>, until: Mark) -> Result<()> {
        let state = self.closed.as_ref().unwrap_or(&self.now);
        Ok(to.serialize((
            (self.number, state.stage, state.pipeline, state.status as u8, state.owner, state.amount),
            (state.probability, state.category, state.expected_close),
            (self.created_at, state.entered_at, state.closed_at),
            (self.since.0, until.0, self.since.1, until.1),
        ))?)
    }

    fn write_visit(&mut self, to: &mut Writer<File>, until: Mark, how: Left) -> Result<()> {
        let Some(Visit { stage, pipeline, place, since }) = self.visit.take() else { return Ok(()) };
        let row = (self.number, stage, pipeline, place, since.0, until.0, how as u8, since.1, until.1);
        Ok(to.serialize(row)?)
    }
}

fn category(category: ForecastCategory) -> u8 {
    match category {
        ForecastCategory::Omitted => 0,
        ForecastCategory::Pipeline => 1,
        ForecastCategory::BestCase => 2,
        ForecastCategory::Commit => 3,
    }
}
