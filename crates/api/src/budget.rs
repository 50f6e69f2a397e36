//! A budget for the bytes of all answers that are on their way.
//!
//! A client that reads slowly keeps its answer in memory, and a hundred of them keep a hundred. So a large answer takes its
//! bytes out of a budget before it is sent, and gives them back when the last of them has been written to the
//! connection, or that is gone. One caller has half of the budget at most. An answer that does not fit is refused at once: one
//! that waited would be in memory too. Small answers are bounded by the number of connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{self, Body, Bytes, HttpBody as _},
    response::Response,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Limits, fair::Share, problem::Problem};

/// Bytes of an answer that takes nothing of the budget.
const SMALL_BYTES: u64 = 16 * 1024;
/// What is counted.
const UNIT_BYTES: u64 = 1024;

/// The budget. Cheap to clone.
#[derive(Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    callers: Arc<Mutex<HashMap<Share, u32>>>,
    per_caller_max: u32,
}

/// What an answer has taken, and the answer itself: they go together.
struct Held {
    bytes: Bytes,
    units: u32,
    share: Share,
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permit.take();
        let mut callers = self.budget.callers();
        if let Some(held) = callers.get_mut(&self.share) {
            *held = held.saturating_sub(self.units);
            if *held == 0 {
                callers.remove(&self.share);
            }
        }
    }
}

impl Budget {
    /// As many bytes as the limits say.
    pub fn new(limits: &Limits) -> Self {
        let units = limits.response_bytes_max.div_ceil(UNIT_BYTES).clamp(2, Semaphore::MAX_PERMITS as u64 / 2);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(units as usize));
        Self { free, callers: Arc::default(), per_caller_max: units / 2 }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Share, u32>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same answer once there is room for it. One that is made while it is sent has no size, and is bounded elsewhere.
    pub(crate) async fn hold(&self, share: Share, response: Response) -> Result<Response, Problem> {
        let size = response.body().size_hint().exact().filter(|size| *size > SMALL_BYTES);
        let Some(size) = size else { return Ok(response) };
        let (head, body) = response.into_parts();
        // It is in memory already, in one piece.
        let bytes = body::to_bytes(body, usize::MAX).await.map_err(|error| Problem::internal(&error))?;
        let units = u32::try_from(size.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.per_caller_max);
        let mut held = self.take(share, units, bytes)?;
        let permit = Arc::clone(&self.free).try_acquire_many_owned(units);
        held.permit = Some(permit.map_err(|_| full("answers of others are still being read"))?);
        Ok(Response::from_parts(head, Body::from(Bytes::from_owner(held))))
    }

    /// Takes a caller's part.
    fn take(&self, share: Share, units: u32, bytes: Bytes) -> Result<Held, Problem> {
        let mut callers = self.callers();
        let held = callers.entry(share).or_default();
        if held.saturating_add(units) > self.per_caller_max {
            return Err(full("this caller has not read the answers that it has asked for"));
        }
        *held += units;
        Ok(Held { bytes, units, share, budget: self.clone(), permit: None })
    }
}

fn full(reason: &str) -> Problem {
    metrics::counter!("dealog_responses_refused_total").increment(1);
    Problem::busy(
        "responses_full",
        format!("there is no room for this answer: {reason}. Ask again, or for a smaller page"),
    )
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    const KIB: usize = 1024;

    fn share(number: u8) -> Share {
        Share::Address(Some([192, 0, 2, number].into()))
    }

    fn budget(kib: u64) -> Budget {
        Budget::new(&Limits { response_bytes_max: kib * 1024, ..Limits::default() })
    }

    async fn answer(budget: &Budget, number: u8, kib: usize) -> Option<Body> {
        let response = vec![7_u8; kib * KIB].into_response();
        budget.hold(share(number), response).await.ok().map(Response::into_body)
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_stay_within_the_budget_and_give_it_back() {
        let budget = budget(200);
        let held = [answer(&budget, 1, 90).await, answer(&budget, 2, 90).await];
        assert!(held.iter().all(Option::is_some));
        assert!(answer(&budget, 3, 90).await.is_none());
        drop(held);
        assert!(answer(&budget, 3, 90).await.is_some());
        assert!(budget.callers().is_empty());
    }

    #[tokio::test]
    async fn one_caller_has_half_of_it() {
        let budget = budget(200);
        let held = answer(&budget, 1, 60).await;
        assert!(held.is_some() && answer(&budget, 1, 60).await.is_none());
        assert!(answer(&budget, 2, 60).await.is_some());
    }

    #[tokio::test]
    async fn small_answers_are_sent_whatever_is_on_its_way_and_one_larger_than_all_is_sent_alone() {
        let budget = budget(100);
        let held = [answer(&budget, 1, 500).await, answer(&budget, 2, 500).await];
        assert!(held.iter().all(Option::is_some));
        assert!(answer(&budget, 3, 20).await.is_none());
        assert!(answer(&budget, 3, 16).await.is_some());
    }

    #[tokio::test]
    async fn what_was_taken_is_held_until_the_last_byte_is_let_go_of() {
        let budget = budget(200);
        let body = answer(&budget, 1, 90).await.unwrap();
        let bytes = body::to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(bytes.len(), 90 * KIB);
        let rest = bytes.slice(bytes.len() - 1..);
        drop(bytes);
        assert_eq!(budget.callers().values().sum::<u32>(), 90);
        drop(rest);
        assert!(budget.callers().is_empty());
        assert_eq!(budget.free.available_permits(), 200);
    }
}
