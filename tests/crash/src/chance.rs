//! Chance that can be had again: the same seed, the same choices.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// A generator of its own for each `stream` of a seed, so that one's choices do not depend on another's.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high.saturating_sub(low) + 1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.within(0, 99) < percent
    }

    /// One of `list`; none of an empty one.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let index = self.within(0, list.len().max(1) as u64 - 1);
        list.get(usize::try_from(index).unwrap_or(0))
    }

    /// The index of one of `weights`, the heavier the likelier.
    pub(crate) fn weighted<const N: usize>(&mut self, weights: [u64; N]) -> usize {
        let mut left = self.within(1, weights.iter().sum());
        let passed = weights.iter().take_while(|weight| {
            let passed = left > **weight;
            left = left.saturating_sub(**weight);
            passed
        });
        passed.count()
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = usize::try_from(self.within(0, end as u64)).unwrap_or(end);
            list.swap(end, other);
        }
    }

    /// A time up to this many milliseconds.
    pub(crate) fn pause(&mut self, ms_max: u64) -> Duration {
        Duration::from_micros(self.within(0, ms_max * 1_000))
    }
}
