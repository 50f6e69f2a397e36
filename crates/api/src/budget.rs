//! A budget for the bytes of all answers that are on their way.
//!
//! A client that reads slowly keeps its answer in memory, and a hundred of them keep a hundred. So a large answer takes its
//! bytes out of a budget before it is sent, and gives them back when the last of them has been written to the
//! connection, or that is gone. One caller has half of the budget at most. An answer that does not fit is refused at once: one
//! that waited would be in memory too. Small answers are bounded by the number of connections.

use axum::{
    body::{self, Body, Bytes, HttpBody as _},
    response::Response,
};

use crate::{
    Limits,
    fair::Share,
    problem::Problem,
    room::{Held, Room},
};

/// Bytes of an answer that takes nothing of the budget.
const SMALL_BYTES: u64 = 16 * 1024;

/// The budget. Cheap to clone.
#[derive(Clone)]
pub struct Budget(Room);

/// An answer, and what it has taken: they go together.
struct OnItsWay {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for OnItsWay {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Budget {
    /// As many bytes as the limits say.
    pub fn new(limits: &Limits) -> Self {
        Self(Room::of(usize::try_from(limits.response_bytes_max).unwrap_or(usize::MAX)))
    }

    /// The same answer, if there is room for it. One that is made while it is sent has no size, and is bounded elsewhere.
    pub(crate) async fn hold(&self, share: Share, response: Response) -> Result<Response, Problem> {
        if response.body().size_hint().exact().is_none_or(|size| size <= SMALL_BYTES) {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        // It is in memory already, in one piece.
        let bytes = body::to_bytes(body, usize::MAX).await.map_err(|error| Problem::internal(&error))?;
        let held = self.0.try_take(share, bytes.len()).ok_or_else(full)?;
        Ok(Response::from_parts(head, Body::from(Bytes::from_owner(OnItsWay { bytes, _held: held }))))
    }
}

fn full() -> Problem {
    metrics::counter!("dealog_responses_refused_total").increment(1);
    let detail = "there is no room for this answer among those that callers have not read yet: read them, or ask for a smaller page";
    Problem::busy("responses_full", detail)
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
        assert!(answer(&budget, 1, 90).await.is_none());
        drop(rest);
        assert!(answer(&budget, 1, 90).await.is_some());
    }
}
