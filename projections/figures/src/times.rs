//! When things happened to deals, kept apart from everything else. These times alone let a question skip most deals that do not
//! concern it.

use std::ops::Range;

use crate::step::{Deal, State, Step};

/// The closing time of an open deal.
pub(crate) const OPEN: i64 = i64::MAX;

/// When things happened to deals, by a deal's number. All in microseconds UTC.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// When each was created.
    created_at: Vec<i64>,
    /// When each was closed; [`OPEN`] if it is not.
    closed_at: Vec<i64>,
    /// When anything happened to it last, and at which position.
    last_at: Vec<i64>,
    last_position: Vec<u32>,
}

/// When things happened to one deal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimesOfDeal {
    pub(crate) created_at: i64,
    pub(crate) closed_at: i64,
    pub(crate) last_at: i64,
    pub(crate) last_position: u32,
}

impl Times {
    /// Adds the times of a new deal.
    pub(crate) fn push(&mut self, deal: &Deal, steps: &[Step], now: &State) {
        let last = steps.last().map_or((deal.created_at, deal.position), |step| (step.at, step.position));
        self.created_at.push(deal.created_at);
        self.closed_at.push(now.closed_at().unwrap_or(OPEN));
        self.last_at.push(last.0);
        self.last_position.push(last.1);
    }

    /// Updates a deal's times after another step.
    pub(crate) fn step(&mut self, number: usize, at: i64, position: u32, now: &State) {
        let times = (self.closed_at.get_mut(number), self.last_at.get_mut(number), self.last_position.get_mut(number));
        if let (Some(closed_at), Some(last_at), Some(last_position)) = times {
            (*closed_at, *last_at, *last_position) = (now.closed_at().unwrap_or(OPEN), at, position);
        }
    }

    /// The times of these deals, in order.
    pub(crate) fn of(&self, numbers: Range<usize>) -> impl Iterator<Item = TimesOfDeal> {
        let created_at = self.created_at.get(numbers.clone()).unwrap_or_default();
        let closed_at = self.closed_at.get(numbers.clone()).unwrap_or_default();
        let last_at = self.last_at.get(numbers.clone()).unwrap_or_default();
        let last_position = self.last_position.get(numbers).unwrap_or_default();
        let times = created_at.iter().zip(closed_at).zip(last_at).zip(last_position);
        times.map(|(((created_at, closed_at), last_at), last_position)| TimesOfDeal {
            created_at: *created_at,
            closed_at: *closed_at,
            last_at: *last_at,
            last_position: *last_position,
        })
    }
}

/// Which deals a figure may count, by their times. The figure checks each candidate again.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    /// Whether open deals may count.
    pub(crate) open: bool,
    /// When a closed deal must have been closed.
    pub(crate) closed: Range<i64>,
    /// A period that must overlap the time from a deal's creation to its last step.
    pub(crate) lived: Range<i64>,
    /// Which candidates' steps the figure reads, if any.
    pub(crate) steps: Option<fn(&State) -> bool>,
}

impl Candidates {
    const EVER: Range<i64> = i64::MIN..i64::MAX;
    const NEVER: Range<i64> = 0..0;
    /// All deals.
    pub(crate) const ALL: Self = Self { open: true, closed: Self::EVER, lived: Self::EVER, steps: None };
    /// Open deals.
    pub(crate) const OPEN: Self = Self { open: true, closed: Self::NEVER, ..Self::ALL };

    /// Deals closed in a period.
    pub(crate) fn closed((from, to): (i64, i64)) -> Self {
        Self { open: false, closed: from..to, ..Self::ALL }
    }

    /// Open deals, and those closed in a period.
    pub(crate) fn open_or_closed((from, to): (i64, i64)) -> Self {
        Self { open: true, ..Self::closed((from, to)) }
    }

    /// Deals that had begun before the end of a period, and to which something happened after its begin.
    pub(crate) fn lived((from, to): (i64, i64)) -> Self {
        Self { lived: from..to, ..Self::ALL }
    }

    /// The same candidates; the figure reads the steps of some of them.
    #[must_use]
    pub(crate) fn with_steps_of(self, steps: fn(&State) -> bool) -> Self {
        Self { steps: Some(steps), ..self }
    }

    /// Whether a deal with these times is a candidate.
    pub(crate) fn has(&self, times: &TimesOfDeal) -> bool {
        let TimesOfDeal { created_at, closed_at, last_at, .. } = *times;
        let counts = if closed_at == OPEN { self.open } else { self.closed.contains(&closed_at) };
        counts && created_at < self.lived.end && last_at >= self.lived.start
    }
}
