//! Sending the commands, in an order that does not depend on where an earlier run was stopped.
//!
//! The items of each part of the plan are taken in chunks, and the steps of a chunk in waves: all first steps, then all
//! second ones. The chunks and waves follow from the plan. A wave is queued whole before its first answer is waited for, and waited for
//! before the next is queued; the log takes appends from the front of its queue, and a transaction wholly or not at all.
//! So what a killed run leaves is a beginning of the sequence of all steps, wherever in a wave it ends, and a run that
//! leaves out exactly the steps that are remembered appends exactly the rest, in the same order.

use std::{
    collections::{HashMap, HashSet},
    vec,
};

use dealog_commands::{CommandError, Commands, Outcome, Request};
use dealog_events::CommandId;
use dealog_store::{AppendError, Fingerprint};
use indicatif::ProgressBar;

use super::{
    ImportError, Options,
    plan::{Item, Step},
    report::{Place, Report},
};

/// Items whose steps are interleaved. More would make fewer and larger commits, and a longer wait for the first ones.
/// Part of the order of the log: with another number, an interrupted import goes on in another order.
const CHUNK_ITEMS: usize = 250;

/// Commands on their way to the log.
pub(super) struct Sending<'c> {
    pub(super) commands: &'c Commands,
    pub(super) options: Options,
    pub(super) report: &'c mut Report,
    pub(super) progress: &'c ProgressBar,
}

impl Sending<'_> {
    /// Sends one part of the plan, a chunk at a time.
    pub(super) async fn send(
        &mut self,
        mut items: impl Iterator<Item = Result<Item, ImportError>>,
    ) -> Result<(), ImportError> {
        loop {
            let chunk = items.by_ref().take(CHUNK_ITEMS).collect::<Result<Vec<Item>, _>>()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let remembered = remembered(self.commands, &chunk).await?;
            note_not_taken(&chunk, &remembered, self.report);
            let steps = chunk.into_iter().map(|item| item.steps.into_iter()).collect();
            let chunk = Chunk { commands: self.commands, steps, remembered, ended: HashSet::new() };
            chunk.send(self.options, self.report, self.progress).await?;
        }
    }
}

struct Chunk<'c> {
    commands: &'c Commands,
    /// What is left of each item.
    steps: Vec<vec::IntoIter<Step>>,
    remembered: HashMap<CommandId, Fingerprint>,
    /// Rows of which a step was refused: those after it would be refused for want of it.
    ended: HashSet<Place>,
}

impl Chunk<'_> {
    async fn send(mut self, options: Options, report: &mut Report, progress: &ProgressBar) -> Result<(), ImportError> {
        loop {
            let wave: Vec<Step> = self.steps.iter_mut().filter_map(Iterator::next).collect();
            if wave.is_empty() {
                return Ok(());
            }
            let length = wave.len() as u64;
            let (places, requests): (Vec<_>, Vec<_>) = self.unsent(wave, report).into_iter().unzip();
            let outcomes = self.commands.execute_in_order(&requests).await;
            for ((place, request), outcome) in places.into_iter().zip(&requests).zip(outcomes) {
                self.note(place, request, outcome, options, report)?;
            }
            progress.inc(length);
        }
    }

    /// What of a wave has not been done before.
    fn unsent(&self, wave: Vec<Step>, report: &mut Report) -> Vec<(Option<Place>, Request)> {
        let mut unsent = Vec::with_capacity(wave.len());
        for Step { request, place } in wave {
            match self.remembered.get(&request.meta.command_id) {
                Some(fingerprint) if *fingerprint == request.meta.fingerprint => report.already_there(place),
                Some(_) => report.differs(place),
                None if place.is_some_and(|place| self.ended.contains(&place)) => {}
                None => unsent.push((place, request)),
            }
        }
        unsent
    }

    fn note(
        &mut self,
        place: Option<Place>,
        request: &Request,
        outcome: Result<Outcome, CommandError>,
        options: Options,
        report: &mut Report,
    ) -> Result<(), ImportError> {
        match (outcome, place) {
            (Ok(Outcome { events: 0, .. } | Outcome { replayed: true, .. }), _) => report.already_there(place),
            (Ok(outcome), _) => report.taken(place, outcome.events),
            // Another import got ahead of this one, with a file that says something else.
            (Err(CommandError::Append(AppendError::FingerprintMismatch(_))), _) => report.differs(place),
            (Err(source), None) if is_refusal(&source) => {
                return Err(ImportError::Setup { what: "the pipeline", source });
            }
            (Err(error), Some(place)) if is_refusal(&error) => {
                self.ended.insert(place);
                let reason = format!("{} was refused: {error}", request.stream);
                let skipped = report.skip(place, None, "", &reason);
                if options.strict {
                    return Err(ImportError::Strict { skipped: Box::new(skipped), events: report.events });
                }
            }
            (Err(source), _) => return Err(ImportError::Command { source, events: report.events }),
        }
        Ok(())
    }
}

/// Whether it is the row's own fault, and not that of a log which cannot be written just now.
fn is_refusal(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::Rejected(_) | CommandError::Append(AppendError::Limit { .. } | AppendError::Malformed(_))
    )
}

/// What the log remembers of the steps of a chunk, asked at once.
async fn remembered(commands: &Commands, chunk: &[Item]) -> Result<HashMap<CommandId, Fingerprint>, ImportError> {
    let steps = chunk.iter().flat_map(|item| &item.steps).map(|step| step.request.meta.command_id);
    let ids: Vec<CommandId> = steps.chain(chunk.iter().filter_map(|item| item.not_taken)).collect();
    let found = commands.store().remembered(&ids).await?;
    Ok(found.into_iter().map(|first| (first.command_id, first.fingerprint)).collect())
}

/// A row may also say that something has not happened which an earlier import was told.
fn note_not_taken(chunk: &[Item], remembered: &HashMap<CommandId, Fingerprint>, report: &mut Report) {
    for item in chunk.iter().filter(|item| item.not_taken.is_some_and(|id| remembered.contains_key(&id))) {
        report.differs(item.steps.first().and_then(|step| step.place));
    }
}
