//! The memory image: the course of every deal, and the definitions that figures need, folded from the log.

use std::{hash::BuildHasher as _, str::FromStr as _};

use chrono::NaiveDate;
use dealog_events::{
    CampaignId, Currency, CustomerId, DealId, Envelope, Event, FieldValue, Fields, Label, Money, PipelineId, Position,
    Slug, StreamId, UserId,
    customer::{CustomerEvent, Registered},
    deal::{ClosingPart, Created, DealEvent, Lost, Undone, Won},
    settings::{FieldKind, FieldOwner},
    team::TeamEvent,
    user::UserEvent,
};
use hashbrown::HashTable;
use rust_decimal::Decimal;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::{
    counted::counted,
    definitions::{History, Memberships, Pipeline, Settings, Stages, Teams},
    names::{Name, Names},
    path::{Paths, Visited},
    step::{Amount, Change, Deal, Entry, Micros, State, Status, Step},
    steps::AllSteps,
    times::Times,
};

/// A value of a custom field that figures can be filtered and grouped by. A text is none: no two are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// A whole or a decimal number.
    Number(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// A day.
    Day(NaiveDate),
    /// Yes or no.
    YesNo(bool),
    /// One of the field's options.
    Choice(String),
}

const CLOSED: &str = "the deal is closed";

/// Every deal's course, and what was defined, up to one position of the log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Image {
    /// The last position that was folded.
    position: Position,
    /// The newest instant at which anything happened or was recorded, in microseconds.
    newest: i64,
    oldest: Option<i64>,
    /// In the order of their creation.
    pub(crate) deals: Vec<Deal>,
    /// What has happened to them since.
    pub(crate) steps: AllSteps,
    /// What figures say of each of them now. It stands apart, so that a question about now reads this alone.
    #[serde(skip)]
    pub(crate) now: Vec<State>,
    #[serde(skip)]
    pub(crate) times: Times,
    #[serde(skip)]
    numbers: HashTable<u32>,
    pub(crate) stages: Stages,
    pub(crate) paths: Paths,
    pub(crate) pipelines: Names<PipelineId>,
    pub(crate) pipeline_history: Vec<History<Pipeline>>,
    /// By stage, when it was first entered: first by position, each earlier in time than the one before.
    pub(crate) entered: Vec<Vec<(i64, u32)>>,
    pub(crate) users: Names<UserId>,
    pub(crate) user_names: Vec<History<String>>,
    pub(crate) teams: Teams,
    pub(crate) team_names: Vec<History<String>>,
    pub(crate) memberships: Memberships,
    pub(crate) customers: Names<CustomerId>,
    pub(crate) customer_names: Vec<History<String>>,
    pub(crate) sources: Names<Label>,
    pub(crate) campaigns: Names<CampaignId>,
    pub(crate) reasons: Names<Slug>,
    pub(crate) competitors: Names<Label>,
    pub(crate) fields: Names<Slug>,
    pub(crate) values: Names<Value>,
    pub(crate) currencies: Vec<Currency>,
    pub(crate) settings: History<Settings>,
}

/// An event that does not fit what was folded before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {position} (`{event_type}`) cannot be applied: {reason}")]
pub struct Unapplicable {
    /// Where it is in the log.
    pub position: Position,
    /// Its type.
    pub event_type: String,
    /// Why not.
    pub reason: &'static str,
}

impl Image {
    /// The last position that it has folded.
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many deals there are.
    pub fn len(&self) -> usize {
        self.deals.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.deals.is_empty()
    }

    /// The newest instant at which anything happened or was recorded, in microseconds.
    pub(crate) fn newest(&self) -> i64 {
        self.newest
    }

