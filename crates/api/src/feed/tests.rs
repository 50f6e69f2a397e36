//! The way from the log's pages to what is read for all, on a log that grows whenever it is looked at.

use std::{
    sync::Mutex,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Bytes;
use dealog_events::{Actor, Cause, CommandId, Cursor, DealId, Envelope, Position, StreamId, Timestamp, Version};
use dealog_store::{Append, AppendError, Appended, Head, Remembered};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::*;
use crate::fair::{Share, Turns, Weight};

/// A log that answers from memory.
struct Log {
    events: Mutex<Vec<Envelope>>,
    wake: watch::Sender<Position>,
    reads: AtomicUsize,
    /// Events that come with each read, until there are `events_max`.
    growth: usize,
    events_max: usize,
    /// Why it cannot be read, if it cannot.
    broken: Mutex<Option<fn() -> StoreError>>,
    /// Bytes of each event's data.
    data_bytes: usize,
    /// Events after which a page ends, however many were asked for: as where it has many bytes.
    page_events_max: usize,
}

impl Log {
    fn of(events: usize, growth: usize, events_max: usize) -> Arc<Self> {
        let log = Self { growth, events_max, ..Self::empty() };
        log.append(events);
        Arc::new(log)
    }

    fn empty() -> Self {
        Self {
            events: Mutex::default(),
            wake: watch::Sender::new(Position::ZERO),
            reads: AtomicUsize::new(0),
            growth: 0,
            events_max: 0,
            broken: Mutex::default(),
            data_bytes: 2,
            page_events_max: usize::MAX,
        }
    }

    /// Every tenth is a deal that is won; the others are begun.
    fn append(&self, count: usize) {
        let mut events = self.events.lock().unwrap();
        for _ in 0..count {
            let position = events.len() as u64 + 1;
            let event_type = if position.is_multiple_of(10) { "deal.won" } else { "deal.created" };
            events.push(Envelope {
                position: Position(position),
                event_id: Uuid::nil(),
                stream: StreamId::Deal(DealId(Uuid::nil())),
                version: Version(position),
                event_type: event_type.into(),
                schema: 1,
                occurred_at: Timestamp::MIN,
                recorded_at: Timestamp::MIN,
                command_id: CommandId(Uuid::nil()),
                cause: Cause::new(Actor::Local, CommandId(Uuid::nil())),
                data: format!("{{{}}}", " ".repeat(self.data_bytes - 2)).try_into().unwrap(),
            });
        }
        self.wake.send_replace(Position(events.len() as u64));
    }

    fn check(&self) -> Result<(), StoreError> {
        self.broken.lock().unwrap().map_or(Ok(()), |broken| Err(broken()))
    }
}

#[async_trait]
impl EventStore for Log {
    fn append(&self, _: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        unreachable!("the feed only reads")
    }

    async fn remembered(&self, _: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        unreachable!("the feed only reads")
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.check()?;
        let position = Position(self.events.lock().unwrap().len() as u64);
        Ok(Head { log_id: Uuid::nil(), position, recorded_at: Timestamp::MIN })
    }

    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError> {
        self.check()?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = {
            let events = self.events.lock().unwrap();
            let later = events.iter().filter(|event| event.position > after);
            later
                .filter(|event| types.is_empty() || types.contains(&event.event_type))
                .take(limit.min(self.page_events_max))
                .cloned()
                .collect()
        };
        // Whatever was read is no longer all there is.
        let room = self.events_max.saturating_sub(self.events.lock().unwrap().len());
        if self.growth.min(room) > 0 {
            self.append(self.growth.min(room));
        }
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn types(&self) -> Result<Vec<String>, StoreError> {
        unreachable!("the feed reads events of all types")
    }

    async fn read_stream(&self, _: StreamId, _: Version, _: usize) -> Result<Vec<Envelope>, StoreError> {
        unreachable!("the feed reads the log, not streams")
    }

    async fn read_stream_for_command(&self, _: StreamId, _: Version, _: usize) -> Result<Vec<Envelope>, StoreError> {
        unreachable!("the feed reads the log, not streams")
    }

    async fn can_append(&self) -> Result<(), dealog_store::Unable> {
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.wake.subscribe()
    }

    async fn close(&self) {}
}

fn feed(log: &Arc<Log>, limits: &Limits) -> Feed {
    let store: Arc<dyn EventStore> = Arc::<Log>::clone(log);
    Feed::start(store, *limits)
}

fn after(feed: &Feed, position: u64, types: &[&str]) -> Subscriber {
    let types = types.iter().map(|name| (*name).to_owned()).collect();
    feed.subscribe(Start::After(Cursor::bare(Position(position))), types).unwrap()
}

async fn next(subscriber: &mut Subscriber) -> String {
    let text: Option<Bytes> = timeout(Duration::from_secs(20), subscriber.next()).await.unwrap();
    text.map_or(String::new(), |text| String::from_utf8(text.to_vec()).unwrap())
}

fn ids(text: &str) -> Vec<u64> {
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse::<Cursor>().unwrap().position.0).collect()
}

/// All ids up to `last`.
async fn ids_up_to(subscriber: &mut Subscriber, last: u64) -> Vec<u64> {
    let mut found = Vec::new();
    while found.last() < Some(&last) {
        let text = next(subscriber).await;
        assert!(!text.is_empty() && !text.contains("event: dropped"), "{text}");
        found.extend(ids(&text));
    }
    found
}

#[tokio::test]
async fn who_catches_up_on_a_growing_log_gets_every_event_once() {
    for growth in [0, 1, 7, 99, 100, 101] {
        let log = Log::of(1_000, growth, 3_000);
        let feed = feed(&log, &Limits::default());
        let mut subscriber = after(&feed, 0, &[]);
        let mut found = ids_up_to(&mut subscriber, 1_000).await;
        let missing = 3_000 - log.head().await.unwrap().position.0;
        log.append(usize::try_from(missing).unwrap());
        if found.last() < Some(&3_000) {
            found.extend(ids_up_to(&mut subscriber, 3_000).await);
        }
        assert_eq!(found, (1..=3_000).collect::<Vec<_>>(), "{growth} events come with each read");
    }
}

#[tokio::test]
async fn many_subscribers_at_different_places_get_the_same() {
    let log = Log::of(500, 3, 2_000);
    let feed = feed(&log, &Limits::default());
    let readers = [0, 1, 99, 100, 101, 499, 500].map(|begin| {
        let mut all = after(&feed, begin, &[]);
        let mut won = after(&feed, begin, &["deal.won"]);
        tokio::spawn(async move {
            assert_eq!(ids_up_to(&mut all, 2_000).await, (begin + 1..=2_000).collect::<Vec<_>>());
            let tenths: Vec<u64> = (begin + 1..=2_000).filter(|id| id.is_multiple_of(10)).collect();
            assert_eq!(ids_up_to(&mut won, 2_000).await, tenths);
        })
    });
    log.append(1_000);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_subscriber_that_comes_after_all_have_gone_misses_nothing() {
    let log = Log::of(5, 0, 5);
    let feed = feed(&log, &Limits::default());
    for round in 0..20 {
        let mut subscriber = after(&feed, round * 5, &[]);
        let last = (round + 1) * 5;
        assert_eq!(ids_up_to(&mut subscriber, last).await, (last - 4..=last).collect::<Vec<_>>());
        assert_eq!(feed.subscribers(), 1);
        drop(subscriber);
        assert_eq!(feed.subscribers(), 0);
        log.append(5);
    }
}

#[tokio::test]
async fn who_falls_out_of_what_is_kept_is_told_where_to_resume() {
    let log = Log::of(0, 0, 0);
    let feed = feed(&log, &Limits { subscriber_queue_events_max: 8, ..Limits::default() });
    let (mut slow, mut quick) = (after(&feed, 0, &[]), after(&feed, 0, &[]));
    let mut found = Vec::new();
    let mut head = 0;
    while slow.following.is_none() {
        log.append(1);
        head += 1;
        found.extend(ids_up_to(&mut slow, head).await);
    }
    // The other one goes on alone.
    for _ in 0..30 {
        log.append(1);
        head += 1;
        let _ = ids_up_to(&mut quick, head).await;
    }
    let mut last = next(&mut slow).await;
    while !last.contains("event: dropped") {
        found.extend(ids(&last));
        last = next(&mut slow).await;
    }
    assert!(last.contains("\"code\":\"too_slow\""), "{last}");
    let reached = *found.last().unwrap();
    assert!(reached + 20 < head && last.contains(&format!("\"position\":{reached}")), "{last}");
    assert_eq!(slow.next().await, None);
    found.extend(ids_up_to(&mut after(&feed, reached, &[]), head).await);
    assert_eq!(found, (1..=head).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn followers_do_not_wait_for_more_to_gather_where_a_page_ended_by_bytes() {
    let log = Arc::new(Log { page_events_max: 10, ..Log::empty() });
    let feed = feed(&log, &Limits::default());
    let mut follower = after(&feed, 0, &[]);
    log.append(1);
    let _ = ids_up_to(&mut follower, 1).await;
    while follower.following.is_none() {
        log.append(1);
        let head = log.head().await.unwrap().position.0;
        let _ = ids_up_to(&mut follower, head).await;
    }
    let (begun, head) = (tokio::time::Instant::now(), log.head().await.unwrap().position.0);
    log.append(2_000);
    let _ = ids_up_to(&mut follower, head + 2_000).await;
    assert!(begun.elapsed() < Duration::from_millis(20), "{:?} for 200 pages", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn few_events_go_out_at_once_however_many_subscribe_and_many_gather() {
    const OTHERS: u64 = 100;
    let log = Arc::new(Log::empty());
    let feed = feed(&log, &Limits::default());
    let mut follower = after(&feed, 0, &[]);
    let others: Vec<Subscriber> = (0..OTHERS).map(|_| after(&feed, 0, &["deal.reopened"])).collect();
    let mut head = 0;
    while follower.following.is_none() {
        log.append(1);
        head += 1;
        let _ = ids_up_to(&mut follower, head).await;
    }
    // Forty a second for two seconds, two at a time.
    sleep(Duration::from_secs(1)).await;
    for pause_ms in [3, 47].into_iter().cycle().take(80) {
        let begun = Instant::now();
        log.append(1);
        head += 1;
        let _ = ids_up_to(&mut follower, head).await;
        assert!(begun.elapsed() < Duration::from_millis(2), "{:?} for one event", begun.elapsed());
        sleep(Duration::from_millis(pause_ms)).await;
    }
    // A thousand a second, for one second: all of them arrive, in batches whose number is bounded.
    let (begun, last) = (Instant::now(), head + 1_000);
    let appended = async {
        for _ in 0..1_000 {
            log.append(1);
            sleep(Duration::from_millis(1)).await;
        }
    };
    let received = async {
        let mut batches = 0;
        while head < last {
            head = ids(&next(&mut follower).await).last().copied().unwrap_or(head);
            batches += 1;
        }
        batches
    };
    let ((), batches) = tokio::join!(appended, received);
    assert!((80..130).contains(&batches), "{batches} batches in {:?}", begun.elapsed());
    drop(others);
}

#[tokio::test]
async fn what_is_sent_at_once_is_bounded_in_bytes_whatever_size_events_have() {
    const EVENT_BYTES: usize = 60 * 1024;
    let log = Arc::new(Log { data_bytes: EVENT_BYTES, ..Log::empty() });
    let feed = feed(&log, &Limits::default());
    let (mut all, mut some) = (after(&feed, 0, &[]), after(&feed, 0, &["deal.created"]));
    for head in [40, 80, 120] {
        log.append(40);
        for subscriber in [&mut all, &mut some] {
            let mut last = 0;
            while last < head {
                let text = next(subscriber).await;
                assert!(text.len() < recent::BATCH_BYTES_MAX + EVENT_BYTES + 1_024, "{} bytes at once", text.len());
                let found = ids(&text);
                assert!(found.windows(2).all(|pair| pair[0] < pair[1]) && found[0] > last);
                last = found.last().copied().unwrap() + u64::from(found.last() == Some(&(head - 1)));
            }
        }
    }
    assert!(all.following.is_some() && some.following.is_some());
}

#[tokio::test]
async fn pages_that_nobody_takes_share_room_and_one_caller_has_half_of_it() {
    let log = Arc::new(Log { data_bytes: 60 * 1024, ..Log::empty() });
    log.append(100);
    let limits = Limits { subscriber_pages_bytes_max: 2 * 1024 * 1024, ..Limits::default() };
    let (feed, turns) = (feed(&log, &limits), Turns::new(&limits));
    let of = |number: u8| {
        let share = Share::Address(Some([192, 0, 2, number].into()));
        after(&feed, 0, &[]).in_turn(turns.clone(), share)
    };
    let mut held = Vec::new();
    let mut waiting = loop {
        assert!(held.len() < 100, "nobody waits for room");
        let mut subscriber = of(1);
        match timeout(Duration::from_millis(200), subscriber.next()).await {
            Ok(page) => held.push(page.unwrap()),
            Err(_) => break subscriber,
        }
    };
    let bytes: usize = held.iter().map(Bytes::len).sum();
    assert!(held.len() > 1 && bytes <= limits.subscriber_pages_bytes_max / 2, "{bytes}");
    assert!(!next(&mut of(2)).await.is_empty(), "another caller waits for it");
    held.pop();
    assert_eq!(ids(&next(&mut waiting).await)[0], 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_or_for_a_turn_is_told_that_the_connection_lives() {
    let log = Log::of(100, 0, 100);
    // Half of it is room for one page.
    let limits = Limits { subscriber_pages_bytes_max: 1024, log_queries_max: 1, ..Limits::default() };
    let (feed, turns) = (feed(&log, &limits), Turns::new(&limits));
    let share = Share::Address(None);
    let subscriber = || after(&feed, 0, &[]).in_turn(turns.clone(), share);
    let (mut first, mut second) = (subscriber(), subscriber());
    let page = first.next().await.unwrap();
    for _ in 0..2 {
        assert_eq!(next(&mut second).await, ":\n\n");
    }
    drop(page);
    let query = turns.take(share, Weight::Log).await.unwrap();
    for _ in 0..2 {
        assert_eq!(next(&mut second).await, ":\n\n");
    }
    drop(query);
    assert_eq!(ids(&next(&mut second).await)[0], 1);
}

#[tokio::test]
async fn nothing_is_read_when_nobody_subscribes() {
    let log = Log::of(10, 0, 10);
    let feed = feed(&log, &Limits::default());
    let reads = || log.reads.load(Ordering::Relaxed);
    log.append(10);
    tokio::task::yield_now().await;
    assert_eq!(reads(), 0);
    let _ = ids_up_to(&mut after(&feed, 0, &[]), 20).await;
    assert!(reads() > 0);
    // It rests as soon as it sees that there is nobody: what it kept is gone then.
    let rested = async {
        while feed.recent.borrow().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), rested).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_of_a_log_that_cannot_be_read_is_sent_away_and_followers_go_on_when_it_can() {
    let log = Log::of(10, 0, 10);
    let feed = feed(&log, &Limits::default());
    let mut follower = after(&feed, 0, &[]);
    let _ = ids_up_to(&mut follower, 10).await;
    log.append(1);
    let _ = ids_up_to(&mut follower, 11).await;
    *log.broken.lock().unwrap() = Some(|| StoreError::Schema("broken".into()));
    log.append(1);
    let last = next(&mut after(&feed, 3, &[])).await;
    assert!(last.contains("\"code\":\"internal\"") && last.contains("\"position\":3"), "{last}");
    *log.broken.lock().unwrap() = None;
    assert_eq!(ids_up_to(&mut follower, 12).await, [12]);
}

/// A subscriber that has come to the end of the log, and follows.
async fn following(log: &Log, feed: &Feed) -> Subscriber {
    let mut follower = after(feed, 0, &[]);
    while follower.following.is_none() {
        // Time stands still as long as anything goes on.
        sleep(Duration::from_millis(100)).await;
        log.append(1);
        let head = log.head().await.unwrap().position.0;
        let _ = ids_up_to(&mut follower, head).await;
    }
    follower
}

#[tokio::test(start_paused = true)]
async fn who_follows_a_log_that_turns_out_to_be_damaged_is_told_and_others_follow_once_it_is_not() {
    let log = Log::of(0, 0, 0);
    let feed = feed(&log, &Limits::default());
    let mut follower = following(&log, &feed).await;
    let head = log.head().await.unwrap().position.0;
    let damaged = || StoreError::Damaged { position: Position(7), reason: "bytes were changed".into() };
    *log.broken.lock().unwrap() = Some(damaged);
    log.append(1);
    let last = next(&mut follower).await;
    assert!(last.contains("\"code\":\"internal\"") && last.contains(&format!("\"position\":{head}")), "{last}");
    *log.broken.lock().unwrap() = None;
    let mut follower = following(&log, &feed).await;
    log.append(1);
    let head = log.head().await.unwrap().position.0;
    assert_eq!(ids_up_to(&mut follower, head).await, [head]);
}

#[tokio::test(start_paused = true)]
async fn who_follows_a_log_that_is_restored_from_a_backup_is_told_before_anything_of_its_other_history() {
    let log = Log::of(0, 0, 0);
    let feed = feed(&log, &Limits::default());
    let mut follower = following(&log, &feed).await;
    *log.broken.lock().unwrap() = Some(|| StoreError::Schema("away".into()));
    log.append(1);
    // The reader of the log's end has noticed.
    sleep(Duration::from_millis(500)).await;
    for event in &mut *log.events.lock().unwrap() {
        event.event_id = Uuid::max();
    }
    *log.broken.lock().unwrap() = None;
    let last = next(&mut follower).await;
    assert!(last.contains("\"code\":\"other_history\""), "{last}");
    assert_eq!(follower.next().await, None);
}

#[tokio::test]
async fn streams_that_begin_while_the_server_stops_end_at_once() {
    let log = Log::of(3, 0, 3);
    let feed = feed(&log, &Limits::default());
    feed.stop();
    let mut late = feed.subscribe(Start::Now(Cursor::bare(Position(3))), Vec::new()).unwrap();
    assert!(next(&mut late).await.starts_with("id: 3\nevent: position\n"));
    assert!(next(&mut late).await.starts_with("event: stopping\n"));
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn a_type_that_does_not_come_for_long_is_told_by_position() {
    let log = Log::of(9, 0, 9);
    let feed = feed(&log, &Limits { subscriber_keep_alive: Duration::from_millis(1), ..Limits::default() });
    let mut won = after(&feed, 0, &["deal.won"]);
    assert_eq!(next(&mut won).await, "id: 9-00000000\nevent: position\ndata: {\"position\":9}\n\n");
    assert_eq!(next(&mut won).await, ":\n\n");
    log.append(2);
    let mut text = next(&mut won).await;
    while text == ":\n\n" {
        text = next(&mut won).await;
    }
    assert!(text.starts_with("id: 10-00000000\nevent: deal.won\n"), "{text}");
    assert_eq!(next(&mut won).await, "id: 11-00000000\nevent: position\ndata: {\"position\":11}\n\n");
}
