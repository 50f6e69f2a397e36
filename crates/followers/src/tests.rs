//! Followers of a log on disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use dealog_events::{
    Actor, Category, Cause, CommandId, Cursor, DealId, Envelope, Position, ReadError, StreamId, Timestamp, Version,
};
use dealog_store::{Append, EventStore, Fingerprint, NewEvent, sqlite::SqliteStore};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use uuid::Uuid;

use crate::{Follower, Limits, OtherHistory, Status, Trouble, Turn, advance, catch_up, check, follow};

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Batches of ten events. Nobody looks by itself within a test: who goes on was woken.
const LIMITS: Limits =
    Limits { batch_events_max: 10, poll_interval: Duration::from_hours(1), retry_interval: Duration::from_millis(20) };

/// The same for what nobody wakes it for.
const LOOKING: Limits = Limits { poll_interval: Duration::from_millis(10), ..LIMITS };

struct Log {
    store: Arc<dyn EventStore>,
    folder: TempDir,
}

impl Log {
    async fn of(events: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Self { store: open(&folder.path().join("log.db")).await, folder };
        log.append(events).await;
        log
    }

    async fn append(&self, events: u64) {
        for _ in 0..events {
            append(&*self.store).await;
        }
    }

    async fn cursor(&self, position: u64) -> Cursor {
        Cursor::at(&self.store.read(Position(position - 1), 1, &[]).await.unwrap()[0])
    }
}

async fn open(path: &Path) -> Arc<dyn EventStore> {
    Arc::new(SqliteStore::open(path, dealog_store::Limits::default()).await.unwrap())
}

async fn append(store: &dyn EventStore) {
    append_of(store, "deal.created").await;
}

async fn append_of(store: &dyn EventStore, event_type: &'static str) {
    let event = NewEvent { event_type, schema: 1, occurred_at: Timestamp::MIN, data: "{}".to_owned() };
    let appended = store.append(Append {
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([0; 32]),
        cause: Cause { actor: Actor::Local, correlation_id: Uuid::now_v7(), causation_id: None },
        now: Timestamp::MIN,
        stream: StreamId::Deal(DealId(Uuid::now_v7())),
        expected: Version::ZERO,
        unchanged: Vec::new(),
        events: vec![event],
    });
    appended.await.unwrap();
}

/// What a follower does that is out of the ordinary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The event there is refused.
    Refuses(u64),
    /// The event there makes it panic.
    Panics(u64),
    /// The event there is refused, unless it comes alone.
    RefusesAmongOthers(u64),
    /// What it needs is away so many times.
    Away(u64),
    /// Another one moves it back to the beginning at the event there, once.
    IsMovedAt(u64),
    /// It goes no further than there.
    Until(u64),
    /// It can begin again.
    BeginsAgain,
}

/// What happened to a follower.
#[derive(Default)]
struct Seen {
    batches: Vec<Vec<u64>>,
    stopped: Option<(u64, String)>,
    begun_again: Option<OtherHistory>,
    rests: usize,
}

struct Fake {
    cursor: Cursor,
    flaw: Flaw,
    seen: Arc<Mutex<Seen>>,
    /// Who may go on, of several, and how far the one who does has come.
    lease: Option<(u32, watch::Sender<(u32, Position)>)>,
}

impl Fake {
    fn with(flaw: Flaw) -> (Self, Arc<Mutex<Seen>>) {
        let seen = Arc::<Mutex<Seen>>::default();
        (Self { cursor: Cursor::START, flaw, seen: Arc::clone(&seen), lease: None }, seen)
    }
}

#[async_trait]
impl Follower for Fake {
    type Item = Envelope;

