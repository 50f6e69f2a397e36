//! Chance, the same on every machine and in every version: integers only, and no sampling code but what stands here.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A generator of its own for each thing that is made up, so that no course depends on another's.
pub(super) struct Dice(ChaCha8Rng);

/// What is made up. Each number below it has its own generator.
#[derive(Clone, Copy)]
pub(super) enum About {
    /// What is offered to whom, when it begins and where it came from.
    Lead = 1,
    /// What happens to it.
    Course = 2,
    /// Customers.
    Customer = 3,
}

impl Dice {
    pub(super) fn new(seed: u64, about: About, index: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((about as u64) << 32 | u64::from(index));
        Self(rng)
    }

    /// A number from 0 up to, not including, `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        let scaled = (u64::from(self.0.next_u32()) * u64::from(end)) >> 32;
        // The product of two 32-bit numbers, shifted by 32 bits, fits.
        u32::try_from(scaled).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn within(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of 100 cases.
    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// True in `per_mille` of 1,000 cases.
    pub(super) fn per_mille(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of `list`; none of an empty one.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let end = u32::try_from(list.len()).unwrap_or(u32::MAX);
        list.get(self.below(end) as usize)
    }

    /// The index of one of `weights`, the heavier the likelier.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().sum());
        let passed = weights.iter().take_while(|weight| match left.checked_sub(**weight) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        passed.count()
    }
}
