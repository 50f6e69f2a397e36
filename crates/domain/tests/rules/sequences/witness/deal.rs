//! What must hold of a deal.

use dealog_events::{
    AMOUNT_MAX, CampaignId, Currency, CustomerId, DealId, Fields, Label, Money, PipelineId, Probability, Slug,
    StreamId, Timestamp, Title, UserId,
    deal::{
        Closing, ClosingCorrected, ClosingPart, Course, Created, DealEvent, Lost, Outcome, Place, Reopened, Restored,
        StageMoved, Transferred, Undone, Won,
    },
    pipeline::{ForecastCategory, RequiredField},
    settings::FieldOwner,
};

use super::{Seen, Witness, change, ensure};

#[derive(Clone, PartialEq)]
pub(super) struct DealSeen {
    title: Title,
    place: Place,
    /// When it came there.
    entered_at: Timestamp,
    /// When it was created, or reopened last.
    opened_at: Timestamp,
    closed: Option<Closing>,
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

    /// Not before it was open, and not later than someone said so.
    fn can_be_closed(&self, closed_at: Timestamp, said_at: Timestamp) -> Seen {
        ensure((self.opened_at..=said_at).contains(&closed_at), || format!("closed at {closed_at}"))
    }

    fn is_at(&self, pipeline: PipelineId, stage: &Slug) -> Seen {
        ensure(self.place.pipeline == pipeline && self.place.stage == *stage, || {
            format!("the deal is at {:?}", self.place)
        })
    }
}

impl Witness {
    pub(super) fn see_deal(&mut self, id: DealId, event: &DealEvent, at: Timestamp) -> Seen {
        let begins = matches!(event, DealEvent::Created(_));
        ensure(begins != self.deals.contains_key(&id), || "a deal begins once, with `created`".into())?;
        match event {
            DealEvent::Created(event) => self.created(id, event, at),
            DealEvent::StageMoved(event) => self.stage_moved(id, event, at),
            DealEvent::Won(event) => self.won(id, event, at),
            DealEvent::Lost(event) => self.lost(id, event, at),
            DealEvent::Reopened(event) => self.reopened(id, event, at),
            DealEvent::ClosingCorrected(event) => self.closing_corrected(id, event, at),
            DealEvent::Transferred(event) => self.transferred(id, event, at),
            DealEvent::Undone(event) => self.undone(id, event),
            other => self.attribute_changed(id, other),
        }
    }

    fn deal(&mut self, id: DealId) -> Result<&mut DealSeen, String> {
        self.deals.get_mut(&id).ok_or_else(|| "no such deal".into())
    }

