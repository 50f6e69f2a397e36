//! The steps that count, in the order of the times at which they count.
//!
//! The log says what was recorded when. Some steps are about others: an undo takes a command back, and a closing has a date of its
//! own, which may be corrected like its amount, its reason and whose it is. Here they are carried out, so that all who read steps
//! find a course in which nothing was undone or corrected. Those of one question are a beginning of what was recorded, and only what
//! that beginning knows is carried out.

use std::borrow::Cow;

use crate::step::{Change, Deal, Step};

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
    Cow::Owned(counted.in_order())
}

struct Counted<'d> {
    deal: &'d Deal,
    steps: Vec<Step>,
    /// The index of the present closing.
    closing: Option<usize>,
    /// The date of the closing that comes next.
    date: Option<i64>,
}

impl Counted<'_> {
    fn add(&mut self, step: Step) {
        let closing = self.closing.and_then(|closing| self.steps.get_mut(closing));
        match (step.change, closing) {
            (Change::ClosedAt(at), Some(closing)) => closing.at = at.get(),
            (Change::ClosedAt(at), None) => self.date = Some(at.get()),
            (Change::LostBecause { counted, reason }, Some(closing)) => {
                if let Change::Lost { competitor, .. } = closing.change {
                    closing.change = Change::Lost { counted, reason, competitor };
                }
            }
            // The amount is the deal's, too, so it stays when the deal is reopened.
            (Change::ClosedFor(amount), Some(_)) => self.before_closing(Change::Amount(Some(amount))),
            (Change::ClosedBy(owner), Some(_)) => {
                let own = self.owner();
                self.before_closing(Change::Owner(owner));
                self.after_closing(Change::Owner(own));
            }
            (Change::ClosedBy(_) | Change::ClosedFor(_) | Change::LostBecause { .. }, None)
            | (Change::Undone(..), _) => {}
            (change, _) => {
                match change {
                    Change::Won | Change::Lost { .. } => self.closing = Some(self.steps.len()),
                    Change::Reopened(_) => self.closing = None,
                    _ => {}
                }
                let at = if self.closing == Some(self.steps.len()) { self.date.take() } else { None };
                self.steps.push(Step { at: at.unwrap_or(step.at), ..step });
            }
        }
    }

    /// Who was responsible when the deal was closed.
    fn owner(&self) -> Option<crate::names::Name> {
        let before = self.steps.get(..self.closing.unwrap_or(0)).unwrap_or_default();
        let assigned = before.iter().rev().find_map(|step| match step.change {
            Change::Owner(owner) => Some(owner),
            _ => None,
        });
        assigned.unwrap_or(self.deal.owner)
    }

    fn before_closing(&mut self, change: Change) {
        if let Some(closing) = self.closing
            && let Some(step) = self.steps.get(closing).copied()
        {
            self.steps.insert(closing, Step { change, ..step });
            self.closing = Some(closing + 1);
        }
    }

    fn after_closing(&mut self, change: Change) {
        if let Some(closing) = self.closing
            && let Some(step) = self.steps.get(closing).copied()
        {
            self.steps.insert(closing + 1, Step { change, ..step });
        }
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
