//! The rules of a deal.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use dealog_events::{
    CustomerId, DealId, Event, FieldValue, Label, Money, Personal, PipelineId, Slug, StreamId, TimeZone, Timestamp,
    UserId, When,
    deal::{
        AmountChanged, CampaignChanged, Closing, ClosingCorrected, ClosingPart, Created, CustomerLinked,
        ExpectedCloseChanged, FieldSet, ForecastCategorySet, Lost, Outcome, OwnerAssigned, Place, ProbabilityCleared,
        ProbabilitySet, Reopened, SourceChanged, StageMoved, TitleChanged, Transferred, Won,
    },
    pipeline::{RequiredField, Stage},
    settings::FieldOwner,
};

use super::{
    Change, Command, CorrectClosing, Create, Deal, Lose, Move, Rejection, Reopen, Transfer, Win, told::Told, undo::undo,
};
use crate::{
    Facts, Patch, Standing,
    aggregates::Aggregate as _,
    facts::{Decision, For, Found, Reads, Rule},
    fields::{self, Filled},
    pipeline::{self, Pipeline},
    settings::{Settings, TheSettings},
};

/// Each command with the streams that its rule reads, and the rule.
pub(super) fn rule<'a>(deal: Option<&'a Deal>, standing: Standing, command: &'a Command) -> Rule<'a> {
    let own_pipeline = deal.map(|deal| deal.pipeline);
    match command {
        Command::Create(command) => Rule::reading(
            (
                command.pipeline,
                command.customer,
                // What a seller begins without an owner is the seller's.
                command.owner.or(standing.own_deals_of),
                priced(command.amount),
                fields::filled(&command.fields),
            ),
            move |facts, (pipeline, customer, owner, amount, fields)| {
                facts.not_begun(deal)?;
                let owner = owner.as_ref();
                may_work(facts, owner.map(Found::id))?;
                create(command, &pipeline, customer, owner, amount, fields)
            },
        ),
        Command::Move(command) => {
            worked(deal, own_pipeline, move |facts, deal, pipeline| move_stage(deal, &facts.begun(pipeline)?, command))
        }
        Command::Win(command) => worked(
            deal,
            (own_pipeline, priced(command.amount), command.closed_at.map(|_| TheSettings)),
            move |facts, deal, (pipeline, amount, settings)| {
                let closed_at = said_closed_at(facts, settings.as_deref(), command.closed_at);
                win(deal, &facts.begun(pipeline)?, amount, command, closed_at)
            },
        )
        .with_history(command.closed_at.is_some()),
        Command::Lose(command) => {
            worked(deal, (TheSettings, command.duplicate_of), move |facts, deal, (settings, original)| {
                let closed_at = said_closed_at(facts, Some(&settings), command.closed_at);
                lose(facts.stream(), deal, &settings, original, command, closed_at)
            })
            .with_history(command.closed_at.is_some())
        }
        Command::CorrectClosing(command) => {
            worked(deal, (TheSettings, set(&command.owner)), move |facts, deal, (settings, owner)| {
                let events = correct_closing(facts, deal, &settings, owner, command)?;
                if !events.is_empty() {
                    may_change_closed(facts, deal.outcome)?;
                }
                Ok(events)
            })
            .with_history(true)
        }
        Command::Undo(command) => worked(deal, (), move |facts, _, ()| undo(facts, command)).with_history(true),
        Command::Reopen(command) => worked(deal, own_pipeline, move |facts, deal, pipeline| {
            reopen(facts, deal, &facts.begun(pipeline)?, command)
        }),
        Command::Transfer(command) => {
            worked(deal, command.pipeline, move |_, deal, pipeline| transfer(deal, &pipeline, command))
        }
        Command::Change(command) => worked(
            deal,
            (
                set(&command.customer),
                set(&command.owner),
                priced(set(&command.amount)),
                fields::filled(&command.fields),
                // What the stage requires stays filled.
                own_pipeline.filter(|_| command.empties()),
            ),
            move |facts, deal, (customer, owner, amount, fields, pipeline)| {
                let events = change(deal, command, customer, owner, amount, fields)?;
                if let Some(pipeline) = pipeline {
                    check_still_filled(deal, pipeline.existing("pipeline")?, &events)?;
                }
                if !events.is_empty() {
                    may_change_closed(facts, deal.outcome)?;
                }
                Ok(events)
            },
        ),
    }
}

