//! The rules of a deal.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use dealog_events::{
    Event, Money, Personal, Slug, StreamId,
    deal::{
        AmountChanged, CampaignChanged, Created, CustomerLinked, ExpectedCloseChanged, FieldSet, ForecastCategorySet,
        Lost, OwnerAssigned, Place, ProbabilityCleared, ProbabilitySet, Reopened, SourceChanged, StageMoved,
        TitleChanged, Transferred, Won,
    },
    pipeline::{RequiredField, Stage},
    settings::FieldOwner,
};

use super::{Change, Command, Create, Deal, Lose, Move, Reopen, Transfer, Win};
use crate::{Facts, Patch, Rejection, fields, pipeline::Pipeline};

/// The streams that a rule looks at besides the deal's own.
pub(crate) fn reads(state: Option<&Deal>, command: &Command) -> BTreeSet<StreamId> {
    let own_pipeline = || state.map(|deal| StreamId::Pipeline(deal.pipeline));
    let settings_if = |needed: bool| needed.then_some(StreamId::Settings);
    let streams: Vec<Option<StreamId>> = match command {
        Command::Create(create) => vec![
            Some(StreamId::Pipeline(create.pipeline)),
            create.customer.map(StreamId::Customer),
            create.owner.map(StreamId::User),
            settings_if(create.amount.is_some() || !create.fields.is_empty()),
        ],
        Command::Move(_) | Command::Reopen(_) => vec![own_pipeline()],
        Command::Win(win) => vec![own_pipeline(), settings_if(win.amount.is_some())],
        Command::Lose(lose) => vec![Some(StreamId::Settings), lose.duplicate_of.map(StreamId::Deal)],
        Command::Transfer(transfer) => vec![Some(StreamId::Pipeline(transfer.pipeline))],
        Command::Change(change) => vec![
            set(&change.customer).map(|id| StreamId::Customer(*id)),
            set(&change.owner).map(|id| StreamId::User(*id)),
            settings_if(set(&change.amount).is_some() || !change.fields.is_empty()),
        ],
    };
    streams.into_iter().flatten().collect()
}

fn set<T>(patch: &Patch<T>) -> Option<&T> {
    match patch {
        Patch::Set(value) => Some(value),
        Patch::Keep | Patch::Clear => None,
    }
}

pub(crate) fn decide(state: Option<&Deal>, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    let deal = match (state, command) {
        (None, Command::Create(create)) => {
            facts.may_work(create.owner)?;
            return self::create(facts, create);
        }
        (Some(_), Command::Create(_)) => return Err(Rejection::AlreadyExists(facts.stream())),
        (None, _) => return Err(Rejection::NotFound(facts.stream())),
        (Some(deal), _) => deal,
    };
    facts.may_work(deal.owner)?;
    match command {
        Command::Create(_) => Ok(Vec::new()),
        Command::Move(command) => move_stage(deal, facts, command),
        Command::Win(command) => win(deal, facts, command),
        Command::Lose(command) => lose(deal, facts, command),
        Command::Reopen(command) => reopen(deal, facts, command),
        Command::Transfer(command) => transfer(deal, facts, command),
        Command::Change(command) => change(deal, facts, command),
    }
}

fn create(facts: &Facts, create: &Create) -> Result<Vec<Event>, Rejection> {
    let pipeline = facts.pipeline("pipeline", create.pipeline)?;
    if pipeline.archived {
        return Err(Rejection::PipelineArchived);
    }
    let stage = stage_or_first(pipeline, create.stage.as_ref())?;
    if let Some(customer) = create.customer {
        facts.customer(customer)?;
    }
    if let Some(owner) = create.owner {
        facts.active_user("owner", owner)?;
    }
    if let Some(amount) = create.amount {
        check_currency(facts, None, amount)?;
    }
    create.expected_close.map(check_day).transpose()?;
    for (field, value) in &create.fields {
        fields::check(facts.settings(), FieldOwner::Deal, field, value)?;
    }
    let Create { title, customer, owner, amount, expected_close, source, campaign, fields, .. } = create.clone();
    let created = Created {
        title,
        pipeline: create.pipeline,
        stage: stage.slug.clone(),
        customer,
        owner,
        amount,
        expected_close,
        source,
        campaign,
        fields,
    };
    // The rules look at the deal as it will be.
    if let Some(deal) = super::evolve(None, &dealog_events::deal::DealEvent::Created(created.clone())) {
        check_required(&deal, &stage.required_fields)?;
    }
    Ok(vec![created.into()])
}

fn move_stage(deal: &Deal, facts: &Facts, command: &Move) -> Result<Vec<Event>, Rejection> {
    check_open(deal)?;
    if command.stage == deal.stage {
        return Ok(Vec::new());
    }
    let pipeline = facts.pipeline("pipeline", deal.pipeline)?;
    let stage = pipeline.open_stage(&command.stage)?;
    pipeline.check_skipping(&deal.stage, &stage.slug)?;
    check_required(deal, &stage.required_fields)?;
    let (from, to) = (deal.stage.clone(), stage.slug.clone());
    Ok(vec![StageMoved { pipeline: deal.pipeline, from, to, reason: command.reason.clone() }.into()])
}

