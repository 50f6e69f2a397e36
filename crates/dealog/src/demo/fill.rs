//! Sending a plan to the log.
//!
//! Commands go in waves: as many at once as follow each other in the plan without one needing another's outcome. A wave is
//! decided on one state of the log and queued in order, so it is appended in order and shares its commits. All that the
//! log holds of a plan is therefore its beginning, up to where an earlier filling was interrupted.

use std::{collections::HashSet, sync::Arc};

use chrono::{Days, NaiveDate};
use dealog_commands::{Commands, Limits, Request};
use dealog_domain::{State, reads};
use dealog_events::{Category, Position, Timestamp};
use dealog_store::EventStore;
use indicatif::ProgressBar;

use super::{DemoError, Filled, Sample, Size, Step, calendar::SPAN_DAYS, time_zone};

/// Commands about which the log is asked at once whether it holds them.
const CHUNK_COMMANDS: usize = 1_000;
/// Commands that are queued together: no more than go into one transaction.
const WAVE_COMMANDS_MAX: usize = 256;

/// Fills a log with the sample of this seed until this day, or goes on with the sample that it holds: that one keeps the
/// day until which it was begun. Any other log is left as it is.
///
/// `progress` counts commands; to end it is the caller's business.
pub(crate) async fn fill(
    store: Arc<dyn EventStore>,
    seed: u64,
    until: NaiveDate,
    progress: &ProgressBar,
) -> Result<Filled, DemoError> {
    fill_with(store, Sample { seed, until, size: Size::default() }, progress).await
}

/// The same with a sample of any size.
pub(super) async fn fill_with(
    store: Arc<dyn EventStore>,
    sample: Sample,
    progress: &ProgressBar,
) -> Result<Filled, DemoError> {
    let until = begun_until(store.as_ref()).await?.unwrap_or(sample.until);
    let plan = Sample { until, ..sample }.plan()?;
    check_unoccupied(store.as_ref(), &plan).await?;
    let sent = send(&store, &plan, progress).await?;
    Ok(Filled { until, events: sent.events, commands: plan.len(), already_there: sent.commands == 0 })
}

/// Until when the sample goes that the log holds, if it holds one: a sample begins so many days before its end.
async fn begun_until(store: &dyn EventStore) -> Result<Option<NaiveDate>, DemoError> {
    let first = store.read(Position::ZERO, 1, &[]).await?;
    let zone = time_zone()?;
    Ok(first.first().and_then(|event| zone.day_of(event.recorded_at).checked_add_days(Days::new(SPAN_DAYS.into()))))
}

/// A log with events must hold the plan's first command; then they are the plan's, or came on top of it.
async fn check_unoccupied(store: &dyn EventStore, plan: &[Step]) -> Result<(), DemoError> {
    let empty = store.head().await?.position == Position::ZERO;
    let first: Vec<_> = plan.iter().take(1).map(|step| step.request.meta.command_id).collect();
    if empty || !store.remembered(&first).await?.is_empty() { Ok(()) } else { Err(DemoError::Occupied) }
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) commands: usize,
    pub(super) events: u64,
}

/// Sends what the log does not hold yet.
pub(super) async fn send(
    store: &Arc<dyn EventStore>,
    plan: &[Step],
    progress: &ProgressBar,
) -> Result<Sent, DemoError> {
    let mut commands = handlers(store);
    progress.set_length(plan.len() as u64);
    let mut sent = Sent::default();
    for chunk in plan.chunks(CHUNK_COMMANDS) {
        let ids: Vec<_> = chunk.iter().map(|step| step.request.meta.command_id).collect();
        let held: HashSet<_> = store.remembered(&ids).await?.into_iter().map(|known| known.command_id).collect();
        progress.inc(held.len() as u64);
        let missing: Vec<_> = chunk.iter().filter(|step| !held.contains(&step.request.meta.command_id)).collect();
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            let (wave, later) = rest.split_at(wave_length(rest));
            rest = later;
            let (events, overtaken) = send_wave(&commands, wave).await?;
            if overtaken {
                // What these handlers keep in memory is older than the log, and to find that out would cost the order.
                commands = handlers(store);
            }
            sent.events += events;
            sent.commands += wave.len();
            progress.inc(wave.len() as u64);
        }
    }
    Ok(sent)
}

/// Each command brings its own instant; one that did not would lie in the past of all others.
fn handlers(store: &Arc<dyn EventStore>) -> Commands {
    Commands::new(Arc::clone(store), Arc::new(|| Timestamp::MIN), Limits::default())
}

/// The events appended, and whether some of them were still on their way from a filling that was cut off.
async fn send_wave(commands: &Commands, wave: &[&Step]) -> Result<(u64, bool), DemoError> {
    let requests: Vec<Request> = wave.iter().map(|step| step.request.clone()).collect();
    let (mut events, mut overtaken) = (0, false);
    for (step, outcome) in wave.iter().zip(commands.execute_in_order(&requests).await) {
        let key = || step.name.clone();
        let outcome = outcome.map_err(|source| DemoError::Command { key: key(), source })?;
        if outcome.events == 0 {
            return Err(DemoError::Needless { key: key() });
        }
        overtaken |= outcome.replayed;
        events += if outcome.replayed { 0 } else { u64::from(outcome.events) };
    }
    Ok((events, overtaken))
}

/// How many of these commands can be decided before the first of them is appended: at least one.
fn wave_length(steps: &[&Step]) -> usize {
    let mut changed = HashSet::new();
    let mut rules_changed = false;
    let fits = steps.iter().take(WAVE_COMMANDS_MAX).take_while(|step| {
        let Request { stream, command, meta } = &step.request;
        let needed = reads(&State::empty(stream.category()), meta.standing, command);
        let independent = !changed.contains(stream) && changed.is_disjoint(&needed.into_iter().collect());
        let fits = independent && !rules_changed;
        changed.insert(*stream);
        // Which pipeline a deal is in only its state tells, so nothing is decided until a change of one is appended.
        rules_changed |= matches!(stream.category(), Category::Pipeline | Category::Settings);
        fits
    });
    fits.count().max(1)
}
