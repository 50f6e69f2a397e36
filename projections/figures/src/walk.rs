//! Visits deals as they were at the instant asked about. It skips quickly those that cannot count, and uses one thread per core.

use std::{borrow::Cow, num::NonZero, ops::Range, thread};

use crate::{
    counted::counted,
    image::Image,
    resolved::Resolved,
    step::{Deal, State, Step},
    times::{Candidates, TimesOfDeal},
};

/// A thread takes longer to begin than to go through fewer deals than this.
const THREAD_DEALS_MIN: usize = 20_000;

/// Deals in the part that a thread takes at a time.
const PART_DEALS: usize = 16_384;

/// Deals in a block: all their times are checked before any of them is visited.
const BLOCK_DEALS: usize = 128;

/// A deal as it was, in an answer's cut.
#[derive(Clone, Copy)]
pub(crate) struct DealAt<'a> {
    pub(crate) deal: &'a Deal,
    pub(crate) number: u32,
    /// How many of its steps had happened by then, or more than there are: most questions do not look at them.
    pub(crate) happened: u32,
    pub(crate) created_at: i64,
    pub(crate) state: &'a State,
    /// Its state at the instant asked about, which differs from `state` only for a past event.
    pub(crate) last: &'a State,
    /// The time that decides its owner's teams: for a closed deal, its closing.
    pub(crate) at: i64,
}

impl<'a> DealAt<'a> {
    /// The deal of this number after so many of its steps.
    pub(crate) fn new(
        (number, deal): (usize, &'a Deal),
        created_at: i64,
        happened: usize,
        state: &'a State,
        as_of: i64,
    ) -> Self {
        let (number, happened) = (short(number), short(happened));
        Self { deal, number, happened, created_at, state, last: state, at: state.closed_at().unwrap_or(as_of) }
    }

    /// What had happened by then, as far as it counts.
    pub(crate) fn steps<'i>(&self, image: &'i Image) -> Cow<'i, [Step]> {
        let steps = image.steps.of(self.number as usize);
        counted(self.deal, steps.get(..self.happened as usize).unwrap_or(steps))
    }
}

