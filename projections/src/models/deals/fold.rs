//! The fold of deals.

use dealog_events::{
    Envelope, Money, Timestamp,
    deal::{ClosingPart, Created, DealEvent, Outcome, Restored},
};

use super::tables::{DealRow, status};
use crate::{
    ProjectionError,
    models::{
        history::Fold,
        json,
        stored::{name_of, set_field},
        unapplicable,
    },
};

impl Fold for DealRow {
    type Event = DealEvent;
    const SINCE_EVER: bool = false;

    fn begin(&mut self, envelope: &Envelope, event: &DealEvent) -> Result<(), ProjectionError> {
        let DealEvent::Created(event) = event else {
            return Err(unapplicable(envelope, "the deal was never created"));
        };
        self.create(envelope.occurred_at.micros(), event)
    }

    fn change(&mut self, envelope: &Envelope, event: &DealEvent) -> Result<(), ProjectionError> {
        let at = envelope.occurred_at.micros();
        match event {
            DealEvent::Created(_) => return Err(unapplicable(envelope, "the deal was created before")),
            DealEvent::StageMoved(event) => {
                self.must_be_open(envelope)?;
                self.stage = event.to.to_string();
                self.entered_at = at;
            }
            DealEvent::Transferred(event) => {
                self.must_be_open(envelope)?;
                self.pipeline = event.to.pipeline.to_string();
                self.stage = event.to.stage.to_string();
                self.entered_at = at;
            }
            DealEvent::Won(event) => {
                self.must_be_open(envelope)?;
                self.close(status::WON, event.closed_at);
                self.contract = event.contract.as_ref().map(ToString::to_string);
            }
            DealEvent::Lost(event) => {
                self.must_be_open(envelope)?;
                self.close(status::lost(event.counted), event.closed_at);
                self.loss_reason = Some(event.reason.to_string());
                self.competitor = event.competitor.as_ref().map(ToString::to_string);
                self.duplicate_of = event.duplicate_of.map(|deal| deal.to_string());
            }
            DealEvent::Reopened(event) => {
                if self.status == status::OPEN {
                    return Err(unapplicable(envelope, "an open deal cannot be reopened"));
                }
                self.open();
                self.stage = event.stage.to_string();
                self.entered_at = at;
            }
            DealEvent::ClosingCorrected(event) => {
                if self.status == status::OPEN {
                    return Err(unapplicable(envelope, "an open deal has no closing"));
                }
                self.correct(&event.to);
            }
            DealEvent::Undone(event) => {
                for restored in &event.restores {
                    self.restore(restored)?;
                }
            }
            DealEvent::TitleChanged(event) => self.title = event.to.to_string(),
            DealEvent::FieldSet(event) => set_field(&mut self.fields, &event.field, event.to.as_ref())?,
            DealEvent::AmountChanged(event) => self.price(event.to),
            DealEvent::ExpectedCloseChanged(event) => self.expected_close = event.to.map(|day| day.to_string()),
            DealEvent::OwnerAssigned(event) => self.owner = event.to.map(|id| id.to_string()),
            DealEvent::ProbabilitySet(event) => self.probability = Some(event.to.basis_points().into()),
            DealEvent::ProbabilityCleared(_) => self.probability = None,
            DealEvent::ForecastCategorySet(event) => {
                self.forecast_category = event.to.map(|category| name_of(category).to_owned());
            }
            DealEvent::CustomerLinked(event) => self.customer = event.to.map(|id| id.to_string()),
            DealEvent::SourceChanged(event) => self.source = event.to.as_ref().map(ToString::to_string),
            DealEvent::CampaignChanged(event) => self.campaign = event.to.map(|id| id.to_string()),
        }
        Ok(())
    }

    fn rests(&self) -> bool {
        self.status != status::OPEN
    }
}

