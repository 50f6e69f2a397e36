//! What the workers ask for: commands on a few deals that all of them share, and on deals of their own.
//!
//! Each command carries its key where its event will tell it (a title, a reason, a contract), so that it can be said of
//! every event of the log which command made it, and of every command whether its events are there.

use serde_json::{Value, json};

use crate::chance::Chance;

/// Stages of the pipeline that a company starts with.
const STAGES: [&str; 6] = ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "contract"];
const SOURCES: [&str; 3] = ["Fair", "Website", "Referral"];

/// A command for one deal. The same one is sent again under the same key.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) key: String,
    /// The stream, `deal-…`; none where the deal is to be created.
    pub(crate) stream: Option<String>,
    pub(crate) ask: Ask,
    pub(crate) if_match: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Create { amount: Option<Value>, source: Option<String> },
    Move { stage: &'static str },
    Win { amount: Option<Value> },
    Lose,
    Reopen,
    Change { source: &'static str, amount: Option<Value> },
}

impl Command {
    pub(crate) fn create(key: String, chance: &mut Chance) -> Self {
        Self {
            key,
            stream: None,
            ask: Ask::Create { amount: chance.percent(70).then(|| money(chance)), source: None },
            if_match: None,
        }
    }

    /// A deal that its source tells from all others.
    pub(crate) fn create_from(key: String, source: &str) -> Self {
        Self { key, stream: None, ask: Ask::Create { amount: None, source: Some(source.to_owned()) }, if_match: None }
    }

    /// Any command for a deal. About a third does not fit the deal's state when it comes, and is refused or without effect.
    pub(crate) fn change(key: String, stream: &str, version: Option<u64>, chance: &mut Chance) -> Self {
        let ask = match chance.weighted([35, 10, 10, 20, 25]) {
            0 => Ask::Move { stage: chance.pick(&STAGES).copied().unwrap_or_default() },
            1 => Ask::Win { amount: chance.percent(50).then(|| money(chance)) },
            2 => Ask::Lose,
            3 => Ask::Reopen,
            _ => {
                let amount = chance.percent(40).then(|| money(chance));
                Ask::Change { source: chance.pick(&SOURCES).copied().unwrap_or_default(), amount }
            }
        };
        let if_match = version.filter(|_| chance.percent(20));
        Self { key, stream: Some(stream.to_owned()), ask, if_match }
    }

    pub(crate) fn method(&self) -> &'static str {
        if matches!(self.ask, Ask::Change { .. }) { "PATCH" } else { "POST" }
    }

    pub(crate) fn path(&self) -> String {
        let deal = self.stream.as_deref().and_then(|stream| stream.strip_prefix("deal-")).unwrap_or_default();
        match self.ask {
            Ask::Create { .. } => "/v1/deals".into(),
            Ask::Move { .. } => format!("/v1/deals/{deal}/move"),
            Ask::Win { .. } => format!("/v1/deals/{deal}/win"),
            Ask::Lose => format!("/v1/deals/{deal}/lose"),
            Ask::Reopen => format!("/v1/deals/{deal}/reopen"),
            Ask::Change { .. } => format!("/v1/deals/{deal}"),
        }
    }

    pub(crate) fn body(&self) -> Value {
        let key = &self.key;
        let mut body = match &self.ask {
            Ask::Create { source, .. } => {
                json!({"title": key, "pipeline": dealog_tests::DEFAULT_PIPELINE, "source": source})
            }
            Ask::Move { stage } => json!({"stage": stage, "reason": key}),
            Ask::Win { .. } => json!({"contract": key}),
            Ask::Lose => json!({"reason": "price", "competitor": key}),
            Ask::Reopen => json!({"reason": key}),
            Ask::Change { source, .. } => json!({"title": key, "source": source}),
        };
        let (Ask::Create { amount, .. } | Ask::Win { amount } | Ask::Change { amount, .. }) = &self.ask else {
            return body;
        };
        if let (Some(amount), Some(body)) = (amount, body.as_object_mut()) {
            body.insert("amount".into(), amount.clone());
        }
        body
    }

    /// The event that tells the command's key, and where in its data.
    pub(crate) fn mark(&self) -> (&'static str, &'static str) {
        match self.ask {
            Ask::Create { .. } => ("deal.created", "title"),
            Ask::Move { .. } => ("deal.stage_moved", "reason"),
            Ask::Win { .. } => ("deal.won", "contract"),
            Ask::Lose => ("deal.lost", "competitor"),
            Ask::Reopen => ("deal.reopened", "reason"),
            Ask::Change { .. } => ("deal.title_changed", "to"),
        }
    }
}

/// Few amounts, so that some are what the deal has already.
fn money(chance: &mut Chance) -> Value {
    json!({"amount": format!("{}00.00", chance.within(1, 5)), "currency": "EUR"})
}
