//! The rules of a deal once more, as far as the workload goes: what a command must come to, at each state of its deal.

use serde_json::Value;

use crate::{
    log::Event,
    workload::{Ask, Command},
};

/// A deal at a version of its stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Deal {
    pub(crate) version: u64,
    /// Zero before the first event.
    pub(crate) position: u64,
    pub(crate) title: Value,
    pub(crate) stage: Value,
    /// `open`, `won` or `lost`.
    pub(crate) status: &'static str,
    pub(crate) amount: Value,
    pub(crate) source: Value,
}

/// What a command comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Events of these types.
    Appends(Vec<&'static str>),
    /// All is as it was asked for.
    Nothing,
    /// A problem with this code.
    Refused(&'static str),
}

impl Deal {
    pub(crate) fn evolve(&self, event: &Event) -> Self {
        let mut deal = Self { version: event.version, position: event.position, ..self.clone() };
        let data = |name: &str| event.data.get(name).cloned().unwrap_or(Value::Null);
        match event.kind.as_str() {
            "deal.created" => {
                (deal.title, deal.stage) = (data("title"), data("stage"));
                (deal.amount, deal.source) = (data("amount"), data("source"));
                deal.status = "open";
            }
            "deal.stage_moved" => deal.stage = data("to"),
            "deal.won" => deal.status = "won",
            "deal.lost" => deal.status = "lost",
            "deal.reopened" => (deal.status, deal.stage) = ("open", data("stage")),
            "deal.title_changed" => deal.title = data("to"),
            "deal.source_changed" => deal.source = data("to"),
            "deal.amount_changed" => deal.amount = data("to"),
            _ => {}
        }
        deal
    }

    pub(crate) fn decide(&self, command: &Command) -> Verdict {
        if command.if_match.is_some_and(|seen| seen != self.version) {
            return Verdict::Refused("stale_version");
        }
        let open = self.status == "open";
        match &command.ask {
            Ask::Create { .. } => Verdict::Appends(vec!["deal.created"]),
            Ask::Reopen if open => Verdict::Refused("deal_open"),
            Ask::Reopen => Verdict::Appends(vec!["deal.reopened"]),
            Ask::Change { source, amount } => self.change(source, amount.as_ref()),
            _ if !open => Verdict::Refused("deal_closed"),
            Ask::Move { stage } if self.stage == *stage => Verdict::Nothing,
            Ask::Move { .. } => Verdict::Appends(vec!["deal.stage_moved"]),
            Ask::Win { amount: None } if self.amount.is_null() => Verdict::Refused("amount_missing"),
            Ask::Win { amount: Some(amount) } if *amount != self.amount => {
                Verdict::Appends(vec!["deal.amount_changed", "deal.won"])
            }
            Ask::Win { .. } => Verdict::Appends(vec!["deal.won"]),
            Ask::Lose => Verdict::Appends(vec!["deal.lost"]),
        }
    }

    fn change(&self, source: &str, amount: Option<&Value>) -> Verdict {
        let mut types = vec!["deal.title_changed"];
        if self.source != source {
            types.push("deal.source_changed");
        }
        if amount.is_some_and(|amount| *amount != self.amount) {
            if self.status != "open" {
                return Verdict::Refused("deal_closed");
            }
            types.push("deal.amount_changed");
        }
        Verdict::Appends(types)
    }
}