    fn name(&self) -> &'static str {
        "fake"
    }

    fn prepare(event: Envelope) -> Result<Envelope, ReadError> {
        Ok(event)
    }

    async fn turn(&mut self) -> Result<Turn, Trouble> {
        if let Some((this, lease)) = &self.lease {
            let (leader, reached) = *lease.borrow();
            if leader != *this {
                return Ok(Turn::Wait(reached));
            }
        }
        Ok(match self.flaw {
            Flaw::Until(position) => Turn::Until(self.cursor, Position(position)),
            _ => Turn::Go(self.cursor),
        })
    }

    async fn handle(&mut self, events: Vec<Envelope>, reached: Cursor) -> Result<(), Trouble> {
        let positions: Vec<u64> = events.iter().map(|event| event.position.0).collect();
        assert_eq!(positions[0], self.cursor.position.0 + 1, "it does not follow");
        let poison = |position| Trouble::Poison { position: Position(position), reason: "too odd".into() };
        match self.flaw {
            Flaw::Refuses(at) if positions.contains(&at) => return Err(poison(at)),
            Flaw::Panics(at) if positions.contains(&at) => panic!("{at} is too odd"),
            Flaw::RefusesAmongOthers(at) if positions.contains(&at) && positions.len() > 1 => return Err(poison(at)),
            Flaw::Away(times) if times > 0 => {
                self.flaw = Flaw::Away(times - 1);
                return Err(Trouble::Away("it is away".into()));
            }
            Flaw::IsMovedAt(at) if positions.contains(&at) => {
                (self.flaw, self.cursor) = (Flaw::None, Cursor::START);
                return Err(Trouble::Moved);
            }
            _ => {}
        }
        self.cursor = reached;
        self.seen.lock().unwrap().batches.push(positions);
        if let Some((_, lease)) = &self.lease {
            lease.send_modify(|(_, position)| *position = reached.position);
        }
        Ok(())
    }

    async fn begin_again(&mut self, found: &OtherHistory) -> Result<(), Trouble> {
        if self.flaw != Flaw::BeginsAgain {
            return Err(Trouble::Ended(found.to_string()));
        }
        self.cursor = Cursor::START;
        self.seen.lock().unwrap().begun_again = Some(*found);
        Ok(())
    }

    async fn stopped(&mut self, at: Position, reason: &str) -> Result<(), Trouble> {
        self.seen.lock().unwrap().stopped = Some((at.0, reason.to_owned()));
        Ok(())
    }

    async fn rest(&mut self) {
        self.seen.lock().unwrap().rests += 1;
    }
}

/// A follower on its way.
struct Following {
    status: watch::Receiver<Status>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Fake>,
}

impl Following {
    fn start(log: &Log, fake: Fake, limits: Limits) -> Self {
        let (sender, status) = watch::channel(Status::Following(Position::ZERO));
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(follow(Arc::clone(&log.store), fake, limits, sender, stop.subscribe()));
        Self { status, stop, task }
    }

    async fn is(&mut self, wanted: impl FnMut(&Status) -> bool) -> Status {
        timeout(PATIENCE, self.status.wait_for(wanted)).await.unwrap().unwrap().clone()
    }

    async fn reaches(&mut self, position: u64) {
        self.is(|status| *status == Status::Following(Position(position))).await;
    }

    async fn stop(self) -> Fake {
        self.stop.send_replace(true);
        self.ends().await
    }

