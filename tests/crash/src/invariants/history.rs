//! What everybody was told fits one order of all that happened, in which each thing happened between its call and its return.
//!
//! The log claims to be that order. So what returned before something else was called stands before it; and a refusal, or
//! "nothing to do", is right for some state that the deal had between call and return. Since a refusal changes nothing, each
//! can be looked at by itself, and that is all of linearizability.

use std::{collections::HashMap, time::Duration};

use crate::{
    broken::{Broken, Result, ensure},
    client::{Answer, Done},
    deal::{Deal, Verdict},
    log::Written,
    witness::{Call, History, Read, Sent},
};

/// A command in the log, and when it certainly had not and certainly had happened.
struct Happened<'a> {
    sent: &'a Sent,
    called: Duration,
    returned: Duration,
    position: u64,
    events: u64,
    version: u64,
}

/// A stream as the log tells it.
#[derive(Default)]
struct Course<'a> {
    /// By version, from zero.
    states: Vec<Deal>,
    happened: Vec<&'a Happened<'a>>,
}

pub(super) fn check(written: &[Written], history: &History) -> Result<()> {
    let mut happened: Vec<Happened<'_>> = history.commands.iter().filter_map(of).collect();
    happened.sort_by_key(|happened| happened.position);
    in_order(&happened)?;
    let courses = courses(written, &happened);
    for happened in &happened {
        is_right(happened, &courses)?;
    }
    for sent in &history.commands {
        for call in &sent.calls {
            was_right(sent, call, &courses)?;
        }
    }
    history.reads.iter().try_for_each(|read| was_so(read, &courses))
}

fn of(sent: &Sent) -> Option<Happened<'_>> {
    let done = sent.appended()?;
    let told = |call: &&Call| matches!(&call.answer, Answer::Done(done) if done.events > 0);
    Some(Happened {
        sent,
        called: sent.calls.iter().map(|call| call.called).min()?,
        returned: sent.calls.iter().filter(told).map(|call| call.returned).min()?,
        position: done.position,
        events: done.events,
        version: done.version,
    })
}

/// Of all streams together: the log is one order.
fn in_order(happened: &[Happened<'_>]) -> Result<()> {
    let mut latest: Option<&Happened<'_>> = None;
    for happened in happened {
        if let Some(latest) = latest {
            let (earlier, later) = (latest.sent, happened.sent);
            ensure!(
                happened.returned >= latest.called,
                "{earlier:?} was sent after {later:?} had been acknowledged, and stands before it"
            );
        }
        if latest.is_none_or(|latest| latest.called < happened.called) {
            latest = Some(happened);
        }
    }
    Ok(())
}

fn courses<'a>(written: &'a [Written], happened: &'a [Happened<'a>]) -> HashMap<&'a str, Course<'a>> {
    let mut courses: HashMap<&str, Course<'_>> = HashMap::new();
    for Written { event, .. } in written {
        let states = &mut courses.entry(&event.stream).or_default().states;
        let before = states.last().cloned().unwrap_or_default();
        if states.is_empty() {
            states.push(before.clone());
        }
        states.push(before.evolve(event));
    }
    for happened in happened {
        let stream = happened.sent.appended().map(|done| done.stream.as_str()).unwrap_or_default();
        courses.entry(stream).or_default().happened.push(happened);
    }
    courses
}

impl Course<'_> {
    fn state(&self, version: u64) -> Option<&Deal> {
        self.states.get(usize::try_from(version).ok()?)
    }

    /// The states that the stream may have had within this time.
    fn within(&self, called: Duration, returned: Duration) -> impl Iterator<Item = &Deal> {
        let versions = |which: &dyn Fn(&Happened<'_>) -> bool| {
            self.happened.iter().filter(|happened| which(happened)).map(|happened| happened.version).max().unwrap_or(0)
        };
        let first = versions(&|happened| happened.returned < called);
        let last = versions(&|happened| happened.called < returned);
        (first..=last).filter_map(|version| self.state(version))
    }
}

/// What was appended is what the command comes to at the version before.
fn is_right(happened: &Happened<'_>, courses: &HashMap<&str, Course<'_>>) -> Result<()> {
    let Happened { sent, events, version, .. } = happened;
    let stream = sent.appended().map(|done| done.stream.as_str()).unwrap_or_default();
    let course = courses.get(stream);
    let before = version.checked_sub(*events).and_then(|before| course?.state(before));
    let verdict = before.map(|before| before.decide(&sent.command));
    let types = match &verdict {
        Some(Verdict::Appends(types)) => types.len() as u64,
        _ => 0,
    };
    ensure!(types == *events, "at {before:?} it should come to {verdict:?}: {sent:?}");
    Ok(())
}

/// A refusal, or that there was nothing to do, fits a state that the deal had meanwhile. That there had been nothing to do when
/// the command came before fits one since it was first sent.
fn was_right(sent: &Sent, call: &Call, courses: &HashMap<&str, Course<'_>>) -> Result<()> {
    let verdict = match &call.answer {
        Answer::Refused { code, .. } => Some(code.as_str()),
        Answer::Done(done) if done.events == 0 => None,
        _ => return Ok(()),
    };
    let called = match &call.answer {
        Answer::Done(Done { replayed: true, .. }) => {
            sent.calls.iter().map(|call| call.called).min().unwrap_or_default()
        }
        _ => call.called,
    };
    let course = sent.command.stream.as_deref().and_then(|stream| courses.get(stream));
    let course = course.ok_or_else(|| Broken(format!("refused, of a deal that is not there: {sent:?}")))?;
    let fits = |deal: &Deal| match (deal.decide(&sent.command), verdict) {
        (Verdict::Refused(code), Some(found)) => code == found,
        (Verdict::Nothing, None) => true,
        _ => false,
    };
    if course.within(called, call.returned).any(fits) {
        return Ok(());
    }
    let states: Vec<_> = course.within(called, call.returned).collect();
    Err(Broken(format!(
        "{call:?} fits none of {states:?}, which is all that the deal was meanwhile: {:?}",
        sent.command
    )))
}

/// A read shows the deal as it was at some version, no earlier than asked for and not before it came to be.
fn was_so(read: &Read, courses: &HashMap<&str, Course<'_>>) -> Result<()> {
    let course = courses.get(read.stream.as_str()).ok_or_else(|| Broken(format!("nobody's deal: {read:?}")))?;
    let shown = course.state(read.deal.version);
    ensure!(shown == Some(&read.deal), "{read:?} was shown, and at that version it was {shown:?}");
    let next = course.state(read.deal.version + 1);
    let late = next.filter(|next| next.position <= read.min_position);
    ensure!(late.is_none(), "{read:?} was shown, and there was {late:?} by then");
    let early = course.within(Duration::ZERO, read.returned).any(|deal| deal.version == read.deal.version);
    ensure!(early, "{read:?} was shown before anybody had asked for it");
    Ok(())
}
