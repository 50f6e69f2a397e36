//! The visits of a deal: its stays in stages, one after another.

use crate::{
    image::Image,
    names::Name,
    step::{Change, Entry, State, Step},
    walk::DealAt,
};

/// How a stay in a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// By a move to this stage.
    Moved(Name),
    /// By a transfer to another pipeline.
    Transferred,
    /// By a win.
    Won,
    /// By a loss.
    Lost,
}

/// A deal's stay in a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) stage: Name,
    pub(crate) entered_at: i64,
    /// When and how it ended; none while it lasts.
    pub(crate) left: Option<(i64, Left)>,
}

impl Step {
    /// How this step ends a stay in a stage, if it does.
    pub(crate) fn leaves(&self) -> Option<Left> {
        match self.change {
            Change::Moved(entry) => Some(Left::Moved(entry.stage)),
            Change::Transferred(_) => Some(Left::Transferred),
            Change::Won => Some(Left::Won),
            Change::Lost { .. } => Some(Left::Lost),
            _ => None,
        }
    }

    /// The stage that a deal comes into by this step, if any.
    pub(crate) fn enters(&self) -> Option<Entry> {
        match self.change {
            Change::Moved(entry) | Change::Transferred(entry) | Change::Reopened(entry) => Some(entry),
            _ => None,
        }
    }
}

/// The visits of a deal, in order.
pub(crate) fn visits(image: &Image, at: &DealAt<'_>, mut visit: impl FnMut(Visit)) {
    let mut stay = Some((at.deal.stage, at.created_at));
    for step in at.steps(image).iter() {
        if let (Some(how), Some((stage, entered_at))) = (step.leaves(), stay) {
            visit(Visit { stage, entered_at, left: Some((step.at, how)) });
            stay = None;
        }
        if let Some(entry) = step.enters() {
            stay = Some((entry.stage, step.at));
        }
    }
    if let Some((stage, entered_at)) = stay {
        visit(Visit { stage, entered_at, left: None });
    }
}

/// Every state of a deal, in order, each with the step that ended it; after the last none.
pub(crate) fn states(image: &Image, at: &DealAt<'_>, mut visit: impl FnMut(&State, Option<&Step>)) {
    let mut state = at.deal.begun();
    for step in at.steps(image).iter() {
        visit(&state, Some(step));
        state.apply(step);
    }
    visit(&state, None);
}
