//! How fast a caller may send commands.
//!
//! Each caller has a bucket that fills evenly and holds a burst. A command takes one before anything is known of it, and what
//! it appended beyond one event afterwards, so that a few commands of a hundred events are no way around the limit. That may
//! leave a bucket in debt, which is why this counts for itself: limiters that only give out what is there cannot.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dealog_events::{
    Actor,
    user::{Role, Roles},
};
use dealog_store::TOKENS_MAX;
use moka::sync::Cache;

use crate::Limits;

/// How fast, and how much at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// How fast a person of these roles may send commands, or a service.
    pub(super) fn of(roles: Option<&Roles>, limits: &Limits) -> Self {
        let (per_second, burst) = match roles {
            Some(roles) if roles.iter().all(|role| role == Role::Seller) => {
                (limits.seller_commands_per_second, limits.seller_commands_burst)
            }
            Some(_) => (limits.person_commands_per_second, limits.person_commands_burst),
            None => (limits.service_commands_per_second, limits.service_commands_burst),
        };
        Self { per_second, burst }
    }

    fn times(self, commands: u32) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1) * commands
    }
}

/// What a caller has sent, as the instant at which the bucket will be full again.
#[derive(Debug, Clone)]
struct Bucket(Arc<Mutex<Instant>>);

impl Bucket {
    fn full_at(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buckets of all callers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rates {
    buckets: Cache<Actor, Bucket>,
}

impl Rates {
    pub(super) fn new() -> Self {
        // As many as there may be callers, so that no other takes the place of one in debt.
        Self { buckets: Cache::new(TOKENS_MAX as u64) }
    }

    /// Takes a command from what `actor` may send, or says how long to wait.
    pub(super) fn take(&self, actor: Actor, rate: Rate) -> Result<(), TooFast> {
        let now = Instant::now();
        let bucket = self.bucket(actor, now);
        let mut full_at = bucket.full_at();
        let due = (*full_at).max(now) + rate.times(1);
        let wait = due.duration_since(now).saturating_sub(rate.times(rate.burst));
        if wait.is_zero() {
            *full_at = due;
            return Ok(());
        }
        drop(full_at);
        Err(TooFast { per_second: rate.per_second, wait, allowance: self.allowance(actor, rate) })
    }

    /// Takes what a command turned out to be worth beyond one.
    pub(super) fn charge(&self, actor: Actor, rate: Rate, more: u32) {
        let now = Instant::now();
        let bucket = self.bucket(actor, now);
        let mut full_at = bucket.full_at();
        *full_at = (*full_at).max(now) + rate.times(more);
    }

    /// What is left of a caller's burst.
    pub(super) fn allowance(&self, actor: Actor, rate: Rate) -> Allowance {
        let now = Instant::now();
        let full_in = self.bucket(actor, now).full_at().saturating_duration_since(now);
        let used = full_in.as_nanos().div_ceil(rate.times(1).as_nanos().max(1));
        Allowance {
            burst: rate.burst,
            fills_in: rate.times(rate.burst),
            remaining: rate.burst.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)),
            full_in,
        }
    }

    fn bucket(&self, actor: Actor, now: Instant) -> Bucket {
        self.buckets.get_with(actor, || Bucket(Arc::new(Mutex::new(now))))
    }
}

/// What a caller may still send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Commands at once, where none has been sent for a while.
    pub burst: u32,
    /// How long it takes until that is so again, where there are none left.
    pub fills_in: Duration,
    /// Commands that may be sent at once now.
    pub remaining: u32,
    /// How long it takes until the whole burst is there again.
    pub full_in: Duration,
}

/// Commands come too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "commands come too fast: {per_second} a second are carried out for this caller, and up to {burst} at once; wait {seconds} s",
    burst = allowance.burst, seconds = self.seconds()
)]
pub struct TooFast {
    per_second: u32,
    wait: Duration,
    /// What is left.
    pub allowance: Allowance,
}

impl TooFast {
    /// How long to wait.
    pub fn seconds(&self) -> u16 {
        u16::try_from(self.wait.as_millis().div_ceil(1_000)).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use dealog_events::UserId;
    use uuid::Uuid;

    use super::*;

    const SLOW: Rate = Rate { per_second: 1, burst: 3 };

    fn someone() -> Actor {
        Actor::User(UserId(Uuid::now_v7()))
    }

    #[test]
    fn a_burst_is_let_through_and_what_comes_after_it_is_put_off() {
        let (rates, caller) = (Rates::new(), someone());
        let taken = [1, 2, 3, 4].map(|_| rates.take(caller, SLOW).is_ok());
        assert_eq!(taken, [true, true, true, false]);
        assert!(rates.take(someone(), SLOW).is_ok(), "another caller paid for it");
    }

    #[test]
    fn what_a_command_appended_is_paid_for_even_into_debt() {
        let (rates, caller) = (Rates::new(), someone());
        rates.take(caller, SLOW).unwrap();
        rates.charge(caller, SLOW, 99);
        let left = rates.allowance(caller, SLOW);
        assert_eq!((left.remaining, left.full_in.as_millis().div_ceil(1_000)), (0, 100));
        assert!(rates.take(caller, SLOW).is_err());
    }

    #[test]
    fn a_bucket_fills_evenly() {
        let (rates, caller, rate) = (Rates::new(), someone(), Rate { per_second: 1_000, burst: 1 });
        rates.take(caller, rate).unwrap();
        // However busy the machine is: at the latest after this much there is one again.
        std::thread::sleep(rate.times(1));
        rates.take(caller, rate).unwrap();
    }
}