    /// When the first deal began, in microseconds.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.oldest
    }

    /// Makes what a snapshot does not have.
    pub(crate) fn look_up(&mut self) {
        let now = |(number, deal): (usize, &Deal)| deal.begun().after(&counted(deal, self.steps.of(number)));
        self.now = self.deals.iter().enumerate().map(now).collect();
        self.times = Times::default();
        self.numbers = HashTable::with_capacity(self.deals.len());
        for (number, (deal, now)) in (0..).zip(self.deals.iter().zip(&self.now)) {
            self.times.push(deal, self.steps.of(number as usize), now);
            self.numbers.insert_unique(hash(deal.id), number, |other| hash_of(&self.deals, *other));
        }
    }

    /// The number of a deal: its place in the order of creation.
    fn number(&self, id: DealId) -> Option<usize> {
        let same = |number: &u32| self.deals.get(*number as usize).is_some_and(|deal| deal.id == id);
        self.numbers.find(hash(id), same).map(|number| *number as usize)
    }

    /// Folds the next event of the log. One that does not fit leaves the image as it was.
    pub fn apply(&mut self, envelope: &Envelope, event: &Event) -> Result<(), Unapplicable> {
        let refused =
            |reason| Unapplicable { position: envelope.position, event_type: envelope.event_type.clone(), reason };
        if envelope.position != self.position.next() {
            return Err(refused("it is not the next one"));
        }
        self.fold(envelope, event).map_err(refused)?;
        self.position = envelope.position;
        self.newest = self.newest.max(envelope.occurred_at.micros()).max(envelope.recorded_at.micros());
        Ok(())
    }

    fn fold(&mut self, envelope: &Envelope, event: &Event) -> Result<(), &'static str> {
        const FOREIGN: &str = "it is in a stream of something else";
        let at = envelope.occurred_at.micros();
        let position = u32::try_from(envelope.position.0).map_err(|_| "an image holds 4,294,967,295 positions")?;
        match (event, envelope.stream) {
            (Event::Deal(event), StreamId::Deal(id)) => match event {
                DealEvent::Created(event) => self.create(id, event, at, position),
                event => self.step(id, event, at, position),
            },
            (Event::Pipeline(event), StreamId::Pipeline(id)) => {
                let known = self.pipelines.find(&id);
                let before = known.and_then(|name| self.pipeline_history.get(name.index())?.last());
                let pipeline = Pipeline::after(before, id, event, &mut self.stages)?;
                history(&mut self.pipeline_history, self.pipelines.name(&id)).push(at, position, pipeline);
                Ok(())
            }
            (Event::Team(event), StreamId::Team(id)) => {
                let team = self.teams.name(&id);
                match event {
                    TeamEvent::Formed(formed) => {
                        history(&mut self.team_names, team).push(at, position, formed.name.to_string());
                    }
                    TeamEvent::Renamed(renamed) => {
                        history(&mut self.team_names, team).push(at, position, renamed.to.to_string());
                    }
                    TeamEvent::MemberAdded(change) => {
                        let user = self.users.name(&change.user);
                        self.memberships.apply(team, event, user, at, position);
                    }
                    TeamEvent::MemberRemoved(change) => {
                        let user = self.users.name(&change.user);
                        self.memberships.apply(team, event, user, at, position);
                    }
                }
                Ok(())
            }
            (Event::User(event), StreamId::User(id)) => {
                match event {
                    UserEvent::Invited(event) => {
                        let user = self.users.name(&id);
                        history(&mut self.user_names, user).push(at, position, event.name.shown());
                    }
                    UserEvent::Renamed(event) => {
                        let user = self.users.name(&id);
                        history(&mut self.user_names, user).push(at, position, event.to.shown());
                    }
                    UserEvent::RolesChanged(_) | UserEvent::Deactivated(_) | UserEvent::Reactivated(_) => {}
                }
                Ok(())
            }
            (Event::Customer(event), StreamId::Customer(id)) => {
                let name = match event {
                    CustomerEvent::Registered(Registered::Organisation { name, .. }) => name,
                    CustomerEvent::Renamed(event) => &event.to,
                    CustomerEvent::FieldSet(_) => return Ok(()),
                };
                let customer = self.customers.name(&id);
                history(&mut self.customer_names, customer).push(at, position, name.to_string());
                Ok(())
            }
            (Event::Settings(event), StreamId::Settings) => {
                let settings = Settings::after(self.settings.last(), event);
                self.settings.push(at, position, settings);
                Ok(())
            }
            // By the events: of an aggregate that is added, the compiler asks what its events mean, and not only where they stand.
            (
                Event::Deal(_)
                | Event::Pipeline(_)
                | Event::Team(_)
                | Event::User(_)
                | Event::Customer(_)
                | Event::Settings(_),
                _,
            ) => Err(FOREIGN),
        }
    }

    fn create(&mut self, id: DealId, event: &Created, at: i64, position: u32) -> Result<(), &'static str> {
        if self.number(id).is_some() {
            return Err("the deal was created before");
        }
        let number = u32::try_from(self.deals.len()).map_err(|_| "an image holds 4,294,967,295 deals")?;
        let stage = self.stage(event.pipeline, &event.stage);
        let deal = Deal {
            id,
            position,
            created_at: at,
            stage,
            path: self.paths.name(&Visited { before: None, stage, after_win: false }),
            owner: event.owner.map(|id| self.users.name(&id)),
            customer: event.customer.map(|id| self.customers.name(&id)),
            source: event.source.as_ref().map(|source| self.sources.name(source)),
            campaign: event.campaign.map(|id| self.campaigns.name(&id)),
            amount: event.amount.map(|amount| self.amount(amount)),
            expected_close: event.expected_close,
        };
        self.enter(stage, at, position);
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.steps.begin();
        self.first_fields(number as usize, &event.fields, at, position);
        let now = deal.begun();
        self.times.push(&deal, self.steps.of(number as usize), &now);
        self.deals.push(deal);
        self.now.push(now);
        self.numbers.insert_unique(hash(id), number, |other| hash_of(&self.deals, *other));
        Ok(())
    }

    fn step(&mut self, id: DealId, event: &DealEvent, at: i64, position: u32) -> Result<(), &'static str> {
        let number = self.number(id).ok_or("the deal was never created")?;
        match event {
            DealEvent::ClosingCorrected(event) => return self.correct(number, &event.to, at, position),
            DealEvent::Undone(event) => return self.undo(number, event, at, position),
            _ => {}
        }
        let Some(change) = self.change(number, event)? else { return Ok(()) };
        let step = Step { at, position, change };
        let dated = match event {
            DealEvent::Won(Won { closed_at, .. }) | DealEvent::Lost(Lost { closed_at, .. }) => {
                Some(closed_at.micros()).filter(|closed_at| *closed_at != at)
            }
            _ => None,
        };
        if let Some(closed_at) = dated {
            self.steps.push(number, Step { at, position, change: Change::ClosedAt(Micros::new(closed_at)) });
        }
        if let Change::Moved(entry) | Change::Reopened(entry) | Change::Transferred(entry) = change {
            self.enter(entry.stage, at, position);
        }
        let (Some(deal), Some(now)) = (self.deals.get(number), self.now.get_mut(number)) else {
            return Err("the deal was never created");
        };
        self.steps.push(number, step);
        match change {
            // It is as it was all the time, with what changed while it was closed.
            Change::Reopened(_) => *now = deal.begun().after(&counted(deal, self.steps.of(number))),
            _ if dated.is_some() => *now = deal.begun().after(&counted(deal, self.steps.of(number))),
            _ if now.status == Status::Open => now.apply(&step),
            _ => {}
        }
        self.times.step(number, at, position, now);
        Ok(())
    }

    /// Adds what is right of a closing.
    fn correct(&mut self, number: usize, to: &ClosingPart, at: i64, position: u32) -> Result<(), &'static str> {
        let status = self.now.get(number).map(|now| now.status);
        if status.is_none_or(|status| status == Status::Open) {
            return Err("an open deal has no closing");
        }
        let ClosingPart { closed_at, amount, contract: _, reason, counted, owner } = to;
        let lost_because = match (reason, counted, self.now.get(number).and_then(|now| now.loss)) {
            (None, None, _) | (_, _, None) => None,
            (reason, counted, Some(loss)) => {
                let reason = reason.as_ref().map_or(loss.reason, |reason| self.reasons.name(reason));
                Some(Change::LostBecause { counted: counted.unwrap_or(status == Some(Status::Lost)), reason })
            }
        };
        let changes = [
            closed_at.map(|closed_at| Change::ClosedAt(Micros::new(closed_at.micros()))),
            amount.map(|amount| Change::ClosedFor(self.amount(amount))),
            lost_because,
            owner.map(|owner| Change::ClosedBy(owner.map(|id| self.users.name(&id)))),
        ];
        self.say_of_others(number, changes.into_iter().flatten(), at, position);
        Ok(())
    }

    /// Takes a command back.
    fn undo(&mut self, number: usize, event: &Undone, at: i64, position: u32) -> Result<(), &'static str> {
        let positions = || event.events.iter().filter_map(|position| u32::try_from(position.0).ok());
        let (Some(first), Some(last)) = (positions().min(), positions().max().filter(|last| *last < position)) else {
            return Err("it does not say which events before it were undone");
        };
        self.say_of_others(number, [Change::Undone(first, last)], at, position);
        Ok(())
    }

    /// Adds steps that say something of others, and finds out what a deal is with them.
    fn say_of_others(&mut self, number: usize, changes: impl IntoIterator<Item = Change>, at: i64, position: u32) {
        for change in changes {
            self.steps.push(number, Step { at, position, change });
        }
        if let (Some(deal), Some(now)) = (self.deals.get(number), self.now.get_mut(number)) {
            *now = deal.begun().after(&counted(deal, self.steps.of(number)));
            self.times.step(number, at, position, now);
        }
    }

    /// What an event changes, as far as figures are concerned.
    fn change(&mut self, number: usize, event: &DealEvent) -> Result<Option<Change>, &'static str> {
        let State { stage, path, status, .. } = *self.now.get(number).ok_or("the deal was never created")?;
        let open = status == Status::Open;
        let only_if = |allowed: bool, reason| if allowed { Ok(()) } else { Err(reason) };
        Ok(Some(match event {
            DealEvent::Created(_) => return Err("the deal was created before"),
            DealEvent::StageMoved(event) => {
                only_if(open, CLOSED)?;
                Change::Moved(self.entry(path, event.pipeline, &event.to, false))
            }
            DealEvent::Transferred(event) => {
                only_if(open, CLOSED)?;
                Change::Transferred(self.entry(path, event.to.pipeline, &event.to.stage, false))
            }
            DealEvent::Reopened(event) => {
                only_if(!open, "an open deal cannot be reopened")?;
                Change::Reopened(self.entry(path, event.pipeline, &event.stage, status == Status::Won))
            }
            DealEvent::Won(event) => {
                only_if(open, CLOSED)?;
                only_if(stage == self.stage(event.pipeline, &event.stage), "the deal is in another stage")?;
                Change::Won
            }
            DealEvent::Lost(event) => {
                only_if(open, CLOSED)?;
                only_if(stage == self.stage(event.pipeline, &event.stage), "the deal is in another stage")?;
                let competitor = event.competitor.as_ref().map(|name| self.competitors.name(name));
                Change::Lost { counted: event.counted, reason: self.reasons.name(&event.reason), competitor }
            }
            DealEvent::OwnerAssigned(event) => Change::Owner(event.to.map(|id| self.users.name(&id))),
            DealEvent::CustomerLinked(event) => Change::Customer(event.to.map(|id| self.customers.name(&id))),
            DealEvent::SourceChanged(event) => {
                Change::Source(event.to.as_ref().map(|source| self.sources.name(source)))
            }
            DealEvent::CampaignChanged(event) => Change::Campaign(event.to.map(|id| self.campaigns.name(&id))),
            DealEvent::AmountChanged(event) => Change::Amount(event.to.map(|amount| self.amount(amount))),
            DealEvent::ExpectedCloseChanged(event) => Change::ExpectedClose(event.to),
            DealEvent::ProbabilitySet(event) => Change::Probability(Some(event.to.basis_points())),
            DealEvent::ProbabilityCleared(_) => Change::Probability(None),
            DealEvent::ForecastCategorySet(event) => Change::Category(event.to),
            DealEvent::FieldSet(event) => {
                let value = event.to.as_ref().and_then(|value| self.value(&event.field, value));
                // A text is nothing that a figure asks for.
                if value.is_none() && event.to.is_some() {
                    return Ok(None);
                }
                Change::Field(self.fields.name(&event.field), value)
            }
            // What these say is of other steps.
            DealEvent::TitleChanged(_) | DealEvent::ClosingCorrected(_) | DealEvent::Undone(_) => return Ok(None),
        }))
    }

    fn first_fields(&mut self, number: usize, fields: &Fields, at: i64, position: u32) {
        for (field, value) in fields {
            if let Some(value) = self.value(field, value) {
                let change = Change::Field(self.fields.name(field), Some(value));
                self.steps.push(number, Step { at, position, change });
            }
        }
    }

    fn stage(&mut self, pipeline: PipelineId, stage: &Slug) -> Name {
        self.stages.name(&(pipeline, stage.clone()))
    }

    /// The entry into a stage of a deal that came by this path.
    fn entry(&mut self, path: Name, pipeline: PipelineId, stage: &Slug, after_win: bool) -> Entry {
        let stage = self.stage(pipeline, stage);
        Entry { stage, path: self.paths.name(&Visited { before: Some(path), stage, after_win }) }
    }

    /// Notes that a stage was entered, where that was earlier than all that is known.
    fn enter(&mut self, stage: Name, at: i64, position: u32) {
        if self.entered.len() <= stage.index() {
            self.entered.resize_with(stage.index() + 1, Vec::new);
        }
        if let Some(entered) = self.entered.get_mut(stage.index())
            && entered.last().is_none_or(|(earliest, _)| at < *earliest)
        {
            entered.push((at, position));
        }
    }

    fn amount(&mut self, amount: Money) -> Amount {
        let found = self.currencies.iter().position(|currency| *currency == amount.currency());
        let number = found.unwrap_or_else(|| {
            self.currencies.push(amount.currency());
            self.currencies.len() - 1
        });
        // There are fewer than 300 currencies.
        Amount::new(amount.minor(), u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// The name of a field's value, if it is of a kind that figures know. The field is meant as it is defined now, which is when
    /// the value was set.
    fn value(&mut self, field: &Slug, value: &FieldValue) -> Option<Name> {
        let fields = &self.settings.last()?.fields;
        let definition = fields.iter().find(|found| found.of == FieldOwner::Deal && found.slug == *field)?;
        let value = match (definition.kind, value) {
            (FieldKind::Text, _) => return None,
            (_, FieldValue::Integer(number)) => Value::Number((*number).into()),
            (_, FieldValue::Boolean(yes)) => Value::YesNo(*yes),
            (FieldKind::Decimal, FieldValue::Text(text)) => {
                Value::Number(Decimal::from_str(text.as_str()).ok()?.normalize())
            }
            (FieldKind::Date, FieldValue::Text(text)) => Value::Day(dealog_events::parse_day(text.as_str()).ok()?),
            (_, FieldValue::Text(text)) => Value::Choice(text.to_string()),
        };
        Some(self.values.name(&value))
    }
}

fn hash(id: DealId) -> u64 {
    FxBuildHasher.hash_one(id)
}

fn hash_of(deals: &[Deal], number: u32) -> u64 {
    deals.get(number as usize).map_or(0, |deal| hash(deal.id))
}

fn history<T>(histories: &mut Vec<History<T>>, name: Name) -> &mut History<T> {
    if histories.len() <= name.index() {
        histories.resize_with(name.index() + 1, History::default);
    }
    // It was just made as long as that.
    #[expect(clippy::indexing_slicing)]
    &mut histories[name.index()]
}
