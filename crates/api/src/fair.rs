//! Turns: how many queries run at once, and whose is next.
//!
//! A database answers a few queries at a time well and many badly. So there are as many places as it can serve, and who waits
//! for one waits in a queue of the caller's own. Places go around the callers: one with a hundred queries waiting and one
//! with a single query are served by turns. Where callers have tokens, one never holds all places; and each has only so many queries
//! waiting.
//!
//! Queries for one thing by its id have places of their own, and so have parts of the log: neither waits behind figures. Queries that
//! wait for the read models to come to a position take no place, and have a bound of their own.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{MatchedPath, Request},
    http::StatusCode,
};
use dealog_events::Actor;
use tokio::sync::oneshot;

use crate::{
    Limits,
    access::{RateLimit, network},
    problem::Problem,
};

/// Who is served by turns: the actor of a token, or without tokens the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    Actor(Actor),
    Address(Option<IpAddr>),
}

impl Share {
    /// The share of this actor; without tokens, of this address.
    pub(crate) fn of(actor: Actor, from: Option<IpAddr>) -> Self {
        match actor {
            Actor::Local => Self::Address(from.map(network)),
            actor => Self::Actor(actor),
        }
    }

    /// Without tokens there is but one caller.
    fn is_the_only_one(self) -> bool {
        matches!(self, Self::Address(_))
    }
}

/// What a query costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A few rows that are found by their key.
    Light,
    /// A figure or a list.
    Heavy,
    /// A part of the log: it waits for the disk and for its reader as much as for a processor.
    Log,
}

impl Weight {
    /// What a request that reads costs; nothing where it has a bound of its own.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        Some(match request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str) {
            "/metrics" | "/v1/events/stream" => return None,
            "/v1/events" => Self::Log,
            route if route.ends_with('}') || route.ends_with("/history") || route == "/v1/settings" => Self::Light,
            _ => Self::Heavy,
        })
    }
}

/// The places for queries. Cheap to clone.
#[derive(Clone)]
pub struct Turns {
    light: Lane,
    heavy: Lane,
    log: Lane,
    positions: Counts,
    streams: Counts,
}

impl Turns {
    /// As many places as the limits say.
    pub fn new(limits: &Limits) -> Self {
        let waiting = limits.queries_waiting_per_caller_max;
        Self {
            light: Lane::new("light", limits.light_queries_max, waiting),
            heavy: Lane::new("heavy", limits.heavy_queries_max, waiting),
            log: Lane::new("log", limits.log_queries_max, waiting),
            positions: Counts::new(waiting),
            streams: Counts::new(limits.subscribers_per_caller_max),
        }
    }

    /// Waits for a place, which is held as long as the answer lives. Whoever stops waiting gives up the turn.
    pub(crate) async fn take(&self, share: Share, weight: Weight) -> Result<Place, Problem> {
        match weight {
            Weight::Light => self.light.take(share, For::Query).await,
            Weight::Heavy => self.heavy.take(share, For::Query).await,
            Weight::Log => self.log.take(share, For::Query).await,
        }
    }

    /// The same for a page that a stream reads. Streams are bounded themselves, so no page is refused.
    pub(crate) async fn take_for_stream(&self, share: Share) -> Option<Place> {
        self.log.take(share, For::Stream).await.ok()
    }

    /// Lets one more query of this caller's wait for a position.
    pub(crate) fn wait_for_position(&self, share: Share) -> Result<Counted, Problem> {
        self.positions.take(share).ok_or_else(|| self.heavy.refused())
    }

    /// A place for one more stream of this caller's, as long as there are few enough. It is given back when it is dropped.
    pub(crate) fn take_stream(&self, share: Share) -> Option<Counted> {
        self.streams.take(share)
    }
}

/// How many of something each caller has.
#[derive(Clone)]
struct Counts {
    by_caller: Arc<Mutex<HashMap<Share, usize>>>,
    per_caller_max: usize,
}

impl Counts {
    fn new(per_caller_max: usize) -> Self {
        Self { by_caller: Arc::default(), per_caller_max }
    }

    fn take(&self, share: Share) -> Option<Counted> {
        let max = if share.is_the_only_one() { usize::MAX } else { self.per_caller_max };
        let mut by_caller = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_caller.entry(share).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted { by_caller: Arc::clone(&self.by_caller), share })
    }
}

