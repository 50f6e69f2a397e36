//! Failed attempts: they are logged, and too many of them are not looked at any more for a while.
//!
//! They are counted for each address and token tried. A secret of 256 bits is not guessed; this is so that whoever tries
//! cannot keep the server busy, and so that a service with an old token locks out itself and nobody beside it.

use std::{
    net::IpAddr,
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

/// Pairs of address and token that are counted at the same time.
const COUNTED_MAX: u64 = 10_000;

#[derive(Clone)]
pub(super) struct Failures {
    max: u32,
    window: Duration,
    /// By whom and at which token; none where there is no such token.
    counts: Cache<(Option<IpAddr>, Option<Uuid>), Arc<AtomicU32>>,
}

impl Failures {
    pub(super) fn new(max: u32, window: Duration) -> Self {
        Self { max, window, counts: Cache::builder().max_capacity(COUNTED_MAX).time_to_live(window).build() }
    }

    /// Refuses an attempt after too many.
    pub(super) fn check(&self, from: Option<IpAddr>, tried: Option<Uuid>) -> Result<(), Problem> {
        match self.counts.get(&(from, tried)) {
            Some(count) if count.load(Ordering::Relaxed) >= self.max => {
                let detail = format!("too many requests with a bad token; wait {} seconds", self.window.as_secs());
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
                Err(problem
                    .field("Authorization")
                    .retry_after(u16::try_from(self.window.as_secs()).unwrap_or(u16::MAX)))
            }
            _ => Ok(()),
        }
    }

    /// Counts and logs an attempt that failed. The problem is what its caller is told.
    pub(super) fn count(&self, from: Option<IpAddr>, tried: Option<Uuid>, reason: &'static str) -> Problem {
        let count = self.counts.get_with((from, tried), Arc::default).fetch_add(1, Ordering::Relaxed) + 1;
        let last = count == self.max;
        tracing::warn!(?from, token = ?tried, reason, count, last, "a bad token was refused");
        Problem::new(StatusCode::UNAUTHORIZED, "invalid_token", reason).field("Authorization")
    }
}
