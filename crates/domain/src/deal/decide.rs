//! The rules of a deal.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use dealog_events::{
    CustomerId, DealId, Event, FieldValue, Money, Personal, PipelineId, Slug, StreamId, UserId,
    deal::{
        AmountChanged, CampaignChanged, Created, CustomerLinked, ExpectedCloseChanged, FieldSet, ForecastCategorySet,
        Lost, Outcome, OwnerAssigned, Place, ProbabilityCleared, ProbabilitySet, Reopened, SourceChanged, StageMoved,
        TitleChanged, Transferred, Won,
    },
    pipeline::{RequiredField, Stage},
    settings::FieldOwner,
};

use super::{Change, Command, Create, Deal, Lose, Move, Rejection, Reopen, Transfer, Win};
use crate::{
    Facts, Patch, Standing,
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
        Command::Win(command) => {
            worked(deal, (own_pipeline, priced(command.amount)), move |facts, deal, (pipeline, amount)| {
                win(deal, &facts.begun(pipeline)?, amount, command)
            })
        }
        Command::Lose(command) => {
            worked(deal, (TheSettings, command.duplicate_of), move |facts, deal, (settings, original)| {
                lose(facts.stream(), deal, &settings, original, command)
            })
        }
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
            ),
            move |facts, deal, (customer, owner, amount, fields)| {
                let events = change(deal, command, customer, owner, amount, fields)?;
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
        owner.active("owner")?;
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
    check_required(&Deal::created(created.clone()), &stage.required_fields)?;
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
    check_required(deal, &stage.required_fields)?;
    let (from, to) = (deal.stage.clone(), stage.slug.clone());
    Ok(vec![StageMoved { pipeline: deal.pipeline, from, to, reason: command.reason.clone() }.into()])
}

fn win(
    deal: &Deal,
    pipeline: &Found<PipelineId>,
    amount: Option<(Money, Found<TheSettings>)>,
    command: &Win,
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
    events.push(Won { pipeline, stage, amount, contract }.into());
    Ok(events)
}

fn lose(
    stream: StreamId,
    deal: &Deal,
    settings: &Settings,
    original: Option<Found<DealId>>,
    command: &Lose,
) -> Decision {
    check_open(deal)?;
    let reason = settings.loss_reason(&command.reason)?;
    if let Some(original) = original {
        if StreamId::Deal(original.id()) == stream {
            return Err(Rejection::DuplicateOfItself.into());
        }
        original.existing("duplicate_of")?;
    }
    // What is said about a loss is about the customer where there is one, and goes when the customer's data goes.
    let about = deal.customer.map_or(stream, StreamId::Customer);
    let lost = Lost {
        pipeline: deal.pipeline,
        stage: deal.stage.clone(),
        reason: reason.slug.clone(),
        counted: reason.counted,
        competitor: command.competitor.clone(),
        duplicate_of: command.duplicate_of,
        note: command.note.clone().map(|note| Personal::new(about, note)),
    };
    Ok(vec![lost.into()])
}

fn reopen(facts: &Facts, deal: &Deal, pipeline: &Found<PipelineId>, command: &Reopen) -> Decision {
    let was = deal.outcome.ok_or(Rejection::Open)?;
    may_change_closed(facts, deal.outcome)?;
    let pipeline = pipeline.existing("pipeline")?;
    let stage = pipeline.open_stage(command.stage.as_ref().unwrap_or(&deal.stage))?;
    check_required(deal, &stage.required_fields)?;
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
    check_required(deal, &stage.required_fields)?;
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
    if let Some(to) = change.title.as_ref().filter(|to| **to != deal.title) {
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
            owner.active("owner")?;
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
        for (field, patch) in fields {
            if let Patch::Set(value) = patch {
                fields::check(&settings, FieldOwner::Deal, field, value)?;
            }
            let from = deal.fields.get(field).cloned();
            if let Some(to) = patch.change(from.as_ref()) {
                events.push(FieldSet { field: field.clone(), from, to }.into());
            }
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
