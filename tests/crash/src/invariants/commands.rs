//! Every acknowledged command is in the log once and whole, every other one whole or not at all, and nothing else is there.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::{
    broken::{Broken, Result, ensure},
    chance::Chance,
    client::{Answer, Client, Done},
    cluster::Cluster,
    load::call,
    log::Written,
    witness::{Call, History, Sent, Witness},
};

/// Of those that were acknowledged before, so many are sent once more.
const AGAIN: u64 = 40;
/// How often a command is sent again where the server is busy.
const ATTEMPTS_MAX: usize = 20;

impl Sent {
    /// What it came to, if it was acknowledged and appended anything.
    pub(crate) fn appended(&self) -> Option<&Done> {
        self.calls.iter().find_map(|call| match &call.answer {
            Answer::Done(done) if done.events > 0 => Some(done),
            _ => None,
        })
    }

    /// What it came to, if that was acknowledged: events, or that there was nothing to do.
    fn outcome(&self) -> Option<&Done> {
        self.calls.iter().find_map(|call| match &call.answer {
            Answer::Done(done) => Some(done),
            _ => None,
        })
    }

    /// Whether all who sent it were told that nothing was written.
    fn was_denied(&self) -> bool {
        let denied = |answer: &Answer| matches!(answer, Answer::Unknown(text) if text.contains("\"unavailable\""));
        self.calls.iter().all(|call| denied(&call.answer))
    }

    /// Whether nobody knows what came of it.
    fn is_open(&self) -> bool {
        self.calls.iter().all(|call| matches!(call.answer, Answer::Unknown(_)))
    }
}

/// Every acknowledged command is where it was said to be, and no command is there twice or in part.
pub(super) fn check(written: &[Written], history: &History) -> Result<()> {
    for sent in &history.commands {
        one_outcome(sent)?;
        if let Some(done) = sent.appended() {
            is_there(written, sent, done)?;
        }
    }
    // An event of a command that is elsewhere too would be of a command that is there twice.
    let mut last: HashMap<&str, u64> = HashMap::new();
    for Written { event, .. } in written {
        let before = last.insert(&event.command_id, event.position);
        ensure!(
            before.is_none_or(|before| before + 1 == event.position),
            "position {}: its command {} has events elsewhere too",
            event.position,
            event.command_id
        );
    }
    Ok(())
}

/// Whoever was told that the command was carried out was told the same. (Two who sent it at the same time may both be told
/// that it was done just then: where a commit fails, what became of it is looked up, and the other may have done it.)
fn one_outcome(sent: &Sent) -> Result<()> {
    let Some(first) = sent.outcome() else { return Ok(()) };
    let same = sent.calls.iter().all(|call| match &call.answer {
        Answer::Done(done) => Done { replayed: first.replayed, ..done.clone() } == *first,
        _ => true,
    });
    ensure!(same, "one command has several outcomes: {sent:?}");
    // From the moment that somebody knows it, everybody is told.
    let known = sent.calls.iter().filter(|call| matches!(&call.answer, Answer::Done(_)));
    let known = known.map(|call| call.returned).min().unwrap_or_default();
    let refused = |call: &&Call| matches!(&call.answer, Answer::Refused { .. });
    let forgotten = sent.calls.iter().find(|call| call.called > known && refused(call));
    ensure!(forgotten.is_none(), "a command was carried out, and then not known: {sent:?}");
    Ok(())
}

/// Its events stand up to where the answer said, and tell what was asked for.
fn is_there(written: &[Written], sent: &Sent, done: &Done) -> Result<()> {
    let events = of(written, done).ok_or_else(|| Broken(format!("acknowledged, and lost: {sent:?}")))?;
    let id = events.first().map(|first| &first.event.command_id);
    let first_version = (done.version + 1).checked_sub(done.events);
    for (Written { event, .. }, version) in events.iter().zip(first_version.unwrap_or(0)..) {
        ensure!(
            event.stream == done.stream && event.version == version && Some(&event.command_id) == id,
            "{event:?} stands in the place of {sent:?}"
        );
    }
    let (kind, field) = sent.command.mark();
    let key = Value::from(sent.command.key.as_str());
    let told = events.iter().filter(|written| written.event.kind == kind);
    let told = told.filter(|written| written.event.data.get(field) == Some(&key)).count();
    ensure!(told == 1, "{events:?} do not tell {sent:?}");
    Ok(())
}

fn of<'a>(written: &'a [Written], done: &Done) -> Option<&'a [Written]> {
    let last = usize::try_from(done.position).ok()?;
    let first = last.checked_sub(usize::try_from(done.events).ok()?)?;
    written.get(first..last)
}

/// Beside the founding of the company there is nothing but what was acknowledged: once every command has an outcome, an
/// event of none of them is one that nobody sent, or half of one that failed.
pub(super) fn nothing_else(written: &[Written], history: &History) -> Result<()> {
    let mut told: HashSet<u64> = HashSet::new();
    for done in history.commands.iter().filter_map(Sent::appended) {
        told.extend(done.position + 1 - done.events..=done.position);
    }
    let founding = |kind: &str| ["settings.", "pipeline."].iter().any(|prefix| kind.starts_with(prefix));
    let other =
        written.iter().find(|written| !told.contains(&written.event.position) && !founding(&written.event.kind));
    match other {
        Some(Written { event, .. }) => Err(Broken(format!("nobody's event: {event:?}"))),
        None => Ok(()),
    }
}

/// Sends every command again that nobody knows the outcome of, and some that are known, each twice: the second time it says
/// what the first said, nothing to do included.
pub(super) async fn retry(cluster: &Cluster, client: &Client, witness: &Witness, chance: &mut Chance) -> Result<()> {
    let commands = witness.history().commands;
    let open = commands.iter().enumerate().filter(|(_, sent)| sent.is_open());
    let known: Vec<_> = commands.iter().enumerate().filter(|(_, sent)| sent.outcome().is_some()).collect();
    let again: Vec<_> = (0..AGAIN).filter_map(|_| chance.pick(&known).copied()).collect();
    for (number, sent) in open.chain(again) {
        let first = settle(cluster, client, witness, chance, number, sent).await?;
        let written = matches!(&first, Answer::Done(done) if done.replayed);
        ensure!(!(written && sent.was_denied()), "nothing was written, it was said, and it was: {sent:?} {first:?}");
        let second = settle(cluster, client, witness, chance, number, sent).await?;
        let expected = match first {
            Answer::Done(done) => Answer::Done(Done { replayed: true, ..done }),
            refused => refused,
        };
        ensure!(second == expected, "{sent:?} was answered with {expected:?} and then with {second:?}");
    }
    Ok(())
}

/// Sends a command until it has an answer.
async fn settle(
    cluster: &Cluster,
    client: &Client,
    witness: &Witness,
    chance: &mut Chance,
    number: usize,
    sent: &Sent,
) -> Result<Answer> {
    let mut answer = Answer::Unknown("there is no server".into());
    for _ in 0..ATTEMPTS_MAX {
        if let Some(node) = chance.pick(&cluster.now()) {
            answer = call(client, witness, number, &sent.command, *node).await?;
        }
        if !matches!(answer, Answer::Unknown(_)) {
            return Ok(answer);
        }
    }
    Err(Broken(format!("{sent:?} has no answer from servers that nothing is wrong with: {answer:?}")))
}