/// There are fewer deals than `u32::MAX`, and fewer steps of any deal.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Resolved<'_> {
    /// Visits every candidate that had begun, as it was, regardless of filters. Where times cannot decide, it visits other deals
    /// too.
    pub(crate) fn every_deal(
        &self,
        numbers: Range<usize>,
        candidates: &Candidates,
        mut visit: impl FnMut(&DealAt<'_>),
    ) {
        let Image { deals, now, times, steps, .. } = self.image;
        // Deals are in the order of their first positions.
        let begun = deals.partition_point(|deal| deal.position <= self.cut.position);
        let numbers = numbers.start.min(begun)..numbers.end.min(begun);
        let mut visit = |number: usize, times: &TimesOfDeal, deal: &Deal, now: &State| {
            let (created_at, cut) = (times.created_at, self.cut);
            if self.is_settled(times) {
                let (number, at) = (short(number), times.closed_at.min(cut.at));
                visit(&DealAt { deal, number, happened: u32::MAX, created_at, state: now, last: now, at });
            } else {
                let steps = cut.of(steps.of(number));
                let state = deal.begun().after(&counted(deal, steps));
                visit(&DealAt::new((number, deal), created_at, steps.len(), &state, cut.at));
            }
        };
        let mut found: Vec<(usize, TimesOfDeal)> = Vec::with_capacity(BLOCK_DEALS);
        // Whether most deals of the previous block counted: then the processor prefetches by itself.
        let mut is_dense = false;
        for first in numbers.clone().step_by(BLOCK_DEALS) {
            let block = first..numbers.end.min(first + BLOCK_DEALS);
            let times = block.clone().zip(times.of(block.clone()));
            let may_count = |times: &TimesOfDeal| self.may_count(times, candidates);
            if is_dense && candidates.steps.is_none() {
                let mut count = 0;
                let deals = deals.get(block.clone()).unwrap_or_default().iter();
                for ((number, times), (deal, now)) in times.zip(deals.zip(now.get(block).unwrap_or_default())) {
                    if may_count(&times) {
                        count += 1;
                        visit(number, &times, deal, now);
                    }
                }
                is_dense = count > BLOCK_DEALS / 2;
            } else {
                found.clear();
                found.extend(times.filter(|(_, times)| may_count(times)));
                self.bring_near(&found, candidates);
                for (number, times) in &found {
                    if let (Some(deal), Some(now)) = (deals.get(*number), now.get(*number)) {
                        visit(*number, times, deal, now);
                    }
                }
                is_dense = found.len() > BLOCK_DEALS / 2;
            }
        }
    }

    fn may_count(&self, times: &TimesOfDeal, candidates: &Candidates) -> bool {
        if times.created_at > self.cut.at {
            return false;
        }
        if self.is_settled(times) { candidates.has(times) } else { times.created_at < candidates.lived.end }
    }

    /// Whether nothing has happened to a deal since the instant asked about.
    fn is_settled(&self, times: &TimesOfDeal) -> bool {
        self.cut.has(times.last_at, times.last_position)
    }

    /// Reads a little of each deal before it is visited, to bring it into the processor's cache. No read waits for another, so
    /// all of them together take hardly longer than one.
    fn bring_near(&self, found: &[(usize, TimesOfDeal)], candidates: &Candidates) {
        let Image { now, steps, .. } = self.image;
        let states = found.iter().filter_map(|(number, _)| now.get(*number)).fold(0, |all, now| all ^ now.since);
        let needs_steps = |(number, times): &&(usize, TimesOfDeal)| {
            let needs_steps = now.get(*number).zip(candidates.steps).is_some_and(|(now, needs_steps)| needs_steps(now));
            needs_steps || !self.is_settled(times)
        };
        let steps = found.iter().filter(needs_steps).filter_map(|(number, _)| steps.of(*number).last());
        std::hint::black_box((states, steps.fold(0, |all, step| all ^ step.at)));
    }

    /// Every deal that passes the filters, oldest first.
    pub(crate) fn deals(&self, visit: impl FnMut(&DealAt<'_>)) {
        self.passing(0..self.image.len(), &Candidates::ALL, visit);
    }

    fn passing(&self, numbers: Range<usize>, candidates: &Candidates, mut visit: impl FnMut(&DealAt<'_>)) {
        self.every_deal(numbers, candidates, |at| {
            if self.passes.deal(self, at) {
                visit(at);
            }
        });
    }

    /// Counts all candidates that pass the filters, with one thread per core.
    pub(crate) fn tally<T: Default + Send>(
        &self,
        candidates: &Candidates,
        add: impl Fn(&mut T, &DealAt<'_>) + Sync,
        merge: impl Fn(&mut T, T),
    ) -> T {
        let count = |tally: &mut T, numbers| self.passing(numbers, candidates, |at| add(tally, at));
        in_parts(self.image.len(), count, merge)
    }
}

/// Counts deals with up to one thread per core, and merges the results. Threads take parts in turn, because most questions
/// concern only some years.
pub(crate) fn in_parts<T: Default + Send>(
    deals: usize,
    count: impl Fn(&mut T, Range<usize>) + Sync,
    merge: impl Fn(&mut T, T),
) -> T {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(deals / THREAD_DEALS_MIN).max(1);
    let of = |thread: usize| {
        let mut counted = T::default();
        for first in (thread * PART_DEALS..deals).step_by(threads * PART_DEALS) {
            count(&mut counted, first..deals.min(first + PART_DEALS));
        }
        counted
    };
    thread::scope(|scope| {
        let of = &of;
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || of(thread))).collect();
        let mut all = of(0);
        for other in others {
            match other.join() {
                Ok(counted) => merge(&mut all, counted),
                // Pass the panic on.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}
