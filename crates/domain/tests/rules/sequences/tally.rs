//! What a run of sequences reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use dealog_domain::Rejection;
use dealog_events::{Event, event_types};

use crate::rejections;

#[derive(Default)]
pub(super) struct Tally {
    /// Commands that led to events.
    accepted: u32,
    /// Commands that found all as they asked.
    without_effect: u32,
    /// Commands that were refused, by the code of the refusal.
    refused: BTreeMap<&'static str, u32>,
    /// Events by type.
    events: BTreeMap<&'static str, u32>,
}

impl Tally {
    pub(super) fn count(&mut self, decision: &Result<Vec<Event>, Rejection>) {
        match decision {
            Ok(events) if events.is_empty() => self.without_effect += 1,
            Ok(events) => {
                self.accepted += 1;
                for event in events {
                    *self.events.entry(event.event_type().0).or_default() += 1;
                }
            }
            Err(rejection) => *self.refused.entry(rejection.details().code).or_default() += 1,
        }
    }

    fn commands(&self) -> u32 {
        self.accepted + self.without_effect + self.refused.values().sum::<u32>()
    }

    #[track_caller]
    pub(super) fn assert_reaches_everything(&self) {
        let types: BTreeSet<_> = event_types().map(|event_type| event_type.name).collect();
        assert_eq!(self.events.keys().copied().collect::<BTreeSet<_>>(), types, "event types reached, and all");
        let codes: BTreeSet<_> = rejections::every().map(|rejection| rejection.details().code).collect();
        assert_eq!(self.refused.keys().copied().collect::<BTreeSet<_>>(), codes, "refusals reached, and all");
        assert!(self.accepted * 3 >= self.commands(), "too few commands are accepted\n{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands = self.commands();
        let percent = |count: u32| f64::from(count) * 100.0 / f64::from(commands);
        writeln!(f, "{commands} commands")?;
        writeln!(f, "{:>8} {:4.1} % accepted", self.accepted, percent(self.accepted))?;
        writeln!(f, "{:>8} {:4.1} % without effect", self.without_effect, percent(self.without_effect))?;
        for (code, count) in &self.refused {
            writeln!(f, "{count:>8} {:4.1} % refused: {code}", percent(*count))?;
        }
        for (event_type, count) in &self.events {
            writeln!(f, "{count:>8} {event_type}")?;
        }
        Ok(())
    }
}