fn win(deal: &Deal, facts: &Facts, command: &Win) -> Result<Vec<Event>, Rejection> {
    check_open(deal)?;
    if let Some(amount) = command.amount {
        check_currency(facts, Some(deal), amount)?;
    }
    // A won deal counts as having reached every stage, so what any of them requires must be there.
    let won_at = Deal { amount: command.amount.or(deal.amount), ..deal.clone() };
    let pipeline = facts.pipeline("pipeline", deal.pipeline)?;
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

fn lose(deal: &Deal, facts: &Facts, command: &Lose) -> Result<Vec<Event>, Rejection> {
    check_open(deal)?;
    let reason = facts.settings().loss_reason(&command.reason)?;
    if let Some(original) = command.duplicate_of {
        if StreamId::Deal(original) == facts.stream() {
            return Err(Rejection::DuplicateOfItself);
        }
        facts.deal("duplicate_of", original)?;
    }
    // What is said about a loss is about the customer where there is one, and goes when the customer's data goes.
    let about = deal.customer.map_or(facts.stream(), StreamId::Customer);
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

fn reopen(deal: &Deal, facts: &Facts, command: &Reopen) -> Result<Vec<Event>, Rejection> {
    let was = deal.outcome.ok_or(Rejection::DealOpen)?;
    facts.may_change_closed(deal.outcome)?;
    let pipeline = facts.pipeline("pipeline", deal.pipeline)?;
    let stage = pipeline.open_stage(command.stage.as_ref().unwrap_or(&deal.stage))?;
    check_required(deal, &stage.required_fields)?;
    let (stage, reason) = (stage.slug.clone(), command.reason.clone());
    Ok(vec![Reopened { pipeline: deal.pipeline, stage, was, reason }.into()])
}

fn transfer(deal: &Deal, facts: &Facts, command: &Transfer) -> Result<Vec<Event>, Rejection> {
    check_open(deal)?;
    if command.pipeline == deal.pipeline {
        return Err(Rejection::SamePipeline);
    }
    let pipeline = facts.pipeline("pipeline", command.pipeline)?;
    if pipeline.archived {
        return Err(Rejection::PipelineArchived);
    }
    let stage = stage_or_first(pipeline, command.stage.as_ref())?;
    check_required(deal, &stage.required_fields)?;
    let from = Place { pipeline: deal.pipeline, stage: deal.stage.clone() };
    let to = Place { pipeline: command.pipeline, stage: stage.slug.clone() };
    Ok(vec![Transferred { from, to }.into()])
}

fn change(deal: &Deal, facts: &Facts, change: &Change) -> Result<Vec<Event>, Rejection> {
    let mut events: Vec<Event> = Vec::new();
    if let Some(to) = change.title.as_ref().filter(|to| **to != deal.title) {
        events.push(TitleChanged { from: deal.title.clone(), to: to.clone() }.into());
    }
    if let Some(to) = change.customer.change(deal.customer.as_ref()) {
        to.map(|customer| facts.customer(customer)).transpose()?;
        events.push(CustomerLinked { from: deal.customer, to }.into());
    }
    if let Some(to) = change.owner.change(deal.owner.as_ref()) {
        to.map(|owner| facts.active_user("owner", owner)).transpose()?;
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
        to.map(|amount| check_currency(facts, Some(deal), amount)).transpose()?;
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
    for (field, patch) in &change.fields {
        if let Patch::Set(value) = patch {
            fields::check(facts.settings(), FieldOwner::Deal, field, value)?;
        }
        let from = deal.fields.get(field).cloned();
        if let Some(to) = patch.change(from.as_ref()) {
            events.push(FieldSet { field: field.clone(), from, to }.into());
        }
    }
    if !events.is_empty() {
        facts.may_change_closed(deal.outcome)?;
    }
    Ok(events)
}

fn check_open(deal: &Deal) -> Result<(), Rejection> {
    match deal.outcome {
        None => Ok(()),
        Some(was) => Err(Rejection::DealClosed { was }),
    }
}

/// Days of four digits: those sort as text as they do in time.
fn check_day(day: NaiveDate) -> Result<(), Rejection> {
    if (1..=9_999).contains(&day.year()) {
        return Ok(());
    }
    Err(Rejection::DayOutOfRange { field: "expected_close" })
}

fn stage_or_first<'a>(pipeline: &'a Pipeline, wanted: Option<&Slug>) -> Result<&'a Stage, Rejection> {
    match wanted {
        Some(slug) => pipeline.open_stage(slug),
        None => pipeline.open_stages().next().ok_or(Rejection::NoStageLeft),
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
fn check_currency(facts: &Facts, deal: Option<&Deal>, amount: Money) -> Result<(), Rejection> {
    let found = amount.currency();
    if let Some(own) = deal.and_then(|deal| deal.currency).filter(|own| *own != found) {
        return Err(Rejection::OtherCurrency { deal: own, found });
    }
    match facts.settings().reporting_currency {
        None => Err(Rejection::NoReportingCurrency),
        Some(accepted) if accepted != found => Err(Rejection::CurrencyWithoutRate { found, accepted }),
        Some(_) => Ok(()),
    }
}