impl DealRow {
    fn create(&mut self, at: i64, event: &Created) -> Result<(), ProjectionError> {
        self.title = event.title.to_string();
        self.pipeline = event.pipeline.to_string();
        self.stage = event.stage.to_string();
        status::OPEN.clone_into(&mut self.status);
        self.entered_at = at;
        self.created_at = at;
        self.customer = event.customer.map(|id| id.to_string());
        self.owner = event.owner.map(|id| id.to_string());
        self.source = event.source.as_ref().map(ToString::to_string);
        self.campaign = event.campaign.map(|id| id.to_string());
        self.price(event.amount);
        self.expected_close = event.expected_close.map(|day| day.to_string());
        self.fields = json(&event.fields)?;
        Ok(())
    }

    fn price(&mut self, amount: Option<Money>) {
        self.amount = amount.map(Money::minor);
        self.currency = amount.map(|amount| amount.currency().to_string());
    }

    fn close(&mut self, status: &str, at: Timestamp) {
        status.clone_into(&mut self.status);
        self.closed_at = Some(at.micros());
        self.credited_to.clone_from(&self.owner);
    }

    fn open(&mut self) {
        status::OPEN.clone_into(&mut self.status);
        (self.closed_at, self.credited_to) = (None, None);
        (self.contract, self.loss_reason) = (None, None);
        (self.competitor, self.duplicate_of) = (None, None);
    }

    fn correct(&mut self, to: &ClosingPart) {
        let ClosingPart { closed_at, amount, contract, reason, counted, owner } = to;
        if let Some(closed_at) = closed_at {
            self.closed_at = Some(closed_at.micros());
        }
        if amount.is_some() {
            self.price(*amount);
        }
        if let Some(contract) = contract {
            self.contract = contract.as_ref().map(ToString::to_string);
        }
        if let Some(reason) = reason {
            self.loss_reason = Some(reason.to_string());
        }
        if let Some(counted) = counted {
            status::lost(*counted).clone_into(&mut self.status);
        }
        if let Some(owner) = owner {
            self.credited_to = owner.map(|id| id.to_string());
        }
    }

    fn restore(&mut self, restored: &Restored) -> Result<(), ProjectionError> {
        match restored {
            Restored::Course { to, .. } => {
                (self.pipeline, self.stage) = (to.pipeline.to_string(), to.stage.to_string());
                self.entered_at = to.entered_at.micros();
                self.open();
                if let Some(closing) = &to.closing {
                    let status = match closing.outcome {
                        Outcome::Won => status::WON,
                        Outcome::Lost => status::lost(closing.counted == Some(true)),
                    };
                    self.close(status, closing.closed_at);
                    self.credited_to = closing.owner.map(|id| id.to_string());
                    self.contract = closing.contract.as_ref().map(ToString::to_string);
                    self.loss_reason = closing.reason.as_ref().map(ToString::to_string);
                    self.competitor = closing.competitor.as_ref().map(ToString::to_string);
                    self.duplicate_of = closing.duplicate_of.map(|deal| deal.to_string());
                }
            }
            Restored::Title { to, .. } => self.title = to.to_string(),
            Restored::Amount { to, .. } => self.price(*to),
            // The row has the currency of its amount.
            Restored::Currency { .. } => {}
            Restored::ExpectedClose { to, .. } => self.expected_close = to.map(|day| day.to_string()),
            Restored::Owner { to, .. } => self.owner = to.map(|id| id.to_string()),
            Restored::Probability { to, .. } => self.probability = to.map(|to| to.basis_points().into()),
            Restored::ForecastCategory { to, .. } => {
                self.forecast_category = to.map(|category| name_of(category).to_owned());
            }
            Restored::Customer { to, .. } => self.customer = to.map(|id| id.to_string()),
            Restored::Source { to, .. } => self.source = to.as_ref().map(ToString::to_string),
            Restored::Campaign { to, .. } => self.campaign = to.map(|id| id.to_string()),
            Restored::Field { field, to, .. } => set_field(&mut self.fields, field, to.as_ref())?,
        }
        Ok(())
    }

    fn must_be_open(&self, envelope: &Envelope) -> Result<(), ProjectionError> {
        if self.status == status::OPEN { Ok(()) } else { Err(unapplicable(envelope, "the deal is closed")) }
    }
}
