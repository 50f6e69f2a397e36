//! What must hold of a deal.

use dealog_events::{
    AMOUNT_MAX, CampaignId, Currency, CustomerId, DealId, Fields, Label, Money, PipelineId, Probability, Slug,
    StreamId, Title, UserId,
    deal::{Created, DealEvent, Lost, Outcome, Place, Reopened, StageMoved, Transferred, Won},
    pipeline::{ForecastCategory, RequiredField},
    settings::FieldOwner,
};

use super::{Seen, Witness, change, ensure};

#[derive(Clone)]
pub(super) struct DealSeen {
    title: Title,
    place: Place,
    closed: Option<Outcome>,
    customer: Option<CustomerId>,
    owner: Option<UserId>,
    amount: Option<Money>,
    currency: Option<Currency>,
    expected_close: Option<chrono::NaiveDate>,
    probability: Option<Probability>,
    forecast_category: Option<ForecastCategory>,
    source: Option<Label>,
    campaign: Option<CampaignId>,
    fields: Fields,
}

impl DealSeen {
    pub(super) fn owner(&self) -> Option<UserId> {
        self.owner
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    fn lacks(&self, field: &RequiredField) -> bool {
        match field {
            RequiredField::Amount => self.amount.is_none(),
            RequiredField::Customer => self.customer.is_none(),
            RequiredField::Owner => self.owner.is_none(),
            RequiredField::ExpectedClose => self.expected_close.is_none(),
            RequiredField::Source => self.source.is_none(),
            RequiredField::Campaign => self.campaign.is_none(),
            RequiredField::Custom(field) => !self.fields.contains_key(field),
        }
    }

    fn is_open(&self) -> Seen {
        ensure(self.closed.is_none(), || format!("the deal is {:?}", self.closed))
    }

    fn is_at(&self, pipeline: PipelineId, stage: &Slug) -> Seen {
        ensure(self.place.pipeline == pipeline && self.place.stage == *stage, || {
            format!("the deal is at {:?}", self.place)
        })
    }
}

impl Witness {
    pub(super) fn see_deal(&mut self, id: DealId, event: &DealEvent) -> Seen {
        let begins = matches!(event, DealEvent::Created(_));
        ensure(begins != self.deals.contains_key(&id), || "a deal begins once, with `created`".into())?;
        match event {
            DealEvent::Created(event) => self.created(id, event),
            DealEvent::StageMoved(event) => self.stage_moved(id, event),
            DealEvent::Won(event) => self.won(id, event),
            DealEvent::Lost(event) => self.lost(id, event),
            DealEvent::Reopened(event) => self.reopened(id, event),
            DealEvent::Transferred(event) => self.transferred(id, event),
            other => self.attribute_changed(id, other),
        }
    }

    fn deal(&mut self, id: DealId) -> Result<&mut DealSeen, String> {
        self.deals.get_mut(&id).ok_or_else(|| "no such deal".into())
    }

    fn created(&mut self, id: DealId, event: &Created) -> Seen {
        let event = event.clone();
        self.customer_exists(event.customer)?;
        self.user_is_active(event.owner)?;
        for (field, value) in &event.fields {
            self.settings.takes(FieldOwner::Deal, field, value)?;
        }
        if let Some(amount) = event.amount {
            self.accepts(None, amount)?;
        }
        let deal = DealSeen {
            title: event.title,
            place: Place { pipeline: event.pipeline, stage: event.stage },
            closed: None,
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
        };
        self.takes_deals(deal.place.pipeline)?;
        self.may_enter(&deal, &deal.place)?;
        self.deals.insert(id, deal);
        Ok(())
    }

    fn stage_moved(&mut self, id: DealId, event: &StageMoved) -> Seen {
        let deal = self.deal(id)?.clone();
        deal.is_open()?;
        deal.is_at(event.pipeline, &event.from)?;
        ensure(event.from != event.to, || "a move to where it is".into())?;
        let to = Place { pipeline: event.pipeline, stage: event.to.clone() };
        self.may_enter(&deal, &to)?;
        self.pipelines[&event.pipeline].skips_nothing_it_must_not(&event.from, &event.to)?;
        self.deal(id)?.place = to;
        Ok(())
    }

    fn won(&mut self, id: DealId, event: &Won) -> Seen {
        let deal = self.deal(id)?.clone();
        deal.is_open()?;
        deal.is_at(event.pipeline, &event.stage)?;
        ensure(deal.amount == Some(event.amount), || format!("the deal's amount is {:?}", deal.amount))?;
        for stage in self.pipelines[&event.pipeline].open() {
            let missing = stage.required_fields.iter().find(|field| deal.lacks(field));
            ensure(missing.is_none(), || format!("{} asks for {missing:?}", stage.slug))?;
        }
        self.deal(id)?.closed = Some(Outcome::Won);
        Ok(())
    }

    fn lost(&mut self, id: DealId, event: &Lost) -> Seen {
        let listed = self.settings.reasons.iter().find(|reason| reason.slug == event.reason);
        ensure(listed.is_some_and(|reason| reason.counted == event.counted), || format!("the list has {listed:?}"))?;
        if let Some(original) = event.duplicate_of {
            ensure(original != id && self.deals.contains_key(&original), || "repeats no other deal".into())?;
        }
        let deal = self.deal(id)?;
        deal.is_open()?;
        deal.is_at(event.pipeline, &event.stage)?;
        if let Some(note) = &event.note {
            let about = deal.customer.map_or(StreamId::Deal(id), StreamId::Customer);
            ensure(note.subject() == about, || format!("the note is not about {about}"))?;
        }
        deal.closed = Some(Outcome::Lost);
        Ok(())
    }

