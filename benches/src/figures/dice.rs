//! Chance, the same on every machine: integers only.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// All logs of one size are the same, to the byte of every event.
const SEED: u64 = 20_260_115;

/// A generator of its own for each deal, so that no course depends on another's.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// For the thing of this number.
    pub(super) fn new(number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        rng.set_stream(number);
        Self(rng)
    }

    /// A number from 0 up to, not including, `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let scaled = (u128::from(self.0.next_u64()) * end as u128) >> 64;
        // Less than `end`, which is a usize.
        usize::try_from(scaled).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn within(&mut self, low: i64, high: i64) -> i64 {
        let values = usize::try_from(high - low + 1).unwrap_or(0);
        low + i64::try_from(self.below(values)).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// The index of one of `weights`, the heavier the likelier.
    pub(super) fn weighted(&mut self, weights: &[usize]) -> usize {
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

    /// Ten random bytes, for an id.
    pub(super) fn bytes(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
