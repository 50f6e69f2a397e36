//! One order, no gaps, nothing skipped, and what holds across processes and restarts.

use std::sync::Arc;

use dealog_events::{Position, Timestamp, Version};
use dealog_store::{Append, AppendError, Limits};
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::backend::{Backend, all, append, append_many, at, deal, gap_free};

pub(crate) async fn calls_are_appended_in_the_order_they_were_made<B: Backend>() {
    let place = B::new().await;
    let store = place.open_with(Limits { batch_appends_max: 7, ..Limits::default() }).await;
    let calls: Vec<_> = (0..50).map(|_| store.append(append(deal(), 0))).collect();
    // Polled last first: the order of the calls is what counts.
    let told = join_all(calls.into_iter().rev()).await;
    let positions: Vec<_> = told.iter().rev().map(|told| told.as_ref().unwrap().position.0).collect();
    assert_eq!(positions, (1..=50).collect::<Vec<_>>());
}

pub(crate) async fn two_writers_of_one_log_share_one_order_without_gaps<B: Backend>() {
    let place = B::new().await;
    let stores = [place.open().await, place.open().await];
    let mut writers = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&stores[number % 2]);
        writers.spawn(async move {
            let stream = deal();
            for version in 0..20 {
                store.append(append(stream, version)).await.unwrap();
            }
        });
    }
    // A follower never sees a position before those that come before it.
    let mut seen = Position::ZERO;
    while seen.0 < 320 {
        for event in stores[0].read(seen, 1_000, &[]).await.unwrap() {
            assert_eq!(event.position, seen.next());
            seen = event.position;
        }
        tokio::task::yield_now().await;
    }
    writers.join_all().await;
    assert_eq!(gap_free(&*stores[0]).await, 320);
    assert_eq!(all(&*stores[0]).await, all(&*stores[1]).await);
}

pub(crate) async fn two_writers_of_one_stream_never_both_win<B: Backend>() {
    let place = B::new().await;
    let stores = [place.open().await, place.open().await];
    let stream = deal();
    for version in 0..20 {
        let told = join_all(stores.iter().map(|store| store.append(append(stream, version)))).await;
        assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1);
        assert!(told.iter().any(|told| matches!(told, Err(AppendError::Conflict { .. }))));
    }
    assert_eq!(gap_free(&*stores[0]).await, 20);
}

pub(crate) async fn a_dropped_future_has_appended_all_the_same<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    let mut watch = store.watch();
    drop(store.append(append(stream, 0)));
    assert_eq!(*watch.wait_for(|position| position.0 == 1).await.unwrap(), Position(1));
    assert_eq!(store.read_stream(stream, Version::ZERO, 10).await.unwrap().len(), 1);
}

pub(crate) async fn an_acknowledged_append_can_be_read_at_once<B: Backend>() {
    let place = B::new().await;
    let (writing, reading) = (place.open().await, place.open().await);
    for count in 1..=20 {
        let told = writing.append(append(deal(), 0)).await.unwrap();
        assert_eq!(*writing.watch().borrow(), told.position);
        assert_eq!(all(&*reading).await.len(), count);
    }
}

pub(crate) async fn followers_wake_at_every_commit<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let mut watch = store.watch();
    assert_eq!(*watch.borrow_and_update(), Position::ZERO);
    for position in [2, 4, 6] {
        store.append(append_many(deal(), 0, 2)).await.unwrap();
        watch.changed().await.unwrap();
        assert_eq!(watch.borrow_and_update().0, position);
    }
    store.append(append(deal(), 9)).await.unwrap_err();
    assert!(!watch.has_changed().unwrap(), "nothing was committed");
    assert_eq!(place.open().await.watch().borrow().0, 6, "a log opened again starts at its end");
}

pub(crate) async fn recorded_at_does_not_run_backwards_when_the_clock_does<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    assert_eq!(store.head().await.unwrap().recorded_at, Timestamp::MIN);
    let clock = [10, 5, 20, 20, 3, 21];
    let (alone, batch) = clock.split_at(2);
    for now in alone {
        store.append(Append { now: at(*now), ..append(deal(), 0) }).await.unwrap();
    }
    join_all(batch.iter().map(|now| store.append(Append { now: at(*now), ..append(deal(), 0) }))).await;
    let recorded: Vec<_> = all(&*store).await.iter().map(|event| event.recorded_at).collect();
    assert_eq!(recorded, [10, 10, 20, 20, 20, 21].map(at));
    store.close().await;
    let store = place.open().await;
    store.append(Append { now: at(0), ..append(deal(), 0) }).await.unwrap();
    assert_eq!(store.head().await.unwrap().recorded_at, at(21));
}

pub(crate) async fn a_log_opened_again_keeps_its_identity_and_its_end<B: Backend>() {
    let (place, other) = (B::new().await, B::new().await);
    let store = place.open().await;
    let empty = store.head().await.unwrap();
    assert_eq!(empty.position, Position::ZERO);
    store.append(append_many(deal(), 0, 3)).await.unwrap();
    let head = store.head().await.unwrap();
    assert_eq!((head.log_id, head.position, head.recorded_at), (empty.log_id, Position(3), at(0)));
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.append(append(deal(), 0)).await.unwrap().position, Position(4));
    assert_ne!(other.open().await.head().await.unwrap().log_id, head.log_id);
}

pub(crate) async fn a_closed_log_has_answered_all_that_waited_and_takes_no_more<B: Backend>() {
    let place = B::new().await;
    let store = place.open_with(Limits { batch_appends_max: 3, ..Limits::default() }).await;
    let waiting = join_all((0..20).map(|_| store.append(append(deal(), 0))));
    store.close().await;
    let refused = store.append(append(deal(), 0)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
    assert!(waiting.await.iter().all(Result::is_ok));
    store.close().await;
    assert_eq!(gap_free(&*place.open().await).await, 20);
}