/// A rule for a deal that has begun and that the caller may work.
fn worked<'a, R: Reads + 'a>(
    deal: Option<&'a Deal>,
    reads: R,
    decide: impl FnOnce(&Facts, &'a Deal, R::Found) -> Decision + 'a,
) -> Rule<'a> {
    Rule::reading(reads, move |facts, found| {
        let deal = facts.begun(deal)?;
        may_work(facts, deal.owner)?;
        decide(facts, deal, found)
    })
}

/// An amount with the settings, which say in what currency it may be; nothing where there is none.
fn priced(amount: Option<Money>) -> Option<(For<Money>, TheSettings)> {
    amount.map(|amount| (For(amount), TheSettings))
}

fn set<T: Copy>(patch: &Patch<T>) -> Option<T> {
    match patch {
        Patch::Set(value) => Some(*value),
        Patch::Keep | Patch::Clear => None,
    }
}

/// Refuses a deal of this owner to a caller who works own deals only.
fn may_work(facts: &Facts, owner: Option<UserId>) -> Result<(), Rejection> {
    match facts.standing().own_deals_of {
        Some(user) if owner != Some(user) => Err(Rejection::NotYours),
        _ => Ok(()),
    }
}

/// Refuses a change of a deal that ended like this to a caller who changes none of those.
fn may_change_closed(facts: &Facts, outcome: Option<Outcome>) -> Result<(), Rejection> {
    match outcome {
        Some(was) if !facts.standing().changes_closed_deals => Err(Rejection::ClosedNotYours { was }),
        _ => Ok(()),
    }
}

fn create(
    create: &Create,
    pipeline: &Found<PipelineId>,
    customer: Option<Found<CustomerId>>,
    owner: Option<&Found<UserId>>,
    amount: Option<(Money, Found<TheSettings>)>,
    fields: Filled<FieldValue>,
) -> Decision {
    let pipeline = pipeline.existing("pipeline")?;
    if pipeline.archived {
        return Err(pipeline::Rejection::Archived.into());
    }
    let stage = stage_or_first(pipeline, create.stage.as_ref())?;
    if let Some(customer) = customer {
        customer.existing("customer")?;
    }
    if let Some(owner) = owner {
        owner.works_deals("owner")?;
    }
    if let Some((amount, settings)) = amount {
        check_currency(&settings, None, amount)?;
    }
    create.expected_close.map(check_day).transpose()?;
    if let Some((fields, settings)) = fields {
        for (field, value) in fields {
            fields::check(&settings, FieldOwner::Deal, field, value)?;
        }
    }
    let Create { title, customer, amount, expected_close, source, campaign, fields, .. } = create.clone();
    let created = Created {
        title,
        pipeline: create.pipeline,
        stage: stage.slug.clone(),
        customer,
        owner: owner.map(Found::id),
        amount,
        expected_close,
        source,
        campaign,
        fields,
    };
    // The rules look at the deal as it will be.
    check_gates(&Deal::created(created.clone()), pipeline, None, &stage.slug)?;
    Ok(vec![created.into()])
}

fn move_stage(deal: &Deal, pipeline: &Found<PipelineId>, command: &Move) -> Decision {
    check_open(deal)?;
    if command.stage == deal.stage {
        return Ok(Vec::new());
    }
    let pipeline = pipeline.existing("pipeline")?;
    let stage = pipeline.open_stage(&command.stage)?;
    pipeline.check_skipping(&deal.stage, &stage.slug)?;
    check_gates(deal, pipeline, Some(&deal.stage), &stage.slug)?;
    let (from, to) = (deal.stage.clone(), stage.slug.clone());
    Ok(vec![StageMoved { pipeline: deal.pipeline, from, to, reason: command.reason.clone() }.into()])
}

