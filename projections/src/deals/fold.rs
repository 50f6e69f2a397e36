//! The fold of deal events into `deals`, `spans` and `visits`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dealog_events::{
    Envelope, Event, FieldValue, Fields, StreamId, Timestamp,
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

/// Deals whose live rows are kept in memory between batches.
const LIVE_DEALS_MAX: usize = 50_000;

/// A deal's live rows.
#[derive(Debug, Clone)]
struct Deal {
    row: DealRow,
    fields: Fields,
    /// By pipeline, the stages that it ever stood in.
    visited: BTreeMap<String, BTreeSet<String>>,
    span: SpanRow,
    /// None while it is closed.
    visit: Option<VisitRow>,
}

/// The live rows of the deals that were folded last, and the rows that a batch changes.
#[derive(Default)]
pub(crate) struct Live {
    deals: HashMap<String, Deal>,
}

/// Rows that a batch has changed, by key.
#[derive(Default)]
struct Changed {
    spans: BTreeMap<i64, SpanRow>,
    visits: BTreeMap<i64, VisitRow>,
}

impl Live {
    /// Folds a batch in memory, then writes what it changed with one statement a table.
    pub(crate) async fn apply(
        &mut self,
        db: &mut AnyConnection,
        events: &[(&Envelope, Event)],
    ) -> Result<(), ProjectionError> {
        self.load(db, events).await?;
        let mut changed = Changed::default();
        let mut touched = HashSet::new();
        for (envelope, event) in events {
            let (StreamId::Deal(id), Event::Deal(event)) = (envelope.stream, event) else {
                return Err(unapplicable(envelope, "a deal's event in a stream of something else"));
            };
            let key = id.to_string();
            match (self.deals.get_mut(&key), event) {
                (None, DealEvent::Created(created)) => {
                    self.deals.insert(key.clone(), begin(&key, envelope, created, &mut changed));
                }
                (Some(deal), event) if deal.row.version + 1 == version(envelope) => {
                    deal.apply(envelope, event, &mut changed).map_err(|reason| unapplicable(envelope, reason))?;
                }
                (Some(deal), _) => {
                    let reason = format!("the deal is at version {}", deal.row.version);
                    return Err(unapplicable(envelope, &reason));
                }
                (None, _) => return Err(unapplicable(envelope, "the deal was never created")),
            }
            touched.insert(key);
        }
        self.write(db, changed, &touched).await
    }

