//! Undoing a command: everything that it changed is again as it was before.

use dealog_events::{
    Actor, CommandId, Event,
    deal::{DealEvent, Restored, Undone},
};

use super::{Deal, Rejection, Undo, told::Told};
use crate::{
    Facts, Standing,
    facts::{Decision, Recorded},
};

/// Events since that a refusal names.
const SINCE_MAX: usize = 10;

/// Undoes the last command of the stream.
pub(super) fn undo(facts: &Facts, asked: &Undo) -> Decision {
    let history = facts.history();
    let command = history.last().map(|last| last.command).ok_or(Rejection::CreationIsLast)?;
    if let Some(wanted) = asked.command.filter(|wanted| *wanted != command) {
        return Err(not_the_last(facts, wanted));
    }
    let first = history.iter().rposition(|recorded| recorded.command != command).map_or(0, |before| before + 1);
    let (before, undone) = history.split_at(first);
    // The creation of a deal has nothing before it, and what undid something else stays.
    if undone.iter().any(|recorded| matches!(recorded.event, Event::Deal(DealEvent::Undone(_)))) {
        return Err(Rejection::UndoIsLast.into());
    }
    let before = Told::by(before).ok_or(Rejection::CreationIsLast)?;
    let now = Told::by(history).ok_or(Rejection::CreationIsLast)?;
    may_undo(facts.standing(), &before, &now, undone)?;
    let events = undone.iter().map(|recorded| recorded.position).collect();
    let undone = Undone { command, events, restores: restored(&now, &before), reason: asked.reason.clone() };
    Ok(vec![undone.into()])
}

/// What has happened since a command; or that there is no such command on this deal.
fn not_the_last(facts: &Facts, wanted: CommandId) -> crate::Rejection {
    let history = facts.history();
    match history.iter().rposition(|recorded| recorded.command == wanted) {
        None => Rejection::NoSuchCommand { command: wanted }.into(),
        Some(last) => {
            let since = history.iter().skip(last + 1).map(|recorded| recorded.event.event_type().0);
            Rejection::NotTheLast { since: since.take(SINCE_MAX).collect() }.into()
        }
    }
}

/// Refuses to undo what happened to a closed deal, or what closed it, to a caller who changes none of those, unless it was this
/// caller's own slip.
fn may_undo(standing: Standing, before: &Told, now: &Told, undone: &[Recorded]) -> Result<(), Rejection> {
    let Some(was) = now.deal.outcome.or(before.deal.outcome) else { return Ok(()) };
    let own = |recorded: &Recorded| standing.own_deals_of.is_some_and(|user| recorded.actor == Actor::User(user));
    if standing.changes_closed_deals || undone.iter().all(own) {
        Ok(())
    } else {
        Err(Rejection::ClosedNotYours { was })
    }
}

/// What a deal must be given to be again what it was.
fn restored(now: &Told, then: &Told) -> Vec<Restored> {
    // Every attribute is named: a new one must be restored, too.
    let Deal {
        title,
        pipeline: _,
        stage: _,
        outcome: _,
        customer,
        owner,
        amount,
        currency,
        expected_close,
        probability,
        forecast_category,
        source,
        campaign,
        fields,
        duplicate_of: _,
    } = &now.deal;
    let mut restored = Vec::new();
    if now.course != then.course {
        restored.push(Restored::Course { from: now.course.clone(), to: then.course.clone() });
    }
    macro_rules! restore {
        ($($attribute:ident as $variant:ident),+ $(,)?) => {$(
            if *$attribute != then.deal.$attribute {
                restored.push(Restored::$variant { from: $attribute.clone(), to: then.deal.$attribute.clone() });
            }
        )+};
    }
    restore!(
        title as Title,
        customer as Customer,
        owner as Owner,
        amount as Amount,
        currency as Currency,
        expected_close as ExpectedClose,
        probability as Probability,
        forecast_category as ForecastCategory,
        source as Source,
        campaign as Campaign,
    );
    let names = fields.keys().chain(then.deal.fields.keys().filter(|name| !fields.contains_key(*name)));
    for field in names {
        let (from, to) = (fields.get(field), then.deal.fields.get(field));
        if from != to {
            restored.push(Restored::Field { field: field.clone(), from: from.cloned(), to: to.cloned() });
        }
    }
    restored
}
