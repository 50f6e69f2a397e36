//! The fold of deal events into `deals`, `spans` and `visits`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dealog_events::{
    DealId, Envelope, Event, FieldValue, Fields, StreamId, Timestamp,
    deal::{Created, DealEvent},
    pipeline::ForecastCategory,
};
use sqlx::AnyConnection;

use super::{
    json,
    tables::{DealRow, FOREVER, SpanRow, VisitRow, left_by, status},
    unapplicable,
};
use crate::{
    ProjectionError,
    table::{find, upsert},
};

/// Open deals whose live rows are kept in memory between batches: a few kilobytes each. Closed ones seldom change again.
const LIVE_DEALS_MAX: usize = 20_000;

/// Events that are folded while the database writes what those before them ended.
const EVENTS_AT_ONCE: usize = 1_000;

/// A deal's live rows.
#[derive(Debug)]
struct Deal {
    row: DealRow,
    fields: Fields,
    /// By pipeline, the stages that it ever stood in.
    visited: BTreeMap<String, BTreeSet<String>>,
    span: SpanRow,
    /// None while it is closed.
    visit: Option<VisitRow>,
}

/// The live rows of the open deals that were folded last.
#[derive(Default)]
pub(crate) struct Live {
    deals: HashMap<DealId, Deal>,
}

/// Rows that ended in a batch. Those that it begins stay with their deal until they are written.
#[derive(Default)]
struct Ended {
    spans: Vec<SpanRow>,
    visits: Vec<VisitRow>,
}

impl Ended {
    async fn write(self, db: &mut AnyConnection) -> Result<(), ProjectionError> {
        let Self { mut spans, mut visits } = self;
        spans.sort_unstable_by_key(|span| span.position);
        visits.sort_unstable_by_key(|visit| visit.position);
        upsert(db, &spans).await?;
        Ok(upsert(db, &visits).await?)
    }
}

impl Live {
    /// Folds a batch in memory, and writes what it changed by thousands of rows a statement: what has ended while more is
    /// folded, the rest at the end.
    pub(crate) async fn apply(
        &mut self,
        db: &mut AnyConnection,
        events: &[&(Envelope, Event)],
    ) -> Result<(), ProjectionError> {
        let Some((first, _)) = events.first() else { return Ok(()) };
        self.load(db, events).await?;
        let (mut touched, mut ended) = (HashSet::new(), Ended::default());
        for events in events.chunks(EVENTS_AT_ONCE) {
            // What has ended does not change again: the database writes it while the next events are folded.
            let folded = async { self.fold(events, &mut touched) };
            let (written, folded) = tokio::join!(biased; ended.write(db), folded);
            written?;
            ended = folded?;
        }
        self.write(db, position(first), &touched, &ended).await?;
        for id in touched {
            if self.deals.get(&id).is_some_and(|deal| deal.visit.is_none()) {
                self.deals.remove(&id);
            }
        }
        Ok(())
    }

    /// Folds events whose deals are in memory.
    fn fold(&mut self, events: &[&(Envelope, Event)], touched: &mut HashSet<DealId>) -> Result<Ended, ProjectionError> {
        let mut ended = Ended::default();
        for (envelope, event) in events {
            let (StreamId::Deal(id), Event::Deal(event)) = (envelope.stream, event) else {
                return Err(unapplicable(envelope, "a deal's event in a stream of something else"));
            };
            match (self.deals.get_mut(&id), event) {
                (None, DealEvent::Created(created)) => {
                    self.deals.insert(id, begin(id, envelope, created));
                }
                (Some(deal), event) if deal.row.version + 1 == version(envelope) => {
                    deal.apply(envelope, event, &mut ended).map_err(|reason| unapplicable(envelope, reason))?;
                }
                (Some(deal), _) => {
                    let reason = format!("the deal is at version {}", deal.row.version);
                    return Err(unapplicable(envelope, &reason));
                }
                (None, _) => return Err(unapplicable(envelope, "the deal was never created")),
            }
            touched.insert(id);
        }
        Ok(ended)
    }