    async fn ends(self) -> Fake {
        timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

fn all(seen: &Mutex<Seen>) -> Vec<u64> {
    seen.lock().unwrap().batches.concat()
}

fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[tokio::test]
async fn all_before_an_event_that_cannot_be_handled_is_handled_and_then_it_stops_and_says_so() {
    let log = Log::of(25).await;
    for (flaw, what) in [(Flaw::Refuses(14), "too odd"), (Flaw::Panics(14), "14 is too odd")] {
        let (fake, seen) = Fake::with(flaw);
        let following = Following::start(&log, fake, LIMITS);
        let status = following.status.clone();
        following.ends().await;
        assert_eq!(all(&seen), numbers(1, 13));
        let Status::Stopped { position, reason } = status.borrow().clone() else { panic!("it goes on") };
        assert_eq!(position, Position(13));
        assert!(reason.contains("position 14 ") && reason.contains(what), "{reason}");
        let seen = seen.lock().unwrap();
        let (at, reason) = seen.stopped.as_ref().unwrap();
        assert!(*at == 14 && reason.contains(what), "{at}: {reason}");
        assert_eq!(seen.rests, 1);
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_prepared_is_one_that_cannot_be_handled() {
    struct Strict(Fake);
    #[async_trait]
    impl Follower for Strict {
        type Item = Envelope;
        fn name(&self) -> &'static str {
            self.0.name()
        }
        fn prepare(event: Envelope) -> Result<Envelope, ReadError> {
            let odd = event.position == Position(4);
            if odd { Err(ReadError::UnknownType("deal.exploded".into())) } else { Ok(event) }
        }
        async fn turn(&mut self) -> Result<Turn, Trouble> {
            self.0.turn().await
        }
        async fn handle(&mut self, events: Vec<Envelope>, reached: Cursor) -> Result<(), Trouble> {
            self.0.handle(events, reached).await
        }
    }
    let log = Log::of(9).await;
    let (fake, seen) = Fake::with(Flaw::None);
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    let error = catch_up(&log.store, &mut Strict(fake), LIMITS, &status).await.unwrap_err();
    assert!(matches!(error, Trouble::Poison { position: Position(4), .. }), "{error}");
    assert!(error.to_string().contains("deal.exploded"), "{error}");
    assert_eq!(all(&seen), numbers(1, 3));
}

/// Reads events of customers, and knows no others.
#[derive(Default)]
struct OfCustomers {
    cursor: Option<Cursor>,
    batches: Vec<(Vec<u64>, u64)>,
}

#[async_trait]
impl Follower for OfCustomers {
    type Item = u64;
    fn name(&self) -> &'static str {
        "customers"
    }
    fn reads(&self) -> &'static [Category] {
        &[Category::Customer]
    }
    fn prepare(event: Envelope) -> Result<u64, ReadError> {
        let known = event.event_type == "customer.registered";
        if known { Ok(event.position.0) } else { Err(ReadError::UnknownType(event.event_type)) }
    }
    async fn turn(&mut self) -> Result<Turn, Trouble> {
        Ok(Turn::Go(self.cursor.unwrap_or(Cursor::START)))
    }
    async fn handle(&mut self, items: Vec<u64>, reached: Cursor) -> Result<(), Trouble> {
        self.batches.push((items, reached.position.0));
        self.cursor = Some(reached);
        Ok(())
    }
}

#[tokio::test]
async fn who_reads_some_kinds_of_streams_is_led_past_the_others_and_stops_at_an_unknown_event_of_these() {
    let log = Log::of(30).await;
    let (mut follower, status) = (OfCustomers::default(), watch::Sender::new(Status::Following(Position::ZERO)));
    assert_eq!(catch_up(&log.store, &mut follower, LIMITS, &status).await.unwrap(), Position(30));
    assert_eq!(follower.batches, [(vec![], 30)]);
    for _ in 0..12 {
        append_of(&*log.store, "customer.registered").await;
        log.append(1).await;
    }
    assert_eq!(catch_up(&log.store, &mut follower, LIMITS, &status).await.unwrap(), Position(54));
    let odd = |from: u64, count| (from..).step_by(2).take(count).collect::<Vec<_>>();
    assert_eq!(follower.batches[1..], [(odd(31, 10), 49), (odd(51, 2), 54)]);
    assert_eq!(follower.cursor, Some(log.cursor(54).await));
    // A later version of Dealog has written it.
    log.append(5).await;
    append_of(&*log.store, "customer.exploded").await;
    let error = catch_up(&log.store, &mut follower, LIMITS, &status).await.unwrap_err();
    assert!(matches!(error, Trouble::Poison { position: Position(60), .. }), "{error}");
    // It stands right before that event, and not at the last one of its own.
    assert_eq!(follower.cursor, Some(log.cursor(59).await));
}

#[tokio::test]
async fn behind_an_event_that_it_gets_over_alone_batches_are_as_large_as_before() {
    let log = Log::of(40).await;
    let (mut fake, seen) = Fake::with(Flaw::RefusesAmongOthers(14));
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    catch_up(&log.store, &mut fake, LIMITS, &status).await.unwrap();
    assert_eq!(all(&seen), numbers(1, 40));
    let seen = seen.lock().unwrap();
    assert!(seen.batches.contains(&vec![14]), "{:?}", seen.batches);
    let largest = seen.batches.iter().filter(|batch| batch[0] > 20).map(Vec::len).max();
    assert_eq!(largest, Some(10), "{:?}", seen.batches);
}

#[tokio::test]
async fn what_is_away_is_tried_again_and_the_status_says_so_meanwhile() {
    let log = Log::of(5).await;
    let (fake, seen) = Fake::with(Flaw::Away(2));
    let mut following = Following::start(&log, fake, LIMITS);
    let waiting = following.is(|status| matches!(status, Status::Waiting { .. })).await;
    assert_eq!(waiting, Status::Waiting { position: Position::ZERO, reason: "it is away".into() });
    following.reaches(5).await;
    assert_eq!(seen.lock().unwrap().rests, 2, "nobody else could take its turn");
    following.stop().await;
    assert_eq!(all(&seen), numbers(1, 5));
}

#[tokio::test]
async fn a_follower_whose_turn_it_is_not_waits_and_shows_how_far_the_one_who_leads_is() {
    let log = Log::of(12).await;
    let lease = watch::Sender::new((1, Position::ZERO));
    let [(mut first, of_first), (mut second, of_second)] = [Fake::with(Flaw::None), Fake::with(Flaw::None)];
    (first.lease, second.lease) = (Some((1, lease.clone())), Some((2, lease.clone())));
    let mut first = Following::start(&log, first, LOOKING);
    let mut second = Following::start(&log, second, LOOKING);
    first.reaches(12).await;
    second.reaches(12).await;
    assert_eq!((all(&of_first), all(&of_second)), (numbers(1, 12), vec![]));

    // The second takes over, from where the first ended.
    let mut ended = first.stop().await;
    let (mut fake, of_third) = Fake::with(Flaw::None);
    (fake.cursor, fake.lease) = (ended.cursor, Some((3, lease.clone())));
    ended.lease = None;
    let mut third = Following::start(&log, fake, LOOKING);
    log.append(3).await;
    lease.send_modify(|(leader, _)| *leader = 3);
    third.reaches(15).await;
    second.reaches(15).await;
    assert_eq!((all(&of_second), all(&of_third)), (vec![], numbers(13, 15)));
    third.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn who_waits_for_another_has_caught_up_when_that_one_has() {
    let log = Log::of(12).await;
    let lease = watch::Sender::new((1, Position(7)));
    let (mut fake, seen) = Fake::with(Flaw::None);
    fake.lease = Some((2, lease.clone()));
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    assert_eq!(advance(&log.store, &mut fake, LOOKING, &status).await.unwrap(), Position(7));
    let waiting = catch_up(&log.store, &mut fake, LOOKING, &status);
    let reaching = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        lease.send_modify(|(_, position)| *position = Position(12));
    };
    let (reached, ()) = tokio::join!(timeout(PATIENCE, waiting), reaching);
    assert_eq!(reached.unwrap().unwrap(), Position(12));
    assert_eq!(all(&seen), Vec::<u64>::new());
}

#[tokio::test]
async fn a_follower_that_another_has_moved_is_asked_where_it_is() {
    let log = Log::of(30).await;
    let (mut fake, seen) = Fake::with(Flaw::IsMovedAt(25));
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    assert_eq!(catch_up(&log.store, &mut fake, LIMITS, &status).await.unwrap(), Position(30));
    assert_eq!(all(&seen), [numbers(1, 20), numbers(1, 30)].concat());
}

#[tokio::test]
async fn a_follower_goes_no_further_than_its_turn() {
    let log = Log::of(30).await;
    let (mut fake, seen) = Fake::with(Flaw::Until(17));
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    assert_eq!(advance(&log.store, &mut fake, LIMITS, &status).await.unwrap(), Position(17));
    assert_eq!(all(&seen), numbers(1, 17));
    fake.flaw = Flaw::None;
    assert_eq!(advance(&log.store, &mut fake, LIMITS, &status).await.unwrap(), Position(30));
    assert_eq!(all(&seen), numbers(1, 30));
}

#[tokio::test]
async fn a_cursor_of_another_history_is_told_apart_and_who_can_begins_again() {
    let log = Log::of(3).await;
    log.store.close().await;
    let backup = log.folder.path().join("restored.db");
    fs::copy(log.folder.path().join("log.db"), &backup).unwrap();
    let log = Log { store: open(&log.folder.path().join("log.db")).await, ..log };
    log.append(4).await;
    let cursor = log.cursor(7).await;
    assert_eq!(check(&*log.store, cursor).await.unwrap(), Ok(()));
    let restored = Log { store: open(&backup).await, folder: tempfile::tempdir().unwrap() };

    let shorter = check(&*restored.store, cursor).await.unwrap();
    assert_eq!(shorter, Err(OtherHistory::BeyondHead { cursor, head: Position(3) }));
    assert_eq!(check(&*restored.store, log.cursor(3).await).await.unwrap(), Ok(()), "what both have seen is the same");
    restored.append(5).await;
    let found = restored.cursor(7).await;
    let other = OtherHistory::OtherEvent { cursor, found };
    assert_eq!(check(&*restored.store, cursor).await.unwrap(), Err(other));

    let (mut fake, seen) = Fake::with(Flaw::BeginsAgain);
    fake.cursor = cursor;
    let mut following = Following::start(&restored, fake, LIMITS);
    following.reaches(8).await;
    following.stop().await;
    assert_eq!((all(&seen), seen.lock().unwrap().begun_again), (numbers(1, 8), Some(other)));

    // Who cannot begin again says so, and does nothing.
    let (mut fake, seen) = Fake::with(Flaw::None);
    fake.cursor = cursor;
    let following = Following::start(&restored, fake, LIMITS);
    let status = following.status.clone();
    following.ends().await;
    let Status::Stopped { reason, .. } = status.borrow().clone() else { panic!("it goes on") };
    assert!(reason.contains(&cursor.to_string()) && reason.contains(&found.to_string()), "{reason}");
    assert_eq!(all(&seen), Vec::<u64>::new());
}

#[tokio::test]
async fn a_bare_position_is_taken_at_its_word_where_the_log_has_it() {
    let log = Log::of(8).await;
    let (mut fake, seen) = Fake::with(Flaw::None);
    fake.cursor = Cursor::bare(Position(5));
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    assert_eq!(catch_up(&log.store, &mut fake, LIMITS, &status).await.unwrap(), Position(8));
    assert_eq!(all(&seen), numbers(6, 8));
    assert_eq!(fake.cursor, log.cursor(8).await, "what it has seen itself is proven");

    let (mut fake, _) = Fake::with(Flaw::None);
    fake.cursor = Cursor::bare(Position(9));
    let error = catch_up(&log.store, &mut fake, LIMITS, &status).await.unwrap_err();
    assert!(matches!(error, Trouble::Ended(_)), "{error}");
}

#[tokio::test]
async fn a_follower_is_woken_when_something_is_appended() {
    let log = Log::of(3).await;
    let (fake, seen) = Fake::with(Flaw::None);
    // It never looks by itself.
    let mut following = Following::start(&log, fake, LIMITS);
    following.reaches(3).await;
    for position in 4..=20 {
        let begun = Instant::now();
        log.append(1).await;
        following.reaches(position).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "after {:?}", begun.elapsed());
    }
    following.stop().await;
    assert_eq!(all(&seen), numbers(1, 20));
}

#[tokio::test]
async fn who_has_caught_up_is_at_the_end_of_the_log() {
    let log = Log::of(23).await;
    let (mut fake, seen) = Fake::with(Flaw::None);
    let status = watch::Sender::new(Status::Following(Position::ZERO));
    assert_eq!(catch_up(&log.store, &mut fake, LIMITS, &status).await.unwrap(), Position(23));
    assert_eq!(*status.borrow(), Status::Following(Position(23)));
    assert_eq!(seen.lock().unwrap().batches, [numbers(1, 10), numbers(11, 20), numbers(21, 23)]);
    assert_eq!(catch_up(&log.store, &mut fake, LIMITS, &status).await.unwrap(), Position(23));
    assert_eq!(all(&seen), numbers(1, 23));
}
