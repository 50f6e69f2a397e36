//! Failed attempts: they are logged, and too many of them from one address are put off for a while.
//!
//! Only what has failed is counted and put off: a token that is right is never refused, whatever else comes from its holder's
//! address. Nobody guesses a secret of 256 bits; the limit tells callers to stop trying, and keeps the log from filling up.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use moka::sync::Cache;
use uuid::Uuid;

use crate::problem::Problem;

/// Addresses that are counted at the same time.
const COUNTED_MAX: u64 = 10_000;

/// The part of an IPv6 address that its network is given as a whole: its holder has all addresses in it.
const NETWORK_V6: u128 = !(u64::MAX as u128);

#[derive(Clone)]
pub(super) struct Failures {
    max: u32,
    window: Duration,
    counts: Cache<Option<IpAddr>, Arc<AtomicU32>>,
}

impl Failures {
    pub(super) fn new(max: u32, window: Duration) -> Self {
        Self { max, window, counts: Cache::builder().max_capacity(COUNTED_MAX).time_to_live(window).build() }
    }

    /// Counts an attempt that failed, with the id of the token where that is known to have been given out. The problem is what
    /// the caller is told; only the first of a window are logged.
    pub(super) fn count(&self, from: Option<IpAddr>, tried: Option<Uuid>, reason: &'static str) -> Problem {
        let counted = self.counts.get_with(from.map(network), Arc::default);
        let count = counted.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        metrics::counter!("dealog_failed_attempts_total").increment(1);
        if count > self.max {
            let seconds = self.window.as_secs();
            let detail =
                format!("{reason}, and there were too many bad tokens from this address: wait {seconds} seconds");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
            return problem.field("Authorization").retry_after(u16::try_from(seconds).unwrap_or(u16::MAX));
        }
        let last = count == self.max;
        tracing::warn!(?from, token = ?tried, reason, count, last, "a bad token was refused");
        Problem::new(StatusCode::UNAUTHORIZED, "invalid_token", reason).field("Authorization")
    }
}

/// Who is counted together.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK_V6).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures() -> Failures {
        Failures::new(2, Duration::from_mins(1))
    }

    fn attempt(failures: &Failures, from: &str) -> bool {
        failures.count(Some(from.parse().unwrap()), None, "no").is_too_many()
    }

    #[test]
    fn too_many_failures_from_one_address_are_put_off_and_those_from_others_are_not() {
        let failures = failures();
        assert_eq!([1, 2, 3].map(|_| attempt(&failures, "192.0.2.1")), [false, false, true]);
        assert!(!attempt(&failures, "192.0.2.2"));
    }

    #[test]
    fn whoever_has_a_network_of_addresses_does_not_begin_anew_with_each() {
        let failures = failures();
        let tried = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"].map(|from| attempt(&failures, from));
        assert_eq!(tried, [false, false, true]);
        assert!(!attempt(&failures, "2001:db8:0:1::1"));
        let mapped = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"].map(|from| attempt(&failures, from));
        assert_eq!(mapped, [false, false, true]);
    }
}