/// One of them, for as long as this lives.
pub(crate) struct Counted {
    by_caller: Arc<Mutex<HashMap<Share, usize>>>,
    share: Share,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_caller = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_caller.get_mut(&self.share) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_caller.remove(&self.share);
            }
        }
    }
}

/// Places of one kind.
#[derive(Clone)]
struct Lane {
    name: &'static str,
    /// Places that one caller may hold.
    per_caller_max: usize,
    /// Queries of one caller that may wait.
    waiting_max: usize,
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    free: usize,
    callers: HashMap<Share, Waiting>,
    /// Callers with queries waiting, by whose turn it is.
    turns: VecDeque<Share>,
}

#[derive(Default)]
struct Waiting {
    running: usize,
    queries: VecDeque<(For, oneshot::Sender<Place>)>,
}

/// What a place is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// A query. A caller has only so many waiting.
    Query,
    /// A page of a stream. There are only so many streams, and each waits for one page.
    Stream,
}

/// A place that is taken. The next query has it when this is dropped.
pub(crate) struct Place {
    lane: Option<Lane>,
    share: Share,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.give_back(self.share);
        }
    }
}

impl Lane {
    fn new(name: &'static str, places: usize, waiting_max: usize) -> Self {
        // With a single place there is nothing to leave to others.
        let per_caller_max = places.saturating_sub(1).max(1);
        let queue = Queue { free: places, callers: HashMap::new(), turns: VecDeque::new() };
        Self { name, per_caller_max, waiting_max, queue: Arc::new(Mutex::new(queue)) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, share: Share, wanted_for: For) -> Result<Place, Problem> {
        let place = {
            let mut queue = self.queue();
            let caller = queue.callers.entry(share).or_default();
            // Who has stopped waiting is only found out here or when the turn comes.
            caller.queries.retain(|(_, query)| !query.is_closed());
            let waiting = caller.queries.iter().filter(|(wanted_for, _)| *wanted_for == For::Query).count();
            if wanted_for == For::Query && waiting >= self.waiting_max {
                drop(queue);
                return Err(self.refused());
            }
            let (sender, place) = oneshot::channel();
            caller.queries.push_back((wanted_for, sender));
            if !queue.turns.contains(&share) {
                queue.turns.push_back(share);
            }
            self.serve(&mut queue);
            place
        };
        let waits = metrics::gauge!("dealog_queries_waiting", "weight" => self.name);
        waits.increment(1);
        let _waiting = OnDrop(|| waits.decrement(1));
        // A sender is only dropped where its receiver is gone.
        place.await.map_err(|_| Problem::internal(&"a query lost its turn"))
    }

    /// Gives free places to those whose turn it is.
    fn serve(&self, queue: &mut Queue) {
        let mut passed = 0;
        while queue.free > 0 && passed < queue.turns.len() {
            let Some(share) = queue.turns.pop_front() else { return };
            let Some(caller) = queue.callers.get_mut(&share) else { continue };
            if caller.running >= self.most(share) {
                queue.turns.push_back(share);
                passed += 1;
                continue;
            }
            while let Some((_, query)) = caller.queries.pop_front() {
                match query.send(Place { lane: Some(self.clone()), share }) {
                    Ok(()) => {
                        caller.running += 1;
                        queue.free -= 1;
                        passed = 0;
                        break;
                    }
                    // Nobody waits there any more: the place is not taken, so it must not be given back either.
                    Err(mut place) => place.lane = None,
                }
            }
            if caller.queries.is_empty() {
                if caller.running == 0 {
                    queue.callers.remove(&share);
                }
            } else {
                queue.turns.push_back(share);
            }
        }
    }

    /// How many places this caller may hold.
    fn most(&self, share: Share) -> usize {
        if share.is_the_only_one() { usize::MAX } else { self.per_caller_max }
    }

    fn give_back(&self, share: Share) {
        let mut queue = self.queue();
        queue.free += 1;
        if let Some(caller) = queue.callers.get_mut(&share) {
            caller.running = caller.running.saturating_sub(1);
            if caller.running == 0 && caller.queries.is_empty() {
                queue.callers.remove(&share);
            }
        }
        self.serve(&mut queue);
    }

    fn refused(&self) -> Problem {
        metrics::counter!("dealog_queries_refused_total", "weight" => self.name).increment(1);
        let detail = format!(
            "{} queries of this caller are waiting already: ask again when some are answered",
            self.waiting_max
        );
        let quota = u32::try_from(self.waiting_max).unwrap_or(u32::MAX);
        let state = RateLimit {
            policy: "queries",
            quota,
            unit: Some("concurrent-requests"),
            window_seconds: None,
            remaining: 0,
            reset_seconds: 1,
        };
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_queries", detail).retry_after(1).rate_limit(state)
    }
}

/// Does something when a future ends, also where that is dropped before.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll};