fn win(
    deal: &Deal,
    pipeline: &Found<PipelineId>,
    amount: Option<(Money, Found<TheSettings>)>,
    command: &Win,
    closed_at: Result<Timestamp, crate::Rejection>,
) -> Decision {
    check_open(deal)?;
    if let Some((amount, settings)) = amount {
        check_currency(&settings, Some(deal), amount)?;
    }
    // A won deal counts as having reached every stage, so what any of them requires must be there.
    let won_at = Deal { amount: command.amount.or(deal.amount), ..deal.clone() };
    let pipeline = pipeline.existing("pipeline")?;
    let of_stages = pipeline.open_stages().flat_map(|stage| stage.required_fields.clone());
    let required: Vec<RequiredField> = of_stages.chain([RequiredField::Amount]).collect();
    check_required(&won_at, &required).map_err(|missing| match missing {
        Rejection::FieldsMissing { missing } if missing == [RequiredField::Amount] => Rejection::AmountMissing,
        other => other,
    })?;
    let amount = won_at.amount.ok_or(Rejection::AmountMissing)?;

    let mut events: Vec<Event> = Vec::new();
    if deal.amount != Some(amount) {
        events.push(AmountChanged { from: deal.amount, to: Some(amount) }.into());
    }
    let (pipeline, stage, contract) = (deal.pipeline, deal.stage.clone(), command.contract.clone());
    events.push(Won { pipeline, stage, amount, closed_at: closed_at?, contract }.into());
    Ok(events)
}

fn lose(
    stream: StreamId,
    deal: &Deal,
    settings: &Settings,
    original: Option<Found<DealId>>,
    command: &Lose,
    closed_at: Result<Timestamp, crate::Rejection>,
) -> Decision {
    check_open(deal)?;
    let reason = settings.loss_reason(&command.reason)?;
    if let Some(original) = original {
        if StreamId::Deal(original.id()) == stream {
            return Err(Rejection::DuplicateOfItself.into());
        }
        if let Some(original) = original.existing("duplicate_of")?.duplicate_of {
            return Err(Rejection::DuplicateOfDuplicate { original }.into());
        }
    }
    // What is said about a loss is about the customer where there is one, and goes when the customer's data goes.
    let about = deal.customer.map_or(stream, StreamId::Customer);
    let lost = Lost {
        pipeline: deal.pipeline,
        stage: deal.stage.clone(),
        reason: reason.slug.clone(),
        counted: reason.counted,
        closed_at: closed_at?,
        competitor: command.competitor.clone(),
        duplicate_of: command.duplicate_of,
        note: command.note.clone().map(|note| Personal::new(about, note)),
    };
    Ok(vec![lost.into()])
}

/// When a deal was closed: as the command says, or when the command occurs.
fn said_closed_at(
    facts: &Facts,
    settings: Option<&Settings>,
    wanted: Option<When>,
) -> Result<Timestamp, crate::Rejection> {
    let Some(wanted) = wanted else { return Ok(facts.occurred_at()) };
    let closed_at = closed_at(facts, settings, wanted)?;
    facts.may_backdate("closed_at", closed_at)?;
    Ok(closed_at)
}

/// The instant that is said of a closing, if the deal can have been closed then.
fn closed_at(facts: &Facts, settings: Option<&Settings>, wanted: When) -> Result<Timestamp, Rejection> {
    let latest = facts.occurred_at();
    let zone = settings.and_then(|settings| settings.time_zone).unwrap_or(TimeZone::UTC);
    // A day that has not ended yet ends for now with what is said of it.
    let closed_at = match wanted {
        When::Instant(time) => time,
        When::Day(_) => wanted.end(zone).min(latest),
    };
    if wanted.start(zone) > latest {
        return Err(Rejection::ClosedAhead { closed_at: wanted, latest });
    }
    let earliest = Told::by(facts.history()).map_or(Timestamp::MIN, |told| told.opened_at());
    if closed_at < earliest {
        return Err(Rejection::ClosedTooEarly { closed_at: wanted, earliest });
    }
    Ok(closed_at)
}

