//! A question as a caller puts it.

use dealog_events::{Money, Position, When};
use dealog_figures::{AmountRange, Filter, Grouping, Moment};

use crate::error::Wrong;

/// What was known, as a caller says it: a position of the log; or an instant or local day, which mean the last position that had
/// been recorded by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAt {
    /// Up to this position.
    Position(Position),
    /// By then.
    When(When),
}

/// A question as a caller puts it: as of when, as known when, about which deals, in which groups.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Wait until this position is in the answer.
    pub min_position: Option<Position>,
    /// Things as they were then; now if absent.
    pub as_of: Option<When>,
    /// Only what had been recorded by then; all if absent.
    pub known_at: Option<KnownAt>,
    /// Which deals, but for their amounts.
    pub filter: Filter,
    /// Deals worth at least this: a decimal number of the reporting currency.
    pub amount_from: Option<String>,
    /// Deals worth at most this.
    pub amount_to: Option<String>,
    /// In which groups.
    pub grouping: Grouping,
}

/// Amounts of the reporting currency, as callers write them.
pub(crate) fn amounts(
    from: Option<&str>,
    to: Option<&str>,
    moment: impl FnOnce() -> Result<Moment, Wrong>,
) -> Result<AmountRange, Wrong> {
    if from.is_none() && to.is_none() {
        return Ok(AmountRange::default());
    }
    let currency = moment()?.currency;
    let minor = |field: &'static str, text: Option<&str>| {
        let Some(text) = text else { return Ok::<_, Wrong>(None) };
        let unset = "amounts are in the reporting currency, and none is set: set one with PATCH /v1/settings";
        let currency = currency.ok_or_else(|| Wrong::field(field, unset))?;
        let money = Money::parse(text, currency)
            .map_err(|error| Wrong::Malformed { field: field.into(), message: error.to_string() })?;
        Ok(Some(money.minor()))
    };
    let range = AmountRange { from: minor("amount_from", from)?, to: minor("amount_to", to)? };
    if range.from.zip(range.to).is_some_and(|(from, to)| from > to) {
        return Err(Wrong::field("amount_to", "the range ends before it begins: exchange its ends"));
    }
    Ok(range)
}