    /// Brings the live rows of all deals of a batch into memory.
    async fn load(&mut self, db: &mut AnyConnection, events: &[&(Envelope, Event)]) -> Result<(), ProjectionError> {
        if self.deals.len() > LIVE_DEALS_MAX {
            self.deals.clear();
        }
        let mut created = HashSet::new();
        let mut missing = HashSet::new();
        for (envelope, event) in events {
            let StreamId::Deal(id) = envelope.stream else { continue };
            if matches!(event, Event::Deal(DealEvent::Created(_))) {
                created.insert(id);
            } else if !created.contains(&id) && !self.deals.contains_key(&id) {
                missing.insert(id);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let rows = find::<DealRow, _>(db, "deal", &keys).await?;
        let positions: Vec<i64> = rows.iter().map(|row| row.span).collect();
        let spans = find::<SpanRow, _>(db, "position", &positions).await?;
        let mut spans: HashMap<i64, SpanRow> = spans.into_iter().map(|span| (span.position, span)).collect();
        let positions: Vec<i64> = rows.iter().filter_map(|row| row.visit).collect();
        let visits = find::<VisitRow, _>(db, "position", &positions).await?;
        let mut visits: HashMap<i64, VisitRow> = visits.into_iter().map(|visit| (visit.position, visit)).collect();
        for row in rows {
            let damaged = |what: &str| ProjectionError::Damaged(format!("deal {}: {what}", row.deal));
            let id = row.deal.parse().map_err(|_| damaged("not an id"))?;
            let span = spans.remove(&row.span).ok_or_else(|| damaged("no live span"))?;
            let fields = serde_json::from_str(&row.fields).map_err(|error| damaged(&format!("fields: {error}")))?;
            let visited = serde_json::from_str(&row.visited).map_err(|error| damaged(&format!("stages: {error}")))?;
            let visit = row.visit.and_then(|position| visits.remove(&position));
            self.deals.insert(id, Deal { row, fields, visited, span, visit });
        }
        Ok(())
    }

    /// Writes the deals that were touched, and the spans and visits that a batch ended or, from its first position on, began.
    async fn write(
        &mut self,
        db: &mut AnyConnection,
        first: i64,
        touched: &HashSet<DealId>,
        ended: &Ended,
    ) -> Result<(), ProjectionError> {
        for id in touched {
            if let Some(deal) = self.deals.get_mut(id) {
                deal.row.visit = deal.visit.as_ref().map(|visit| visit.position);
                deal.row.fields = json(&deal.fields)?;
                deal.row.visited = json(&deal.visited)?;
            }
        }
        let mut deals: Vec<&Deal> = touched.iter().filter_map(|id| self.deals.get(id)).collect();
        // In one order, whatever the hash: the same batch writes the same pages.
        deals.sort_unstable_by_key(|deal| deal.row.created_position);
        let live_spans = deals.iter().map(|deal| &deal.span).filter(|span| span.position >= first);
        let mut spans: Vec<&SpanRow> = ended.spans.iter().chain(live_spans).collect();
        spans.sort_unstable_by_key(|span| span.position);
        let live_visits = deals.iter().filter_map(|deal| deal.visit.as_ref()).filter(|visit| visit.position >= first);
        let mut visits: Vec<&VisitRow> = ended.visits.iter().chain(live_visits).collect();
        visits.sort_unstable_by_key(|visit| visit.position);
        upsert(db, deals.iter().map(|deal| &deal.row)).await?;
        upsert(db, spans).await?;
        upsert(db, visits).await?;
        Ok(())
    }
}

fn version(envelope: &Envelope) -> i64 {
    envelope.version.0.cast_signed()
}

fn position(envelope: &Envelope) -> i64 {
    envelope.position.0.cast_signed()
}

/// The rows of a deal that begins.
fn begin(id: DealId, envelope: &Envelope, created: &Created) -> Deal {
    let (position, at) = (position(envelope), envelope.occurred_at.micros());
    let customer = created.customer.map(|id| id.to_string());
    let owner = created.owner.map(|id| id.to_string());
    let source = created.source.as_ref().map(ToString::to_string);
    let campaign = created.campaign.map(|id| id.to_string());
    let span = SpanRow {
        position,
        deal: id.to_string(),
        valid_from: at,
        valid_to: FOREVER,
        pipeline: created.pipeline.to_string(),
        stage: created.stage.to_string(),
        status: status::OPEN.to_owned(),
        entered_at: at,
        created_at: at,
        closed_at: None,
        ever_won: 0,
        visited: String::new(),
        credit_customer: customer.clone(),
        credit_owner: owner.clone(),
        credit_source: source.clone(),
        credit_campaign: campaign.clone(),
        customer,
        owner,
        source,
        campaign,
        amount: created.amount.map(dealog_events::Money::minor),
        currency: created.amount.map(|amount| amount.currency().to_string()),
        probability: None,
        forecast_category: None,
        expected_close: created.expected_close.map(|day| day.to_string()),
    };
    let row = DealRow {
        deal: id.to_string(),
        title: created.title.to_string(),
        fields: String::new(),
        contract: None,
        loss_reason: None,
        competitor: None,
        duplicate_of: None,
        version: version(envelope),
        created_position: position,
        position,
        created_at: at,
        updated_at: at,
        span: position,
        visit: None,
        visited: String::new(),
    };
    let mut deal = Deal { row, fields: created.fields.clone(), visited: BTreeMap::new(), span, visit: None };
    deal.stand();
    deal.enter(position, envelope.occurred_at);
    deal
}

impl Deal {
    fn apply(&mut self, envelope: &Envelope, event: &DealEvent, ended: &mut Ended) -> Result<(), &'static str> {
        let (position, at) = (position(envelope), envelope.occurred_at.micros());
        let before = self.span.clone();
        match event {
            DealEvent::Created(_) => return Err("the deal was created before"),
            DealEvent::StageMoved(event) => {
                self.leave(left_by::MOVED, Some(event.to.to_string()), envelope, ended)?;
                self.span.stage = event.to.to_string();
            }
            DealEvent::Transferred(event) => {
                self.leave(left_by::TRANSFERRED, None, envelope, ended)?;
                self.span.pipeline = event.to.pipeline.to_string();
                self.span.stage = event.to.stage.to_string();
            }
            DealEvent::Won(event) => {
                self.leave(left_by::WON, None, envelope, ended)?;
                self.close(status::WON, at);
                self.span.ever_won = 1;
                self.row.contract = event.contract.as_ref().map(ToString::to_string);
            }
            DealEvent::Lost(event) => {
                self.leave(left_by::LOST, None, envelope, ended)?;
                self.close(if event.counted { status::LOST } else { status::EXCLUDED }, at);
                self.row.loss_reason = Some(event.reason.to_string());
                self.row.competitor = event.competitor.as_ref().map(ToString::to_string);
                self.row.duplicate_of = event.duplicate_of.map(|deal| deal.to_string());
            }
            DealEvent::Reopened(event) => {
                if self.visit.is_some() {
                    return Err("an open deal cannot be reopened");
                }
                status::OPEN.clone_into(&mut self.span.status);
                self.span.closed_at = None;
                self.span.stage = event.stage.to_string();
                (self.row.contract, self.row.loss_reason) = (None, None);
                (self.row.competitor, self.row.duplicate_of) = (None, None);
            }
            DealEvent::TitleChanged(event) => self.row.title = event.to.to_string(),
            DealEvent::FieldSet(event) => set_field(&mut self.fields, &event.field, event.to.as_ref()),
            DealEvent::AmountChanged(event) => {
                self.span.amount = event.to.map(dealog_events::Money::minor);
                self.span.currency = event.to.map(|amount| amount.currency().to_string());
            }
            DealEvent::ExpectedCloseChanged(event) => self.span.expected_close = event.to.map(|day| day.to_string()),
            DealEvent::OwnerAssigned(event) => self.span.owner = event.to.map(|id| id.to_string()),
            DealEvent::ProbabilitySet(event) => self.span.probability = Some(event.to.basis_points().into()),
            DealEvent::ProbabilityCleared(_) => self.span.probability = None,
            DealEvent::ForecastCategorySet(event) => {
                self.span.forecast_category = event.to.map(|category| name_of(category).to_owned());
            }
            DealEvent::CustomerLinked(event) => self.span.customer = event.to.map(|id| id.to_string()),
            DealEvent::SourceChanged(event) => self.span.source = event.to.as_ref().map(ToString::to_string),
            DealEvent::CampaignChanged(event) => self.span.campaign = event.to.map(|id| id.to_string()),
        }
        self.row.version = version(envelope);
        self.row.position = position;
        self.row.updated_at = at;
        if self.span.status == status::OPEN {
            self.credit();
        }
        let enters = matches!(event, DealEvent::StageMoved(_) | DealEvent::Transferred(_) | DealEvent::Reopened(_));
        if enters {
            self.span.entered_at = at;
            self.stand();
        }
        if enters || self.span != before {
            self.next_span(before, position, at, ended);
        }
        if enters {
            self.enter(position, envelope.occurred_at);
        }
        Ok(())
    }

    /// Ends the span that stood so far and begins the one that `self.span` has become.
    fn next_span(&mut self, before: SpanRow, position: i64, at: i64, ended: &mut Ended) {
        ended.spans.push(SpanRow { valid_to: at, ..before });
        self.span.position = position;
        self.span.valid_from = at;
        self.row.span = position;
    }

    fn close(&mut self, status: &str, at: i64) {
        // Whoever has the deal now is credited with its end, whoever gets it later.
        self.credit();
        status.clone_into(&mut self.span.status);
        self.span.closed_at = Some(at);
    }

    fn credit(&mut self) {
        self.span.credit_customer.clone_from(&self.span.customer);
        self.span.credit_owner.clone_from(&self.span.owner);
        self.span.credit_source.clone_from(&self.span.source);
        self.span.credit_campaign.clone_from(&self.span.campaign);
    }

    /// Notes that the deal has stood in the stage that it is in now.
    fn stand(&mut self) {
        let stages = self.visited.entry(self.span.pipeline.clone()).or_default();
        stages.insert(self.span.stage.clone());
        self.span.visited = stages.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    }

    /// Begins a visit to the stage that the deal is in now.
    fn enter(&mut self, position: i64, at: Timestamp) {
        self.visit = Some(VisitRow {
            position,
            deal: self.row.deal.clone(),
            pipeline: self.span.pipeline.clone(),
            stage: self.span.stage.clone(),
            entered_at: at.micros(),
            left_at: FOREVER,
            left_position: None,
            left_by: None,
            to_stage: None,
        });
    }

    /// Ends the visit that the deal is on.
    fn leave(
        &mut self,
        how: &str,
        to_stage: Option<String>,
        envelope: &Envelope,
        ended: &mut Ended,
    ) -> Result<(), &'static str> {
        let mut visit = self.visit.take().ok_or("the deal is closed")?;
        visit.left_at = envelope.occurred_at.micros();
        visit.left_position = Some(position(envelope));
        visit.left_by = Some(how.to_owned());
        visit.to_stage = to_stage;
        ended.visits.push(visit);
        Ok(())
    }
}

/// The name of a category as tables and JSON have it.
pub(super) fn name_of(category: ForecastCategory) -> &'static str {
    match category {
        ForecastCategory::Omitted => "omitted",
        ForecastCategory::Pipeline => "pipeline",
        ForecastCategory::BestCase => "best_case",
        ForecastCategory::Commit => "commit",
    }
}

/// Gives a field a value, or none.
pub(super) fn set_field(fields: &mut Fields, field: &dealog_events::Slug, to: Option<&FieldValue>) {
    match to {
        Some(value) => drop(fields.insert(field.clone(), value.clone())),
        None => drop(fields.remove(field)),
    }
}