fn correct_closing(
    facts: &Facts,
    deal: &Deal,
    settings: &Settings,
    owner: Option<Found<UserId>>,
    command: &CorrectClosing,
) -> Decision {
    let told = Told::by(facts.history());
    let closing = told.and_then(|told| told.course.closing).ok_or(Rejection::NotClosed)?;
    let CorrectClosing { closed_at: wanted, amount, contract, reason, owner: credited } = command;
    let (mut from, mut to) = (ClosingPart::default(), ClosingPart::default());
    if let Some(wanted) = wanted.given("closed_at")? {
        let closed_at = closed_at(facts, Some(settings), *wanted)?;
        if closed_at != closing.closed_at {
            facts.may_backdate("closed_at", closed_at)?;
            (from.closed_at, to.closed_at) = (Some(closing.closed_at), Some(closed_at));
        }
    }
    if let Some(amount) = amount.given("amount")?.filter(|amount| deal.amount != Some(**amount)) {
        check_outcome(&closing, Outcome::Won, "amount")?;
        check_currency(settings, Some(deal), *amount)?;
        (from.amount, to.amount) = (deal.amount, Some(*amount));
    }
    if let Some(contract) = contract.change(closing.contract.as_ref()) {
        check_outcome(&closing, Outcome::Won, "contract")?;
        (from.contract, to.contract) = (Some(closing.contract.clone()), Some(contract));
    }
    let is_other = |reason: &&Label| closing.reason.as_ref().is_none_or(|given| given.as_str() != reason.as_str());
    if let Some(reason) = reason.given("reason")?.filter(is_other) {
        check_outcome(&closing, Outcome::Lost, "reason")?;
        let reason = settings.loss_reason(reason)?;
        if closing.reason.as_ref() != Some(&reason.slug) {
            (from.reason, to.reason) = (closing.reason.clone(), Some(reason.slug.clone()));
        }
        if closing.counted != Some(reason.counted) {
            (from.counted, to.counted) = (closing.counted, Some(reason.counted));
        }
    }
    if let Some(credited) = credited.change(closing.owner.as_ref()) {
        if let Some(owner) = owner {
            owner.existing("owner")?;
        }
        (from.owner, to.owner) = (Some(closing.owner), Some(credited));
    }
    if to == ClosingPart::default() {
        return Ok(Vec::new());
    }
    Ok(vec![ClosingCorrected { from, to }.into()])
}

/// Refuses to correct what a closing like this does not have.
fn check_outcome(closing: &Closing, needed: Outcome, field: &'static str) -> Result<(), Rejection> {
    if closing.outcome == needed {
        return Ok(());
    }
    Err(Rejection::NotOfThisClosing { field, was: closing.outcome })
}

fn reopen(facts: &Facts, deal: &Deal, pipeline: &Found<PipelineId>, command: &Reopen) -> Decision {
    let was = deal.outcome.ok_or(Rejection::Open)?;
    may_change_closed(facts, deal.outcome)?;
    let pipeline = pipeline.existing("pipeline")?;
    let stage = pipeline.open_stage(command.stage.as_ref().unwrap_or(&deal.stage))?;
    check_gates(deal, pipeline, Some(&deal.stage), &stage.slug)?;
    let (stage, reason) = (stage.slug.clone(), command.reason.clone());
    Ok(vec![Reopened { pipeline: deal.pipeline, stage, was, reason }.into()])
}

fn transfer(deal: &Deal, pipeline: &Found<PipelineId>, command: &Transfer) -> Decision {
    check_open(deal)?;
    if command.pipeline == deal.pipeline {
        return Err(Rejection::SamePipeline.into());
    }
    let pipeline = pipeline.existing("pipeline")?;
    if pipeline.archived {
        return Err(pipeline::Rejection::Archived.into());
    }
    let stage = stage_or_first(pipeline, command.stage.as_ref())?;
    check_gates(deal, pipeline, None, &stage.slug)?;
    let from = Place { pipeline: deal.pipeline, stage: deal.stage.clone() };
    let to = Place { pipeline: command.pipeline, stage: stage.slug.clone() };
    Ok(vec![Transferred { from, to }.into()])
}

