//! A deal: the whole course of selling something to a customer.

mod command;
mod decide;
mod rejection;

use dealog_events::{
    CampaignId, Currency, CustomerId, Fields, Label, Money, PipelineId, Probability, Slug, Title, UserId,
    deal::{Created, DealEvent, Outcome},
    pipeline::{ForecastCategory, RequiredField},
};

pub use command::{Change, Command, Create, Lose, Move, Reopen, Transfer, Win};
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
            | Command::Reopen(_)
            | Command::Transfer(_)
            | Command::Change(_) => false,
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
            DealEvent::Lost(_) => deal.outcome = Some(Outcome::Lost),
            DealEvent::Reopened(event) => {
                deal.outcome = None;
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
            DealEvent::FieldSet(event) => match &event.to {
                Some(value) => drop(deal.fields.insert(event.field.clone(), value.clone())),
                None => drop(deal.fields.remove(&event.field)),
            },
        }
        Some(deal)
    }
}