    fn reopened(&mut self, id: DealId, event: &Reopened) -> Seen {
        let deal = self.deal(id)?.clone();
        ensure(deal.closed == Some(event.was), || format!("the deal was {:?}", deal.closed))?;
        ensure(deal.place.pipeline == event.pipeline, || "reopened in another pipeline".into())?;
        let place = Place { pipeline: event.pipeline, stage: event.stage.clone() };
        self.may_enter(&deal, &place)?;
        let deal = self.deal(id)?;
        deal.closed = None;
        deal.place = place;
        Ok(())
    }

    fn transferred(&mut self, id: DealId, event: &Transferred) -> Seen {
        let deal = self.deal(id)?.clone();
        deal.is_open()?;
        deal.is_at(event.from.pipeline, &event.from.stage)?;
        ensure(event.from.pipeline != event.to.pipeline, || "a transfer within a pipeline".into())?;
        self.takes_deals(event.to.pipeline)?;
        self.may_enter(&deal, &event.to)?;
        self.deal(id)?.place = event.to.clone();
        Ok(())
    }

    fn attribute_changed(&mut self, id: DealId, event: &DealEvent) -> Seen {
        match event {
            DealEvent::AmountChanged(event) => {
                let present = self.deal(id)?.currency;
                event.to.map_or(Ok(()), |amount| self.accepts(present, amount))?;
                let deal = self.deal(id)?;
                deal.is_open()?;
                deal.currency = deal.currency.or(event.to.map(Money::currency));
                change(&mut deal.amount, &event.from, &event.to)
            }
            DealEvent::CustomerLinked(event) => {
                self.customer_exists(event.to)?;
                change(&mut self.deal(id)?.customer, &event.from, &event.to)
            }
            DealEvent::OwnerAssigned(event) => {
                self.user_is_active(event.to)?;
                change(&mut self.deal(id)?.owner, &event.from, &event.to)
            }
            DealEvent::FieldSet(event) => {
                if let Some(value) = &event.to {
                    self.settings.takes(FieldOwner::Deal, &event.field, value)?;
                }
                let deal = self.deal(id)?;
                let mut present = deal.fields.remove(&event.field);
                change(&mut present, &event.from, &event.to)?;
                deal.fields.extend(present.map(|value| (event.field.clone(), value)));
                Ok(())
            }
            DealEvent::TitleChanged(event) => change(&mut self.deal(id)?.title, &event.from, &event.to),
            DealEvent::ExpectedCloseChanged(event) => {
                change(&mut self.deal(id)?.expected_close, &event.from, &event.to)
            }
            DealEvent::ProbabilitySet(event) => change(&mut self.deal(id)?.probability, &event.from, &Some(event.to)),
            DealEvent::ProbabilityCleared(event) => change(&mut self.deal(id)?.probability, &Some(event.from), &None),
            DealEvent::ForecastCategorySet(event) => {
                change(&mut self.deal(id)?.forecast_category, &event.from, &event.to)
            }
            DealEvent::SourceChanged(event) => change(&mut self.deal(id)?.source, &event.from, &event.to),
            DealEvent::CampaignChanged(event) => change(&mut self.deal(id)?.campaign, &event.from, &event.to),
            DealEvent::Created(_)
            | DealEvent::StageMoved(_)
            | DealEvent::Won(_)
            | DealEvent::Lost(_)
            | DealEvent::Reopened(_)
            | DealEvent::Transferred(_) => Err("not an attribute".into()),
        }
    }

    /// Within the limits, in the currency of the deal and in the one the company reports in.
    fn accepts(&self, deal: Option<Currency>, amount: Money) -> Seen {
        ensure((0..=AMOUNT_MAX).contains(&amount.minor()), || format!("{amount} is out of bounds"))?;
        ensure(deal.is_none_or(|currency| currency == amount.currency()), || format!("the deal is in {deal:?}"))?;
        let reporting = self.settings.reporting_currency;
        ensure(reporting == Some(amount.currency()), || format!("the company reports in {reporting:?}"))
    }

    fn customer_exists(&self, customer: Option<CustomerId>) -> Seen {
        ensure(customer.is_none_or(|id| self.customers.contains_key(&id)), || "no such customer".into())
    }

    fn takes_deals(&self, pipeline: PipelineId) -> Seen {
        let takes = self.pipelines.get(&pipeline).is_some_and(|pipeline| !pipeline.archived);
        ensure(takes, || "no such pipeline, or an archived one".into())
    }

    /// The stage is one of the pipeline and not retired, and the deal has what it asks for.
    fn may_enter(&self, deal: &DealSeen, place: &Place) -> Seen {
        let pipeline = self.pipelines.get(&place.pipeline).ok_or("no such pipeline")?;
        let stage = pipeline.open().find(|stage| stage.slug == place.stage);
        let stage = stage.ok_or_else(|| format!("{} cannot be entered", place.stage))?;
        let missing = stage.required_fields.iter().find(|field| deal.lacks(field));
        ensure(missing.is_none(), || format!("{} asks for {missing:?}", stage.slug))
    }
}