    use futures_util::FutureExt as _;

    use super::*;

    fn share(number: u8) -> Share {
        Share::Actor(Actor::Service(uuid::Uuid::from_u128(number.into())))
    }

    fn lane(places: usize, waiting: usize) -> Lane {
        Lane::new("heavy", places, waiting)
    }

    /// A place that is free at once.
    fn now(lane: &Lane, number: u8) -> Option<Place> {
        lane.take(share(number), For::Query).now_or_never().and_then(Result::ok)
    }

    #[tokio::test]
    async fn one_caller_never_holds_all_places() {
        let lane = lane(3, 10);
        let held = [now(&lane, 1), now(&lane, 1)];
        assert!(held.iter().all(Option::is_some));
        assert!(now(&lane, 1).is_none());
        assert!(now(&lane, 2).is_some());
    }

    #[tokio::test]
    async fn without_tokens_one_caller_may_hold_all_places() {
        let lane = lane(2, 10);
        let share = Share::Address(Some([127, 0, 0, 1].into()));
        let take = || lane.take(share, For::Query).now_or_never().and_then(Result::ok);
        let held = [take(), take()];
        assert!(held.iter().all(Option::is_some));
        assert!(take().is_none());
    }

    #[tokio::test]
    async fn places_go_around_the_callers_and_not_around_the_queries() {
        let lane = lane(1, 100);
        let held = now(&lane, 1).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |number: u8| {
            let (lane, order) = (lane.clone(), Arc::clone(&order));
            async move {
                let place = lane.take(share(number), For::Query).await.unwrap();
                order.lock().unwrap().push(number);
                drop(place);
            }
        };
        let mut queries: Vec<_> = (0..20).map(|_| Box::pin(wait(1))).collect();
        queries.push(Box::pin(wait(2)));
        let mut all = pin!(futures_util::future::join_all(queries));
        // All are in the queue before the place is free.
        poll_fn(|context| {
            assert!(all.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(held);
        all.await;
        let order = order.lock().unwrap();
        let place = order.iter().position(|number| *number == 2).unwrap();
        assert!(place <= 1, "{order:?}");
        assert_eq!(order.len(), 21);
    }

    #[tokio::test]
    async fn beyond_its_bound_a_callers_query_is_refused_and_another_callers_waits() {
        let lane = lane(1, 2);
        let _held = now(&lane, 1).unwrap();
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(lane.take(share(1), For::Query))).collect();
        for query in &mut waiting {
            assert!(query.now_or_never().is_none());
        }
        let refused = lane.take(share(1), For::Query).now_or_never().unwrap().err().unwrap();
        assert!(refused.is_too_many());
        // Its streams wait with the others.
        assert!(lane.take(share(1), For::Stream).now_or_never().is_none());
        assert!(lane.take(share(2), For::Query).now_or_never().is_none());
    }

    #[tokio::test]
    async fn pages_that_streams_wait_for_do_not_keep_their_callers_queries_out() {
        let lane = lane(1, 2);
        let _held = now(&lane, 2).unwrap();
        let mut pages: Vec<_> = (0..20).map(|_| Box::pin(lane.take(share(1), For::Stream))).collect();
        for page in &mut pages {
            assert!(page.now_or_never().is_none());
        }
        assert!(lane.take(share(1), For::Query).now_or_never().is_none());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_or_is_cut_off_frees_the_place() {
        let lane = lane(1, 2);
        for _ in 0..10 {
            let held = now(&lane, 1).unwrap();
            let mut gone = Box::pin(lane.take(share(1), For::Query));
            assert!((&mut gone).now_or_never().is_none());
            let mut served = Box::pin(lane.take(share(2), For::Query));
            assert!((&mut served).now_or_never().is_none());
            drop(gone);
            drop(held);
            // The place has been given, and is dropped before anybody has looked.
            drop(served);
        }
        assert!(now(&lane, 3).is_some());
        assert!(lane.queue().callers.is_empty() && lane.queue().turns.is_empty());
    }
}
