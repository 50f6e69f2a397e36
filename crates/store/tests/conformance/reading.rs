//! Pages of the log and of its streams.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dealog_events::{Envelope, Position, Version};
use dealog_store::{Append, Limits, Log, NewEvent};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::backend::{Backend, all, append, append_many, deal, event};

/// Those who read the log at the same time.
const READERS: usize = 50;

fn positions(events: &[Envelope]) -> Vec<u64> {
    events.iter().map(|event| event.position.0).collect()
}

fn versions(events: &[Envelope]) -> Vec<u64> {
    events.iter().map(|event| event.version.0).collect()
}

async fn with_events<B: Backend>(place: &B, count: usize, limits: Limits) -> Arc<dyn Log> {
    let store = place.open_with(limits).await;
    store.append(append_many(deal(), 0, count)).await.unwrap();
    store
}

pub(crate) async fn an_empty_log_has_nothing_to_read<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    assert!(all(&*store).await.is_empty());
    assert!(store.read(Position::ZERO, 10, &["deal.noted".into()]).await.unwrap().is_empty());
}

pub(crate) async fn a_page_holds_what_follows_its_start<B: Backend>() {
    let place = B::new().await;
    let store = with_events(&place, 10, Limits::default()).await;
    assert_eq!(positions(&store.read(Position::ZERO, 3, &[]).await.unwrap()), [1, 2, 3]);
    assert_eq!(positions(&store.read(Position(3), 3, &[]).await.unwrap()), [4, 5, 6]);
    assert_eq!(positions(&store.read(Position(8), 3, &[]).await.unwrap()), [9, 10]);
    assert!(store.read(Position(3), 0, &[]).await.unwrap().is_empty());
}

pub(crate) async fn a_page_is_never_longer_than_the_limit_of_the_log<B: Backend>() {
    let place = B::new().await;
    let store = with_events(&place, 10, Limits { page_events_max: 4, ..Limits::default() }).await;
    let stream = all(&*store).await[0].stream;
    assert_eq!(positions(&store.read(Position(1), usize::MAX, &[]).await.unwrap()), [2, 3, 4, 5]);
    assert_eq!(store.read(Position(1), 5, &["deal.noted".into()]).await.unwrap().len(), 4);
    assert_eq!(versions(&store.read_stream(stream, Version(1), usize::MAX).await.unwrap()), [2, 3, 4, 5]);
}

pub(crate) async fn pages_put_together_are_the_log<B: Backend>() {
    let place = B::new().await;
    let store = with_events(&place, 100, Limits::default()).await;
    let (mut pages, mut after) = (Vec::new(), Position::ZERO);
    loop {
        let page = store.read(after, 7, &[]).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        pages.extend(page);
    }
    assert_eq!(pages, all(&*store).await);
    assert_eq!(pages.len(), 100);
}

pub(crate) async fn a_stream_is_read_by_its_versions<B: Backend>() {
    let place = B::new().await;
    let (store, one, other) = (place.open().await, deal(), deal());
    for version in 0..5 {
        store.append(append(one, version)).await.unwrap();
        store.append(append(other, version)).await.unwrap();
    }
    let page = store.read_stream(one, Version::ZERO, 10).await.unwrap();
    assert_eq!(versions(&page), [1, 2, 3, 4, 5]);
    assert_eq!(positions(&page), [1, 3, 5, 7, 9]);
    assert!(page.iter().all(|event| event.stream == one));
    assert_eq!(versions(&store.read_stream(other, Version(2), 2).await.unwrap()), [3, 4]);
    assert!(store.read_stream(one, Version(5), 2).await.unwrap().is_empty());
}

pub(crate) async fn a_long_stream_is_read_from_anywhere_in_it<B: Backend>() {
    const EVENTS: u64 = 700;
    let place = B::new().await;
    let (store, one, other) = (place.open().await, deal(), deal());
    for version in (0..EVENTS).step_by(50) {
        store.append(append_many(one, version, 50)).await.unwrap();
        store.append(append_many(other, version, 50)).await.unwrap();
    }
    for after in [0, 1, 49, 254, 255, 256, 257, 511, 512, 513, 698, 699, 700, 701] {
        for limit in [1_u64, 2, 100, 256, 1_000] {
            let page = store.read_stream(one, Version(after), usize::try_from(limit).unwrap()).await.unwrap();
            let expected: Vec<_> = (after + 1..=EVENTS.min(after + limit)).collect();
            assert_eq!(versions(&page), expected, "{limit} after {after}");
            assert!(page.iter().all(|event| event.stream == one));
        }
    }
    assert!(store.read_stream(one, Version(u64::MAX), usize::MAX).await.unwrap().is_empty());
}

pub(crate) async fn a_stream_that_does_not_exist_has_no_events<B: Backend>() {
    let place = B::new().await;
    let store = with_events(&place, 3, Limits::default()).await;
    assert!(store.read_stream(deal(), Version::ZERO, 10).await.unwrap().is_empty());
}

pub(crate) async fn only_the_types_asked_for_are_read<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let types = ["deal.opened", "deal.noted", "deal.won", "deal.noted", "deal.lost"];
    let events = types.map(|event_type| NewEvent { event_type, ..event("{}") }).to_vec();
    store.append(Append { events, ..append(deal(), 0) }).await.unwrap();
    let read = async |after, limit, types: &[&str]| {
        let types: Vec<_> = types.iter().map(|&name| name.to_owned()).collect();
        positions(&store.read(Position(after), limit, &types).await.unwrap())
    };
    assert_eq!(read(0, 10, &[]).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(0, 10, &["deal.noted"]).await, [2, 4]);
    assert_eq!(read(0, 1, &["deal.noted"]).await, [2]);
    assert_eq!(read(0, 2, &["deal.noted"; 1_000]).await, [2, 4]);
    assert_eq!(read(2, 10, &["deal.noted", "deal.lost", "deal.opened"]).await, [4, 5]);
    assert!(read(0, 10, &["deal", "deal.%", "'", "\"]"]).await.is_empty());
}

