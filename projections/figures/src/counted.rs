//! The steps that count, in the order of the times at which they count.
//!
//! The log says what was recorded when. Some steps are about others: an undo takes a command back, and a closing has a date of its
//! own, which may be corrected like its amount, its reason and whose it is. Here they are carried out, so that all who read steps
//! find a course in which nothing was undone or corrected. Those of one question are a beginning of what was recorded, and only what
//! that beginning knows is carried out.

use std::borrow::Cow;

use crate::{
    names::Name,
    step::{Amount, Change, Deal, Step},
};

/// What counts of these steps of a deal.
pub(crate) fn counted<'s>(deal: &Deal, steps: &'s [Step]) -> Cow<'s, [Step]> {
    if !steps.iter().any(|step| step.change.is_of_others()) {
        return Cow::Borrowed(steps);
    }
    let undone: Vec<(u32, u32)> = steps
        .iter()
        .filter_map(|step| match step.change {
            Change::Undone(first, last) => Some((first, last)),
            _ => None,
        })
        .collect();
    let stands = |step: &&Step| !undone.iter().any(|(first, last)| (*first..=*last).contains(&step.position));
    let mut counted = Counted { deal, steps: Vec::with_capacity(steps.len()), closing: None, date: None };
    steps.iter().filter(stands).for_each(|step| counted.add(*step));
    counted.settle();
    Cow::Owned(counted.in_order())
}

struct Counted<'d> {
    deal: &'d Deal,
    steps: Vec<Step>,
    /// The present closing.
    closing: Option<Closing>,
    /// The date of the closing that comes next.
    date: Option<i64>,
}

/// A closing that may still be corrected.
struct Closing {
    /// Its index among the steps.
    index: usize,
    /// What it was corrected to be won for.
    amount: Option<Amount>,
    /// The change of owner that makes it whose it was corrected to be.
    owner: Option<Change>,
}

impl Counted<'_> {
    fn add(&mut self, step: Step) {
        match (step.change, &mut self.closing) {
            (Change::ClosedAt(at), None) => self.date = Some(at.get()),
            (Change::ClosedAt(at), Some(closing)) => {
                if let Some(step) = self.steps.get_mut(closing.index) {
                    step.at = at.get();
                }
            }
            (Change::LostBecause { counted, reason }, Some(closing)) => {
                if let Some(Step { change: Change::Lost { counted: is, reason: why, .. }, .. }) =
                    self.steps.get_mut(closing.index)
                {
                    (*is, *why) = (counted, reason);
                }
            }
            (Change::ClosedFor(amount), Some(closing)) => closing.amount = Some(amount),
            (Change::ClosedBy(owner), Some(closing)) => closing.owner = Some(Change::Owner(owner)),
            (Change::ClosedBy(_) | Change::ClosedFor(_) | Change::LostBecause { .. }, None)
            | (Change::Undone(..), _) => {}
            (Change::Won | Change::Lost { .. }, _) => {
                self.closing = Some(Closing { index: self.steps.len(), amount: None, owner: None });
                self.steps.push(Step { at: self.date.take().unwrap_or(step.at), ..step });
            }
            (change, _) => {
                if matches!(change, Change::Reopened(_)) {
                    self.settle();
                }
                self.steps.push(step);
            }
        }
    }

    /// Puts what the present closing was corrected to be right before it, now that its date is settled. The amount stays when the
    /// deal is reopened; whose it is does not.
    fn settle(&mut self) {
        let Some(Closing { index, amount, owner }) = self.closing.take() else { return };
        let Some(closing) = self.steps.get(index).copied() else { return };
        if let Some(owner) = owner {
            let own = Change::Owner(self.owner(index));
            self.steps.insert(index + 1, Step { change: own, ..closing });
            self.steps.insert(index, Step { change: owner, ..closing });
        }
        if let Some(amount) = amount {
            self.steps.insert(index, Step { change: Change::Amount(Some(amount)), ..closing });
        }
    }

    /// Who was responsible before this step.
    fn owner(&self, index: usize) -> Option<Name> {
        let before = self.steps.get(..index).unwrap_or_default();
        let assigned = before.iter().rev().find_map(|step| match step.change {
            Change::Owner(owner) => Some(owner),
            _ => None,
        });
        assigned.unwrap_or(self.deal.owner)
    }

    /// What was recorded before a closing counts no later than it, and what was recorded after it no earlier.
    fn in_order(mut self) -> Vec<Step> {
        let is_closing = |step: &Step| matches!(step.change, Change::Won | Change::Lost { .. });
        let mut latest = i64::MAX;
        for step in self.steps.iter_mut().rev() {
            if is_closing(step) {
                latest = latest.min(step.at);
            }
            step.at = step.at.min(latest);
        }
        let mut earliest = i64::MIN;
        for step in &mut self.steps {
            step.at = step.at.max(earliest);
            earliest = step.at;
        }
        self.steps
    }
}
