//! What the events of a deal's stream tell beyond its state: since when it stands where it stands, and how it was closed. Few rules
//! need this, so it is folded from the history where one does, and not kept with every state.

use dealog_events::{
    Event, Timestamp,
    deal::{Closing, ClosingPart, Course, DealEvent, Lost, Outcome, Restored, Won},
};

use super::Deal;
use crate::{aggregates::Aggregate as _, facts::Recorded};

/// A deal by its history.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Its state.
    pub(super) deal: Deal,
    /// Where it stands, and since when.
    pub(super) course: Course,
    /// When it was created, and each reopening that holds.
    opened: Vec<Timestamp>,
}

impl Told {
    /// What these events tell; none where they do not begin with the deal's creation.
    pub(super) fn by(history: &[Recorded]) -> Option<Self> {
        let deal_events = history.iter().filter_map(|recorded| match &recorded.event {
            Event::Deal(event) => Some((event, recorded.at)),
            _ => None,
        });
        deal_events.fold(None, |told, (event, at)| match told {
            None => Self::begun(event, at),
            Some(told) => Some(told.after(event, at)),
        })
    }

    /// When it was created, or reopened last: it cannot have been closed before.
    pub(super) fn opened_at(&self) -> Timestamp {
        self.opened.last().copied().unwrap_or(Timestamp::MIN)
    }

    fn begun(event: &DealEvent, at: Timestamp) -> Option<Self> {
        let deal = None::<Deal>.evolve(event)?;
        let course = Course { pipeline: deal.pipeline, stage: deal.stage.clone(), entered_at: at, closing: None };
        Some(Self { deal, course, opened: vec![at] })
    }

    fn after(self, event: &DealEvent, at: Timestamp) -> Self {
        let Self { deal: before, mut course, mut opened } = self;
        match event {
            DealEvent::StageMoved(_) | DealEvent::Transferred(_) => course.entered_at = at,
            DealEvent::Reopened(_) => {
                (course.entered_at, course.closing) = (at, None);
                opened.push(at);
            }
            DealEvent::Won(event) => course.closing = Some(won(&before, event)),
            DealEvent::Lost(event) => course.closing = Some(lost(&before, event)),
            DealEvent::ClosingCorrected(event) => {
                if let Some(closing) = &mut course.closing {
                    correct(closing, &event.to);
                }
            }
            DealEvent::Undone(event) => {
                for restored in &event.restores {
                    if let Restored::Course { from, to } = restored {
                        if from.closing.is_none() && to.closing.is_some() {
                            opened.pop();
                        }
                        course = to.clone();
                    }
                }
            }
            DealEvent::Created(_)
            | DealEvent::TitleChanged(_)
            | DealEvent::AmountChanged(_)
            | DealEvent::ExpectedCloseChanged(_)
            | DealEvent::OwnerAssigned(_)
            | DealEvent::ProbabilitySet(_)
            | DealEvent::ProbabilityCleared(_)
            | DealEvent::ForecastCategorySet(_)
            | DealEvent::CustomerLinked(_)
            | DealEvent::SourceChanged(_)
            | DealEvent::CampaignChanged(_)
            | DealEvent::FieldSet(_) => {}
        }
        let deal = Some(before.clone()).evolve(event).unwrap_or(before);
        (course.pipeline, course.stage) = (deal.pipeline, deal.stage.clone());
        Self { deal, course, opened }
    }
}

fn won(deal: &Deal, event: &Won) -> Closing {
    Closing {
        outcome: Outcome::Won,
        closed_at: event.closed_at,
        owner: deal.owner,
        contract: event.contract.clone(),
        reason: None,
        counted: None,
        competitor: None,
        duplicate_of: None,
    }
}

fn lost(deal: &Deal, event: &Lost) -> Closing {
    Closing {
        outcome: Outcome::Lost,
        closed_at: event.closed_at,
        owner: deal.owner,
        contract: None,
        reason: Some(event.reason.clone()),
        counted: Some(event.counted),
        competitor: event.competitor.clone(),
        duplicate_of: event.duplicate_of,
    }
}

fn correct(closing: &mut Closing, to: &ClosingPart) {
    let ClosingPart { closed_at, amount: _, contract, reason, counted, owner } = to;
    closing.closed_at = closed_at.unwrap_or(closing.closed_at);
    if let Some(contract) = contract {
        closing.contract.clone_from(contract);
    }
    closing.reason = reason.clone().or(closing.reason.take());
    closing.counted = counted.or(closing.counted);
    closing.owner = owner.unwrap_or(closing.owner);
}
