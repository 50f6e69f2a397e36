//! A deal: the whole course of selling something to a customer.

mod command;
mod decide;
mod rejection;
mod told;
mod undo;

use dealog_events::{
    CampaignId, Currency, CustomerId, DealId, FieldValue, Fields, Label, Money, PipelineId, Probability, Slug, Title,
    UserId,
    deal::{Created, DealEvent, Outcome, Restored},
    pipeline::{ForecastCategory, RequiredField},
};

pub use command::{Change, Command, CorrectClosing, Create, Lose, Move, Reopen, Transfer, Undo, Win};
pub use rejection::Rejection;

use crate::{Standing, aggregates::Aggregate, facts::Rule};

/// A deal as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deal {
    /// What is sold, in a line.
    pub title: Title,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it is in, or was closed from.
    pub stage: Slug,
    /// How it ended; none while it is open.
    pub outcome: Option<Outcome>,
    /// To whom.
    pub customer: Option<CustomerId>,
    /// Who is responsible.
    pub owner: Option<UserId>,
    /// For how much.
    pub amount: Option<Money>,
    /// The currency of the first amount it had: a deal keeps its currency.
    pub currency: Option<Currency>,
    /// By when.
    pub expected_close: Option<chrono::NaiveDate>,
    /// The chance set by hand. It stays through moves and edits until it is cleared; a stage's default is never stored.
    pub probability: Option<Probability>,
    /// The forecast category set by hand.
    pub forecast_category: Option<ForecastCategory>,
    /// Where it came from.
    pub source: Option<Label>,
    /// The campaign that brought it.
    pub campaign: Option<CampaignId>,
    /// The company's own fields.
    pub fields: Fields,
    /// The deal that it was lost as a duplicate of.
    pub duplicate_of: Option<DealId>,
}

impl Deal {
    /// Whether the deal has what `field` asks for.
    pub fn has(&self, field: &RequiredField) -> bool {
        match field {
            RequiredField::Amount => self.amount.is_some(),
            RequiredField::Customer => self.customer.is_some(),
            RequiredField::Owner => self.owner.is_some(),
            RequiredField::ExpectedClose => self.expected_close.is_some(),
            RequiredField::Source => self.source.is_some(),
            RequiredField::Campaign => self.campaign.is_some(),
            RequiredField::Custom(field) => self.fields.contains_key(field),
        }
    }

    fn created(event: Created) -> Self {
        Self {
            title: event.title,
            pipeline: event.pipeline,
            stage: event.stage,
            outcome: None,
            customer: event.customer,
            owner: event.owner,
            amount: event.amount,
            currency: event.amount.map(Money::currency),
            expected_close: event.expected_close,
            probability: None,
            forecast_category: None,
            source: event.source,
            campaign: event.campaign,
            fields: event.fields,
            duplicate_of: None,
        }
    }

    fn set_field(&mut self, field: &Slug, to: Option<&FieldValue>) {
        match to {
            Some(value) => drop(self.fields.insert(field.clone(), value.clone())),
            None => drop(self.fields.remove(field)),
        }
    }

    /// Makes something again what it was before a command that was undone.
    fn restore(&mut self, restored: &Restored) {
        match restored {
            Restored::Course { to, .. } => {
                (self.pipeline, self.stage) = (to.pipeline, to.stage.clone());
                self.outcome = to.closing.as_ref().map(|closing| closing.outcome);
                self.duplicate_of = to.closing.as_ref().and_then(|closing| closing.duplicate_of);
            }
            Restored::Title { to, .. } => self.title = to.clone(),
            Restored::Amount { to, .. } => self.amount = *to,
            Restored::Currency { to, .. } => self.currency = *to,
            Restored::ExpectedClose { to, .. } => self.expected_close = *to,
            Restored::Owner { to, .. } => self.owner = *to,
            Restored::Probability { to, .. } => self.probability = *to,
            Restored::ForecastCategory { to, .. } => self.forecast_category = *to,
            Restored::Customer { to, .. } => self.customer = *to,
            Restored::Source { to, .. } => self.source.clone_from(to),
            Restored::Campaign { to, .. } => self.campaign = *to,
            Restored::Field { field, to, .. } => self.set_field(field, to.as_ref()),
        }
    }
}

impl Aggregate for Option<Deal> {
    type Command = Command;
    type Event = DealEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            Command::Create(_) => true,
            Command::Move(_)
            | Command::Win(_)
            | Command::Lose(_)
            | Command::CorrectClosing(_)
            | Command::Reopen(_)
            | Command::Transfer(_)
            | Command::Change(_)
            | Command::Undo(_) => false,
        }
    }

    fn rule<'a>(&'a self, standing: Standing, command: &'a Command) -> Rule<'a> {
        decide::rule(self.as_ref(), standing, command)
    }

    fn evolve(self, event: &DealEvent) -> Self {
        if let DealEvent::Created(event) = event {
            return Some(Deal::created(event.clone()));
        }
        let mut deal = self?;
        match event {
            DealEvent::Created(_) => {}
            DealEvent::StageMoved(event) => deal.stage = event.to.clone(),
            DealEvent::Won(_) => deal.outcome = Some(Outcome::Won),
            DealEvent::Lost(event) => (deal.outcome, deal.duplicate_of) = (Some(Outcome::Lost), event.duplicate_of),
            DealEvent::ClosingCorrected(event) => deal.amount = event.to.amount.or(deal.amount),
            DealEvent::Undone(event) => event.restores.iter().for_each(|restored| deal.restore(restored)),
            DealEvent::Reopened(event) => {
                (deal.outcome, deal.duplicate_of) = (None, None);
                deal.stage = event.stage.clone();
            }
            DealEvent::Transferred(event) => {
                deal.pipeline = event.to.pipeline;
                deal.stage = event.to.stage.clone();
            }
            DealEvent::TitleChanged(event) => deal.title = event.to.clone(),
            DealEvent::AmountChanged(event) => {
                deal.amount = event.to;
                deal.currency = deal.currency.or(event.to.map(Money::currency));
            }
            DealEvent::ExpectedCloseChanged(event) => deal.expected_close = event.to,
            DealEvent::OwnerAssigned(event) => deal.owner = event.to,
            DealEvent::ProbabilitySet(event) => deal.probability = Some(event.to),
            DealEvent::ProbabilityCleared(_) => deal.probability = None,
            DealEvent::ForecastCategorySet(event) => deal.forecast_category = event.to,
            DealEvent::CustomerLinked(event) => deal.customer = event.to,
            DealEvent::SourceChanged(event) => deal.source.clone_from(&event.to),
            DealEvent::CampaignChanged(event) => deal.campaign = event.to,
            DealEvent::FieldSet(event) => deal.set_field(&event.field, event.to.as_ref()),
        }
        Some(deal)
    }
}