    /// Brings the live rows of all deals of a batch into memory.
    async fn load(&mut self, db: &mut AnyConnection, events: &[(&Envelope, Event)]) -> Result<(), ProjectionError> {
        if self.deals.len() > LIVE_DEALS_MAX {
            self.deals.clear();
        }
        let mut created = HashSet::new();
        let mut missing = HashSet::new();
        for (envelope, event) in events {
            let StreamId::Deal(id) = envelope.stream else { continue };
            if matches!(event, Event::Deal(DealEvent::Created(_))) {
                created.insert(id);
            } else if !created.contains(&id) && !self.deals.contains_key(&id.to_string()) {
                missing.insert(id.to_string());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = missing.iter().map(String::as_str).collect();
        let mut spans: HashMap<String, SpanRow> = find::<SpanRow>(db, &format!("valid_to = {FOREVER} AND deal"), &keys)
            .await?
            .into_iter()
            .map(|span| (span.deal.clone(), span))
            .collect();
        let mut visits: HashMap<String, VisitRow> =
            find::<VisitRow>(db, &format!("left_at = {FOREVER} AND deal"), &keys)
                .await?
                .into_iter()
                .map(|visit| (visit.deal.clone(), visit))
                .collect();
        for row in find::<DealRow>(db, "deal", &keys).await? {
            let span = spans
                .remove(&row.deal)
                .ok_or_else(|| ProjectionError::Damaged(format!("deal {} has no live span", row.deal)))?;
            let fields = serde_json::from_str(&row.fields)
                .map_err(|error| ProjectionError::Damaged(format!("fields of deal {}: {error}", row.deal)))?;
            let visited = serde_json::from_str(&row.visited)
                .map_err(|error| ProjectionError::Damaged(format!("stages of deal {}: {error}", row.deal)))?;
            let visit = visits.remove(&row.deal);
            self.deals.insert(row.deal.clone(), Deal { row, fields, visited, span, visit });
        }
        Ok(())
    }

    async fn write(
        &mut self,
        db: &mut AnyConnection,
        changed: Changed,
        touched: &HashSet<String>,
    ) -> Result<(), ProjectionError> {
        let mut deals = Vec::with_capacity(touched.len());
        for key in touched {
            if let Some(deal) = self.deals.get_mut(key) {
                deal.row.fields = json(&deal.fields)?;
                deal.row.visited = json(&deal.visited)?;
                deals.push(deal.row.clone());
            }
        }
        // In one order, whatever the hash: the same batch writes the same pages.
        deals.sort_by_key(|deal| deal.created_position);
        upsert(db, &deals).await?;
        upsert(db, &changed.spans.into_values().collect::<Vec<_>>()).await?;
        upsert(db, &changed.visits.into_values().collect::<Vec<_>>()).await?;
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
fn begin(key: &str, envelope: &Envelope, created: &Created, changed: &mut Changed) -> Deal {
    let (position, at) = (position(envelope), envelope.occurred_at.micros());
    let customer = created.customer.map(|id| id.to_string());
    let owner = created.owner.map(|id| id.to_string());
    let source = created.source.as_ref().map(ToString::to_string);
    let campaign = created.campaign.map(|id| id.to_string());
    let span = SpanRow {
        position,
        deal: key.to_owned(),
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
        deal: key.to_owned(),
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
        visited: String::new(),
    };
    let mut deal = Deal { row, fields: created.fields.clone(), visited: BTreeMap::new(), span, visit: None };
    deal.stand();
    changed.spans.insert(position, deal.span.clone());
    deal.enter(position, envelope.occurred_at, changed);
    deal
}

impl Deal {
    fn apply(&mut self, envelope: &Envelope, event: &DealEvent, changed: &mut Changed) -> Result<(), &'static str> {
        let (position, at) = (position(envelope), envelope.occurred_at.micros());
        let before = self.span.clone();
        match event {
            DealEvent::Created(_) => return Err("the deal was created before"),
            DealEvent::StageMoved(event) => {
                self.leave(left_by::MOVED, Some(event.to.to_string()), envelope, changed)?;
                self.span.stage = event.to.to_string();
            }
            DealEvent::Transferred(event) => {
                self.leave(left_by::TRANSFERRED, None, envelope, changed)?;
                self.span.pipeline = event.to.pipeline.to_string();
                self.span.stage = event.to.stage.to_string();
            }
            DealEvent::Won(event) => {
                self.leave(left_by::WON, None, envelope, changed)?;
                self.close(status::WON, at);
                self.span.ever_won = 1;
                self.row.contract = event.contract.as_ref().map(ToString::to_string);
            }
            DealEvent::Lost(event) => {
                self.leave(left_by::LOST, None, envelope, changed)?;
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
            self.next_span(before, position, at, changed);
        }
        if enters {
            self.enter(position, envelope.occurred_at, changed);
        }
        Ok(())
    }

    /// Ends the span that stood so far and begins the one that `self.span` has become.
    fn next_span(&mut self, before: SpanRow, position: i64, at: i64, changed: &mut Changed) {
        changed.spans.insert(before.position, SpanRow { valid_to: at, ..before });
        self.span.position = position;
        self.span.valid_from = at;
        self.row.span = position;
        changed.spans.insert(position, self.span.clone());
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
    fn enter(&mut self, position: i64, at: Timestamp, changed: &mut Changed) {
        let visit = VisitRow {
            position,
            deal: self.row.deal.clone(),
            pipeline: self.span.pipeline.clone(),
            stage: self.span.stage.clone(),
            entered_at: at.micros(),
            left_at: FOREVER,
            left_position: None,
            left_by: None,
            to_stage: None,
        };
        changed.visits.insert(position, visit.clone());
        self.visit = Some(visit);
    }

    /// Ends the visit that the deal is on.
    fn leave(
        &mut self,
        how: &str,
        to_stage: Option<String>,
        envelope: &Envelope,
        changed: &mut Changed,
    ) -> Result<(), &'static str> {
        let mut visit = self.visit.take().ok_or("the deal is closed")?;
        visit.left_at = envelope.occurred_at.micros();
        visit.left_position = Some(position(envelope));
        visit.left_by = Some(how.to_owned());
        visit.to_stage = to_stage;
        changed.visits.insert(visit.position, visit);
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