    fn created(&mut self, id: DealId, event: &Created, at: Timestamp) -> Seen {
        let event = event.clone();
        self.customer_exists(event.customer)?;
        self.works_deals(event.owner)?;
        for (field, value) in &event.fields {
            self.settings.takes(FieldOwner::Deal, field, value)?;
        }
        if let Some(amount) = event.amount {
            self.accepts(None, amount)?;
        }
        let deal = DealSeen {
            title: event.title,
            place: Place { pipeline: event.pipeline, stage: event.stage },
            entered_at: at,
            opened_at: at,
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
        self.may_enter(&deal, None, &deal.place)?;
        self.deals.insert(id, deal);
        Ok(())
    }

    fn stage_moved(&mut self, id: DealId, event: &StageMoved, at: Timestamp) -> Seen {
        let deal = self.deal(id)?.clone();
        deal.is_open()?;
        deal.is_at(event.pipeline, &event.from)?;
        ensure(event.from != event.to, || "a move to where it is".into())?;
        let to = Place { pipeline: event.pipeline, stage: event.to.clone() };
        self.may_enter(&deal, Some(&event.from), &to)?;
        self.pipelines[&event.pipeline].skips_nothing_it_must_not(&event.from, &event.to)?;
        let deal = self.deal(id)?;
        (deal.place, deal.entered_at) = (to, at);
        Ok(())
    }

    fn won(&mut self, id: DealId, event: &Won, at: Timestamp) -> Seen {
        let deal = self.deal(id)?.clone();
        deal.is_open()?;
        deal.is_at(event.pipeline, &event.stage)?;
        ensure(deal.amount == Some(event.amount), || format!("the deal's amount is {:?}", deal.amount))?;
        for stage in self.pipelines[&event.pipeline].open() {
            let missing = stage.required_fields.iter().find(|field| deal.lacks(field));
            ensure(missing.is_none(), || format!("{} asks for {missing:?}", stage.slug))?;
        }
        deal.can_be_closed(event.closed_at, at)?;
        let deal = self.deal(id)?;
        deal.closed = Some(Closing {
            outcome: Outcome::Won,
            closed_at: event.closed_at,
            owner: deal.owner,
            contract: event.contract.clone(),
            reason: None,
            counted: None,
            competitor: None,
            duplicate_of: None,
        });
        Ok(())
    }

    fn closing_corrected(&mut self, id: DealId, event: &ClosingCorrected, at: Timestamp) -> Seen {
        let ClosingPart { closed_at, amount, contract, reason, counted, owner } = event.to.clone();
        let from = event.from.clone();
        if let Some(reason) = &reason {
            let listed = self.settings.reasons.iter().find(|listed| listed.slug == *reason);
            ensure(listed.is_some(), || format!("{reason} is not listed"))?;
        }
        if let Some(amount) = amount {
            let present = self.deal(id)?.currency;
            self.accepts(present, amount)?;
            change(&mut self.deal(id)?.amount, &from.amount, &Some(amount))?;
        }
        if let Some(closed_at) = closed_at {
            self.deal(id)?.can_be_closed(closed_at, at)?;
        }
        let closing = self.deal(id)?.closed.as_mut().ok_or("an open deal has no closing")?;
        let won = closing.outcome == Outcome::Won;
        ensure(won || (amount.is_none() && contract.is_none()), || "a loss has no such thing".into())?;
        ensure(!won || (reason.is_none() && counted.is_none()), || "a win has no such thing".into())?;
        if let (Some(from), Some(to)) = (from.closed_at, closed_at) {
            change(&mut closing.closed_at, &from, &to)?;
        }
        if let (Some(from), Some(to)) = (&from.contract, &contract) {
            change(&mut closing.contract, from, to)?;
        }
        if reason.is_some() {
            change(&mut closing.reason, &from.reason, &reason)?;
        }
        if counted.is_some() {
            change(&mut closing.counted, &from.counted, &counted)?;
        }
        if let (Some(from), Some(to)) = (from.owner, owner) {
            change(&mut closing.owner, &from, &to)?;
        }
        Ok(())
    }

    fn undone(&mut self, id: DealId, event: &Undone) -> Seen {
        ensure(!event.restores.is_empty() && !event.events.is_empty(), || "nothing is undone".into())?;
        let deal = self.deal(id)?;
        for restored in &event.restores {
            match restored {
                Restored::Course { from, to } => {
                    let mut course = Course {
                        pipeline: deal.place.pipeline,
                        stage: deal.place.stage.clone(),
                        entered_at: deal.entered_at,
                        closing: deal.closed.clone(),
                    };
                    change(&mut course, from, to)?;
                    deal.place = Place { pipeline: course.pipeline, stage: course.stage };
                    (deal.entered_at, deal.closed) = (course.entered_at, course.closing);
                }
                Restored::Title { from, to } => change(&mut deal.title, from, to)?,
                Restored::Amount { from, to } => change(&mut deal.amount, from, to)?,
                Restored::Currency { from, to } => change(&mut deal.currency, from, to)?,
                Restored::ExpectedClose { from, to } => change(&mut deal.expected_close, from, to)?,
                Restored::Owner { from, to } => change(&mut deal.owner, from, to)?,
                Restored::Probability { from, to } => change(&mut deal.probability, from, to)?,
                Restored::ForecastCategory { from, to } => change(&mut deal.forecast_category, from, to)?,
                Restored::Customer { from, to } => change(&mut deal.customer, from, to)?,
                Restored::Source { from, to } => change(&mut deal.source, from, to)?,
                Restored::Campaign { from, to } => change(&mut deal.campaign, from, to)?,
                Restored::Field { field, from, to } => {
                    let mut present = deal.fields.remove(field);
                    change(&mut present, from, to)?;
                    deal.fields.extend(present.map(|value| (field.clone(), value)));
                }
            }
        }
        Ok(())
    }

    /// After a command, its stage still has what it asks for, of what it had; after an undo, all is as it was.
    pub(super) fn ends_deal(&mut self, id: DealId, undone: bool) -> Seen {
        let [last, before_that] = self.before.get(&id).cloned().unwrap_or_default();
        let deal = self.deal(id)?;
        if undone {
            let before = before_that.ok_or("nothing was there before")?;
            // That a reopening does not hold any more is told by no event.
            deal.opened_at = before.opened_at;
            return ensure(*deal == before, || "it is not as it was before".into());
        }
        let (Some(before), deal) = (last, deal.clone()) else { return Ok(()) };
        if before.place != deal.place || deal.closed.is_some() {
            return Ok(());
        }
        let stage = self.pipelines[&deal.place.pipeline].stage(&deal.place.stage);
        let required = stage.into_iter().flat_map(|stage| &stage.required_fields);
        let emptied = required.clone().find(|field| deal.lacks(field) && !before.lacks(field));
        ensure(emptied.is_none(), || format!("its stage asks for {emptied:?}"))
    }

    fn lost(&mut self, id: DealId, event: &Lost, at: Timestamp) -> Seen {
        let listed = self.settings.reasons.iter().find(|reason| reason.slug == event.reason);
        ensure(listed.is_some_and(|reason| reason.counted == event.counted), || format!("the list has {listed:?}"))?;
        if let Some(original) = event.duplicate_of {
            let other = self.deals.get(&original).filter(|_| original != id).ok_or("repeats no other deal")?;
            let repeats = other.closed.as_ref().and_then(|closing| closing.duplicate_of);
            ensure(repeats.is_none(), || format!("repeats a deal that repeats {repeats:?}"))?;
        }
        let deal = self.deal(id)?;
        deal.is_open()?;
        deal.is_at(event.pipeline, &event.stage)?;
        if let Some(note) = &event.note {
            let about = deal.customer.map_or(StreamId::Deal(id), StreamId::Customer);
            ensure(note.subject() == about, || format!("the note is not about {about}"))?;
        }
        deal.can_be_closed(event.closed_at, at)?;
        deal.closed = Some(Closing {
            outcome: Outcome::Lost,
            closed_at: event.closed_at,
            owner: deal.owner,
            contract: None,
            reason: Some(event.reason.clone()),
            counted: Some(event.counted),
            competitor: event.competitor.clone(),
            duplicate_of: event.duplicate_of,
        });
        Ok(())
    }

    fn reopened(&mut self, id: DealId, event: &Reopened, at: Timestamp) -> Seen {
        let deal = self.deal(id)?.clone();
        let was = deal.closed.as_ref().map(|closing| closing.outcome);
        ensure(was == Some(event.was), || format!("the deal was {was:?}"))?;
        ensure(deal.place.pipeline == event.pipeline, || "reopened in another pipeline".into())?;
        let place = Place { pipeline: event.pipeline, stage: event.stage.clone() };
        self.may_enter(&deal, Some(&deal.place.stage), &place)?;
        let deal = self.deal(id)?;
        deal.closed = None;
        (deal.place, deal.entered_at, deal.opened_at) = (place, at, at);
        Ok(())
    }

    fn transferred(&mut self, id: DealId, event: &Transferred, at: Timestamp) -> Seen {
        let deal = self.deal(id)?.clone();
        deal.is_open()?;
        deal.is_at(event.from.pipeline, &event.from.stage)?;
        ensure(event.from.pipeline != event.to.pipeline, || "a transfer within a pipeline".into())?;
        self.takes_deals(event.to.pipeline)?;
        self.may_enter(&deal, None, &event.to)?;
        let deal = self.deal(id)?;
        (deal.place, deal.entered_at) = (event.to.clone(), at);
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
                self.works_deals(event.to)?;
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
            | DealEvent::ClosingCorrected(_)
            | DealEvent::Reopened(_)
            | DealEvent::Transferred(_)
            | DealEvent::Undone(_) => Err("not an attribute".into()),
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

    /// The stage is one of the pipeline and not retired, and the deal has what it and those on the way ask for.
    fn may_enter(&self, deal: &DealSeen, from: Option<&Slug>, place: &Place) -> Seen {
        let pipeline = self.pipelines.get(&place.pipeline).ok_or("no such pipeline")?;
        let stage = pipeline.open().find(|stage| stage.slug == place.stage);
        let stage = stage.ok_or_else(|| format!("{} cannot be entered", place.stage))?;
        for stage in pipeline.on_the_way(from, &stage.slug)? {
            let missing = stage.required_fields.iter().find(|field| deal.lacks(field));
            ensure(missing.is_none(), || format!("{} asks for {missing:?}", stage.slug))?;
        }
        Ok(())
    }
}
