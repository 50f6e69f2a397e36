//! The Kaplan-Meier estimate: how long things last, where some still do.
//!
//! Source: Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations" (1958). The part that lasts longer than x is the
//! product of (n - d) / n over all times up to x at which d of the n that were left ended. What is censored at such a time counts as
//! left then.

use num_bigint::BigUint;

/// Times that have ended, and times that go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survival {
    ended: Vec<i64>,
    going_on: Vec<i64>,
}

/// A part: above, below.
type Part = (u32, u32);

impl Survival {
    /// Adds a time in microseconds, and whether it goes on.
    pub(crate) fn add(&mut self, micros: i64, goes_on: bool) {
        if goes_on { self.going_on.push(micros) } else { self.ended.push(micros) }
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        self.ended.append(&mut other.ended);
        self.going_on.append(&mut other.going_on);
    }

    pub(crate) fn left(&self) -> i64 {
        self.ended.len().try_into().unwrap_or(i64::MAX)
    }

    pub(crate) fn here(&self) -> i64 {
        self.going_on.len().try_into().unwrap_or(i64::MAX)
    }

    pub(crate) fn left_micros(&self) -> i128 {
        self.ended.iter().copied().map(i128::from).sum()
    }

    pub(crate) fn here_micros(&self) -> i128 {
        self.going_on.iter().copied().map(i128::from).sum()
    }

    /// For each part, in falling order, the least time by which no more than that part lasts; none where the estimate does not fall so
    /// low. Compared exactly.
    pub(crate) fn quantiles<const N: usize>(mut self, parts: [Part; N]) -> [Option<i64>; N] {
        self.ended.sort_unstable();
        self.going_on.sort_unstable();
        let mut found = [None; N];
        let mut wanted = parts.iter().zip(found.iter_mut()).peekable();
        let mut estimate = Estimate::default();
        let mut going_on = self.going_on.iter().peekable();
        let mut left = self.ended.len() + self.going_on.len();
        for same in self.ended.chunk_by(|one, other| one == other) {
            let (Some(at), Some(_)) = (same.first().copied(), wanted.peek()) else { break };
            // Whoever is last seen before then is not left; whoever is seen just then still is.
            while going_on.next_if(|seen| **seen < at).is_some() {
                left -= 1;
            }
            estimate.fall(same.len(), left);
            left -= same.len();
            while wanted.peek().is_some_and(|(part, _)| estimate.is_at_most(**part)) {
                wanted.next().into_iter().for_each(|(_, found)| *found = Some(at));
            }
        }
        found
    }
}

/// The product of all factors so far. Where nobody went out of sight in between, several make one fraction.
#[derive(Default)]
struct Estimate {
    /// Above, below: all but the last have their place in `before`.
    factors: Vec<(usize, usize)>,
    /// The product of all but the last, nearly.
    before: Option<f64>,
}

impl Estimate {
    /// `ends` of those that were left have ended.
    fn fall(&mut self, ends: usize, left: usize) {
        match self.factors.last_mut() {
            Some((above, _)) if *above == left => *above = left - ends,
            last => {
                let last = last.map(|last| part(*last));
                self.before = Some(self.before.unwrap_or(1.0) * last.unwrap_or(1.0));
                self.factors.push((left - ends, left));
            }
        }
    }

    fn is_at_most(&self, (above, below): Part) -> bool {
        let wanted = f64::from(above) / f64::from(below);
        let nearly = self.before.unwrap_or(1.0) * self.factors.last().map_or(1.0, |last| part(*last));
        // Each factor is rounded twice, by at most one part in 2^53 each time.
        let error = part((self.factors.len() + 2, 1)) * 4.0 * f64::EPSILON;
        if nearly * (1.0 + error) < wanted {
            return true;
        }
        if nearly * (1.0 - error) > wanted {
            return false;
        }
        let product = |factors: &mut dyn Iterator<Item = usize>| product(factors.map(BigUint::from).collect());
        let rest = product(&mut self.factors.iter().map(|(above, _)| *above));
        let whole = product(&mut self.factors.iter().map(|(_, below)| *below));
        rest * BigUint::from(below) <= whole * BigUint::from(above)
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is counted stays far below 2^52")]
fn part((above, below): (usize, usize)) -> f64 {
    above as f64 / below as f64
}

/// Of numbers of about the same length, two by two, which is what makes it quick.
fn product(mut numbers: Vec<BigUint>) -> BigUint {
    while numbers.len() > 1 {
        numbers = numbers.chunks(2).map(|pair| pair.iter().product()).collect();
    }
    numbers.pop().unwrap_or_else(|| BigUint::from(1_u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(ended: &[i64], going_on: &[i64]) -> [Option<i64>; 2] {
        let survival = Survival { ended: ended.to_vec(), going_on: going_on.to_vec() };
        survival.quantiles([(1, 2), (1, 10)])
    }

    #[test]
    fn of_what_has_all_ended_they_are_order_statistics() {
        assert_eq!(quantiles(&[4, 1, 3, 2], &[]), [Some(2), Some(4)]);
        assert_eq!(quantiles(&(1..=10).collect::<Vec<_>>(), &[]), [Some(5), Some(9)]);
        assert_eq!(quantiles(&[], &[]), [None, None]);
    }

    #[test]
    fn what_goes_on_puts_them_off_and_may_leave_none() {
        // 5/6, then 4/5 of it, then 2/3 of that after one was last seen: 4/6 * 2/3 = 4/9.
        assert_eq!(quantiles(&[1, 2, 4], &[3, 5, 6]), [Some(4), None]);
        assert_eq!(quantiles(&[1], &[2, 3]), [None, None]);
    }

    #[test]
    fn ending_comes_before_being_last_seen_at_the_same_time() {
        assert_eq!(quantiles(&[2, 2], &[2, 2]), [Some(2), None]);
        assert_eq!(quantiles(&[2, 2], &[1, 1]), [Some(2), Some(2)]);
    }

    #[test]
    fn exactly_a_half_is_found_however_it_comes_about() {
        // 2/3 * 3/4 = 1/2 with one last seen between; no bound tells it from a little more.
        let ended: Vec<i64> = vec![1, 1, 3];
        assert_eq!(quantiles(&ended, &[0, 2, 4, 4, 4]).first(), Some(&None));
        let estimate = || {
            let mut estimate = Estimate::default();
            estimate.fall(1, 3);
            estimate.fall(1, 4);
            estimate
        };
        assert!(estimate().is_at_most((1, 2)));
        assert!(!estimate().is_at_most((499_999, 1_000_000)));
    }
}