fn change(
    deal: &Deal,
    change: &Change,
    customer: Option<Found<CustomerId>>,
    owner: Option<Found<UserId>>,
    amount: Option<(Money, Found<TheSettings>)>,
    fields: Filled<Patch<FieldValue>>,
) -> Decision {
    let mut events: Vec<Event> = Vec::new();
    if let Some(to) = change.title.given("title")?.filter(|to| **to != deal.title) {
        events.push(TitleChanged { from: deal.title.clone(), to: to.clone() }.into());
    }
    if let Some(to) = change.customer.change(deal.customer.as_ref()) {
        if let Some(customer) = customer {
            customer.existing("customer")?;
        }
        events.push(CustomerLinked { from: deal.customer, to }.into());
    }
    if let Some(to) = change.owner.change(deal.owner.as_ref()) {
        if let Some(owner) = owner {
            owner.works_deals("owner")?;
        }
        events.push(OwnerAssigned { from: deal.owner, to }.into());
    }
    if let Some(to) = change.source.change(deal.source.as_ref()) {
        events.push(SourceChanged { from: deal.source.clone(), to }.into());
    }
    if let Some(to) = change.campaign.change(deal.campaign.as_ref()) {
        events.push(CampaignChanged { from: deal.campaign, to }.into());
    }
    if let Some(to) = change.amount.change(deal.amount.as_ref()) {
        check_open(deal)?;
        if let Some((amount, settings)) = amount {
            check_currency(&settings, Some(deal), amount)?;
        }
        events.push(AmountChanged { from: deal.amount, to }.into());
    }
    if let Some(to) = change.expected_close.change(deal.expected_close.as_ref()) {
        to.map(check_day).transpose()?;
        events.push(ExpectedCloseChanged { from: deal.expected_close, to }.into());
    }
    match (change.probability.change(deal.probability.as_ref()), deal.probability) {
        (Some(Some(to)), from) => events.push(ProbabilitySet { from, to }.into()),
        (Some(None), Some(from)) => events.push(ProbabilityCleared { from, to: () }.into()),
        _ => {}
    }
    if let Some(to) = change.forecast_category.change(deal.forecast_category.as_ref()) {
        events.push(ForecastCategorySet { from: deal.forecast_category, to }.into());
    }
    if let Some((fields, settings)) = fields {
        for (field, from, to) in fields::changed(&settings, FieldOwner::Deal, &deal.fields, fields)? {
            events.push(FieldSet { field, from, to }.into());
        }
    }
    Ok(events)
}

fn check_open(deal: &Deal) -> Result<(), Rejection> {
    match deal.outcome {
        None => Ok(()),
        Some(was) => Err(Rejection::Closed { was }),
    }
}

/// Days of four digits: those sort as text as they do in time.
fn check_day(day: NaiveDate) -> Result<(), Rejection> {
    if (1..=9_999).contains(&day.year()) {
        return Ok(());
    }
    Err(Rejection::DayOutOfRange { field: "expected_close" })
}

fn stage_or_first<'a>(pipeline: &'a Pipeline, wanted: Option<&Slug>) -> Result<&'a Stage, pipeline::Rejection> {
    match wanted {
        Some(slug) => pipeline.open_stage(slug),
        None => pipeline.open_stages().next().ok_or(pipeline::Rejection::NoStageLeft),
    }
}

/// Refuses the way of a deal into a stage that asks for more than the deal has, or past one that does.
fn check_gates(deal: &Deal, pipeline: &Pipeline, from: Option<&Slug>, to: &Slug) -> Result<(), Rejection> {
    let required: Vec<RequiredField> =
        pipeline.passed(from, to).flat_map(|stage| stage.required_fields.iter().cloned()).collect();
    check_required(deal, &required)
}

/// Refuses to empty what the stage of an open deal requires. What was empty all along may stay so.
fn check_still_filled(deal: &Deal, pipeline: &Pipeline, events: &[Event]) -> Result<(), Rejection> {
    let Some(stage) = pipeline.stage_of(&deal.stage).filter(|_| deal.outcome.is_none()) else { return Ok(()) };
    let mut changed = Some(deal.clone());
    for event in events {
        if let Event::Deal(event) = event {
            changed = changed.evolve(event);
        }
    }
    let emptied = |field: &&RequiredField| deal.has(field) && !changed.as_ref().is_some_and(|deal| deal.has(field));
    let needed: Vec<RequiredField> = stage.required_fields.iter().filter(emptied).cloned().collect();
    if needed.is_empty() { Ok(()) } else { Err(Rejection::StageNeeds { stage: deal.stage.clone(), needed }) }
}

fn check_required(deal: &Deal, required: &[RequiredField]) -> Result<(), Rejection> {
    let missing: BTreeSet<RequiredField> = required.iter().filter(|field| !deal.has(field)).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Rejection::FieldsMissing { missing: missing.into_iter().collect() })
}

/// One currency a deal, and only one there is a rate for: until rates are published, the reporting currency.
fn check_currency(settings: &Settings, deal: Option<&Deal>, amount: Money) -> Result<(), Rejection> {
    let found = amount.currency();
    if let Some(own) = deal.and_then(|deal| deal.currency).filter(|own| *own != found) {
        return Err(Rejection::OtherCurrency { deal: own, found });
    }
    match settings.reporting_currency {
        None => Err(Rejection::NoReportingCurrency),
        Some(accepted) if accepted != found => Err(Rejection::CurrencyWithoutRate { found, accepted }),
        Some(_) => Ok(()),
    }
}