pub(crate) async fn each_type_of_the_log_is_told_once<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    assert!(store.types().await.unwrap().is_empty());
    for types in [["deal.won", "deal.noted"], ["customer.registered", "deal.won"]] {
        let events = types.map(|event_type| NewEvent { event_type, ..event("{}") }).to_vec();
        store.append(Append { events, ..append(deal(), 0) }).await.unwrap();
    }
    assert_eq!(store.types().await.unwrap(), ["customer.registered", "deal.noted", "deal.won"]);
}

pub(crate) async fn a_position_beyond_the_end_reads_nothing<B: Backend>() {
    let place = B::new().await;
    let store = with_events(&place, 3, Limits::default()).await;
    for after in [3, 4, u64::MAX] {
        assert!(store.read(Position(after), 10, &[]).await.unwrap().is_empty());
    }
}

pub(crate) async fn a_page_ends_by_its_bytes_too<B: Backend>() {
    let place = B::new().await;
    let large = || event(&format!(r#"{{"note":"{}"}}"#, "x".repeat(1_000)));
    let store = place.open_with(Limits { page_bytes_max: 2_500, ..Limits::default() }).await;
    let stream = deal();
    store
        .append(Append { events: vec![event("{}"), large(), large(), large(), large()], ..append(stream, 0) })
        .await
        .unwrap();
    store.append(Append { events: vec![large()], ..append(deal(), 0) }).await.unwrap();
    let noted = ["deal.noted".to_owned()];
    for types in [&[][..], &noted] {
        assert_eq!(positions(&store.read(Position::ZERO, 100, types).await.unwrap()), [1, 2, 3, 4]);
        assert_eq!(positions(&store.read(Position(4), 100, types).await.unwrap()), [5, 6]);
        assert_eq!(positions(&store.read(Position(4), 1, types).await.unwrap()), [5]);
        assert!(store.read(Position(6), 100, types).await.unwrap().is_empty());
    }
    assert_eq!(versions(&store.read_stream(stream, Version(1), 100).await.unwrap()), [2, 3, 4]);
    assert_eq!(versions(&store.read_stream(stream, Version(4), 100).await.unwrap()), [5]);
    // At least one always comes.
    let store = place.open_with(Limits { page_bytes_max: 1, ..Limits::default() }).await;
    for types in [&[][..], &noted] {
        assert_eq!(positions(&store.read(Position(2), 100, types).await.unwrap()), [3]);
    }
    assert_eq!(versions(&store.read_stream(stream, Version(2), 100).await.unwrap()), [3]);
}

pub(crate) async fn who_reads_the_log_keeps_no_command_waiting<B: Backend>() {
    let place = B::new().await;
    let limits = Limits { read_connections_max: 1, command_connections_max: 1, ..Limits::default() };
    let store = place.open_with(limits).await;
    let stream = deal();
    store.append(append_many(stream, 0, 100)).await.unwrap();
    // Many more than there are connections: who took a turn among them would wait for all of them.
    let (mut reading, pages) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for reader in 0..READERS {
        let (store, pages) = (Arc::clone(&store), Arc::clone(&pages));
        reading.spawn(async move {
            loop {
                if reader % 2 == 0 {
                    store.read(Position::ZERO, 100, &[]).await.unwrap();
                } else {
                    store.read_stream(stream, Version::ZERO, 100).await.unwrap();
                }
                pages.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while pages.load(Ordering::Relaxed) < READERS {
        tokio::task::yield_now().await;
    }
    let mut waited = 0;
    for version in 0..20 {
        let before = pages.load(Ordering::Relaxed);
        store.head().await.unwrap();
        store.remembered(&[append(stream, 0).command_id]).await.unwrap();
        store.read_stream_for_command(stream, Version(99), 10).await.unwrap();
        store.token(Uuid::now_v7()).await.unwrap();
        waited += pages.load(Ordering::Relaxed) - before;
        // How long the disk takes is another matter.
        store.append(append(stream, 100 + version)).await.unwrap();
    }
    assert!(waited < 80 * READERS / 2, "{waited} pages were read before 80 lookups had their answer");
    reading.shutdown().await;
}

pub(crate) async fn a_rare_type_is_found_without_a_look_at_all_others<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let of = |event_type, events| {
        let events = vec![NewEvent { event_type, ..event("{}") }; events];
        store.append(Append { events, ..append(deal(), 0) })
    };
    of("deal.opened", 10).await.unwrap();
    for appended in join_all((0..300).map(|_| of("deal.noted", 100))).await {
        appended.unwrap();
    }
    of("deal.won", 10).await.unwrap();
    let quickest = async |types: &[&str]| {
        let types: Vec<_> = types.iter().map(|&name| name.to_owned()).collect();
        let mut quickest = Duration::MAX;
        for _ in 0..15 {
            let begun = Instant::now();
            assert_eq!(store.read(Position::ZERO, 10, &types).await.unwrap().len(), 10);
            quickest = quickest.min(begun.elapsed());
        }
        quickest
    };
    let (near, far) = (quickest(&["deal.opened"]).await, quickest(&["deal.won"]).await);
    assert!(far < 5 * near, "events at the end of the log took {far:?}, and those at its beginning {near:?}");
    let (near, far) = (quickest(&["deal.opened", "deal.lost"]).await, quickest(&["deal.won", "deal.lost"]).await);
    assert!(far < 5 * near, "events at the end of the log took {far:?}, and those at its beginning {near:?}");
}
