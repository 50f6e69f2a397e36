//! The visits of a deal: its stays in stages, one after another.

use crate::{
    names::Name,
    resolved::DealAt,
    step::{Change, Deal, State, Step},
};

/// How a stay in a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// By a move to this stage.
    Moved(Name),
    /// By a transfer to this stage of another pipeline.
    Transferred(Name),
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
            Change::Moved(stage) => Some(Left::Moved(stage)),
            Change::Transferred(stage) => Some(Left::Transferred(stage)),
            Change::Won => Some(Left::Won),
            Change::Lost { .. } => Some(Left::Lost),
            _ => None,
        }
    }

    /// The stage that a deal comes into by this step, if any.
    pub(crate) fn enters(&self) -> Option<Name> {
        match self.change {
            Change::Moved(stage) | Change::Transferred(stage) | Change::Reopened(stage) => Some(stage),
            _ => None,
        }
    }
}

/// The visits of a deal, in order, by these of its steps.
pub(crate) fn visits(deal: &Deal, steps: &[Step], mut visit: impl FnMut(Visit)) {
    let mut stay = Some((deal.first.stage, deal.created_at()));
    for step in steps {
        if let (Some(how), Some((stage, entered_at))) = (step.leaves(), stay) {
            visit(Visit { stage, entered_at, left: Some((step.at, how)) });
            stay = None;
        }
        if let Some(stage) = step.enters() {
            stay = Some((stage, step.at));
        }
    }
    if let Some((stage, entered_at)) = stay {
        visit(Visit { stage, entered_at, left: None });
    }
}

/// Every state of a deal, in order, each with the step that ended it; after the last none.
pub(crate) fn states(DealAt { deal, steps, .. }: DealAt<'_>, mut visit: impl FnMut(&State, Option<&Step>)) {
    let mut state = deal.first;
    for step in steps {
        visit(&state, Some(step));
        state.apply(step);
    }
    visit(&state, None);
}
