//! What may happen to a worker, and what must come of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dealog_events::{CommandId, DealId, Envelope, Event, Position, StreamId, Version};
use dealog_projections::{
    Dialect, Limits, ModelStatus, Projection, ProjectionError, Status,
    models::deals::{Deals, MODEL},
};
use dealog_store::{Append, EventStore, Fingerprint, NewEvent, sqlite::SqliteStore};
use sqlx::AnyConnection;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    company::deal_id,
    databases::{On, PATIENCE, TestDatabase, limits, on_both, ready, rows_of, start, worker},
    dice::Dice,
    memory::MemoryStore,
    story,
};

on_both!(
    each_event_counts_exactly_once_when_workers_die_between_and_within_batches,
    a_worker_whose_batch_failed_goes_on_from_what_the_tables_hold,
    a_rebuild_that_fails_leaves_the_tables_as_they_were,
    a_checkpoint_of_another_log_is_refused,
    a_checkpoint_beyond_the_head_is_refused,
    tables_of_an_earlier_version_are_made_anew,
    thousands_of_events_in_one_batch_come_to_the_same_rows,
    an_event_that_cannot_be_read_stops_the_projection_and_is_never_skipped,
    an_event_that_does_not_follow_from_those_before_stops_the_projection,
    two_workers_that_follow_one_growing_log_fold_each_event_once,
    a_log_on_disk_gives_the_same_tables_and_stops_them_at_what_it_cannot_read,
);

async fn some_log(seed: u64) -> Vec<Envelope> {
    story::story(&mut Dice::new(seed)).await.log()
}

/// The projection, but that one batch fails when it is already written and not committed.
struct Dying {
    deals: Deals,
    batches_before: Option<usize>,
}

#[async_trait]
impl Projection for Dying {
    fn name(&self) -> &'static str {
        self.deals.name()
    }

    fn version(&self) -> i64 {
        self.deals.version()
    }

    fn tables(&self) -> Vec<&'static str> {
        self.deals.tables()
    }

    fn schema(&self, dialect: Dialect) -> Vec<String> {
        self.deals.schema(dialect)
    }

    fn indexes(&self) -> Vec<String> {
        self.deals.indexes()
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        self.deals.apply(db, events).await?;
        if self.batches_before == Some(0) {
            self.batches_before = None;
            return Err(sqlx::Error::WorkerCrashed.into());
        }
        self.batches_before = self.batches_before.map(|left| left - 1);
        Ok(())
    }

    fn forget(&mut self) {
        self.deals.forget();
    }
}

async fn each_event_counts_exactly_once_when_workers_die_between_and_within_batches(on: On) {
    let log = some_log(1).await;
    let expected = rows_of(&log).await;
    let mut dice = Dice::new(1);
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(Vec::new()), &test.database, 1).await.unwrap();
    let store = MemoryStore::holding(log);
    let mut deaths = 0;
    loop {
        let projection = Box::new(Dying { deals: Deals::default(), batches_before: Some(dice.below(4)) });
        let database = test.again().await;
        let batch = limits(dice.below(9) + 1);
        let mut worker = start(store.clone(), database.clone(), projection, batch).await.unwrap();
        let reached = worker.catch_up().await;
        drop(worker);
        database.close().await;
        match reached {
            Ok(_) => break,
            Err(ProjectionError::Database(sqlx::Error::WorkerCrashed)) => deaths += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(deaths > 3, "{deaths} deaths are too few to tell anything");
    assert_eq!(test.rows().await, expected);
}

async fn a_worker_whose_batch_failed_goes_on_from_what_the_tables_hold(on: On) {
    let log = some_log(2).await;
    let expected = rows_of(&log).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(Vec::new());
    let projection = Box::new(Dying { deals: Deals::default(), batches_before: Some(3) });
    let mut worker = ready(store.clone(), &test.database, projection, limits(5)).await.unwrap();
    store.extend(&log);
    worker.catch_up().await.unwrap_err();
    assert_eq!(test.position().await, Position(15));
    worker.catch_up().await.unwrap();
    assert_eq!(test.rows().await, expected);
}

async fn a_rebuild_that_fails_leaves_the_tables_as_they_were(on: On) {
    let log = some_log(3).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    worker(store.clone(), &test.database, 10).await.unwrap();
    let before = test.rows().await;
    let projection = Box::new(Dying { deals: Deals::default(), batches_before: Some(2) });
    let mut dying = start(store.clone(), test.database.clone(), projection, limits(10)).await.unwrap();
    dying.rebuild().await.unwrap_err();
    drop(dying);
    assert_eq!(test.rows().await, before);
    assert_eq!(test.position().await, log.last().unwrap().position);
}

async fn a_checkpoint_of_another_log_is_refused(on: On) {
    let log = some_log(4).await;
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(log.clone()), &test.database, 100).await.unwrap();
    let other = MemoryStore::with_id(Uuid::from_u128(2), log);
    let error = worker(other, &test.database, 100).await.err().unwrap();
    assert!(matches!(error, ProjectionError::OtherLog { .. }), "{error}");
    assert!(error.to_string().contains("dealog rebuild"), "{error}");
}

async fn a_checkpoint_beyond_the_head_is_refused(on: On) {
    let mut log = some_log(5).await;
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(log.clone()), &test.database, 100).await.unwrap();
    let last = log.pop().unwrap().position;
    let error = worker(MemoryStore::holding(log), &test.database, 100).await.err().unwrap();
    let refused = matches!(error, ProjectionError::BeyondHead { checkpoint, head }
        if checkpoint == last && head.next() == last);
    assert!(refused, "{error}");
}

async fn tables_of_an_earlier_version_are_made_anew(on: On) {
    let log = some_log(6).await;
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(log.clone()), &test.database, 100).await.unwrap();
    let expected = test.rows().await;
    let spoil = "UPDATE checkpoints SET version = version - 1; DROP TABLE deals;";
    test.execute(spoil).await;
    worker(MemoryStore::holding(log), &test.database, 7).await.unwrap();
    assert_eq!(test.rows().await, expected);
}

async fn thousands_of_events_in_one_batch_come_to_the_same_rows(on: On) {
    // Each deal of a story many times, side by side.
    let mut log = Vec::new();
    for event in some_log(11).await {
        let streams = match event.stream {
            StreamId::Deal(DealId(id)) => {
                (0..100).map(|copy| StreamId::Deal(DealId(Uuid::from_u128(id.as_u128() ^ (copy << 64))))).collect()
            }
            other => vec![other],
        };
        for stream in streams {
            log.push(Envelope { position: Position(log.len() as u64 + 1), stream, ..event.clone() });
        }
    }
    assert!(log.len() > 3_000, "{} events are too few to tell anything", log.len());
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(log.clone()), &test.database, log.len()).await.unwrap();
    let at_once = test.rows().await;
    assert_eq!(at_once, rows_of(&log).await);
}

/// What a later version of Dealog may have written.
fn unknown(log: &[Envelope]) -> Envelope {
    let last = log.last().unwrap();
    Envelope {
        position: last.position.next(),
        stream: StreamId::Deal(deal_id(99)),
        version: Version(1),
        event_type: "deal.exploded".to_owned(),
        data: "{}".to_owned().try_into().unwrap(),
        ..last.clone()
    }
}

async fn an_event_that_cannot_be_read_stops_the_projection_and_is_never_skipped(on: On) {
    let log = some_log(7).await;
    let (before, after) = log.split_at(log.len() / 2);
    let mut spoilt = before.to_vec();
    let bad = unknown(before);
    spoilt.push(bad.clone());
    for event in after {
        spoilt.push(Envelope { position: event.position.next(), ..event.clone() });
    }
    for batch in [1, 3, 1_000] {
        let test = TestDatabase::new(on).await;
        worker(MemoryStore::holding(Vec::new()), &test.database, batch).await.unwrap();
        let mut worker = worker(MemoryStore::holding(spoilt.clone()), &test.database, batch).await.unwrap();
        for _ in 0..2 {
            let error = worker.catch_up().await.unwrap_err();
            assert_eq!(error.poison(), Some(bad.position), "{error}");
            assert!(error.to_string().contains("deal.exploded"), "{error}");
        }
        let seen = test.position().await;
        assert!(seen < bad.position, "what comes behind it was folded");

        // A worker that follows says so, and a version that can read it goes on from there.
        let status = worker.status();
        let (_stop, stopped) = watch::channel(false);
        tokio::time::timeout(PATIENCE, worker.follow(stopped)).await.unwrap();
        let Status::Stopped { position, reason } = status.of(MODEL.name).unwrap() else { panic!("it goes on") };
        assert_eq!(position, seen);
        assert!(reason.contains(&format!("position {}", bad.position)), "{reason}");
        self::worker(MemoryStore::holding(log.clone()), &test.database, 5).await.unwrap().catch_up().await.unwrap();
        assert_eq!(test.rows().await, rows_of(&log).await);
    }
}

async fn an_event_that_does_not_follow_from_those_before_stops_the_projection(on: On) {
    let log = some_log(8).await;
    let test = TestDatabase::new(on).await;
    let missing = log.iter().position(|event| event.event_type == "deal.created").unwrap();
    let mut holed = log.clone();
    holed.remove(missing);
    worker(MemoryStore::holding(Vec::new()), &test.database, 10).await.unwrap();
    let mut worker = worker(MemoryStore::holding(holed), &test.database, 10).await.unwrap();
    let error = worker.catch_up().await.unwrap_err();
    assert!(matches!(error, ProjectionError::ModelStopped { .. }), "{error}");
}

async fn two_workers_that_follow_one_growing_log_fold_each_event_once(on: On) {
    let log = some_log(9).await;
    let expected = rows_of(&log).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(Vec::new());
    let (stop, stopped) = watch::channel(false);
    let mut following = Vec::new();
    for batch in [3, 5] {
        let database = test.again().await;
        let limits = Limits { poll_interval: Duration::from_millis(5), ..limits(batch) };
        let worker = start(store.clone(), database, Box::new(Deals::default()), limits).await.unwrap();
        following.push((worker.status(), tokio::spawn(worker.follow(stopped.clone()))));
    }
    for piece in log.chunks(10) {
        store.extend(piece);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let last = log.last().unwrap().position;
    for (status, _) in &mut following {
        let there = |models: &[ModelStatus]| models.iter().all(|model| model.status == Status::Following(last));
        assert!(tokio::time::timeout(PATIENCE, status.wait_for(there)).await.unwrap());
    }
    stop.send_replace(true);
    for (_, task) in following {
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    assert_eq!(test.rows().await, expected);
}

async fn a_log_on_disk_gives_the_same_tables_and_stops_them_at_what_it_cannot_read(on: On) {
    let log = some_log(10).await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("log.db"), dealog_store::Limits::default()).await.unwrap();
    for event in log.iter().chain([&unknown(&log)]) {
        store.append(raw(event)).await.unwrap();
    }
    let store: Arc<dyn EventStore> = Arc::new(store);
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::with_id(store.head().await.unwrap().log_id, Vec::new()), &test.database, 1).await.unwrap();
    let mut worker = worker(store.clone(), &test.database, 1).await.unwrap();
    let error = worker.catch_up().await.unwrap_err();
    let bad = log.last().unwrap().position.next();
    assert_eq!(error.poison(), Some(bad), "{error}");
    let but_checkpoint =
        |rows: Vec<String>| rows.into_iter().filter(|row| !row.starts_with("checkpoints")).collect::<Vec<_>>();
    assert_eq!(but_checkpoint(test.rows().await), but_checkpoint(rows_of(&log).await));
    assert_eq!(test.position().await.next(), bad);
}

/// An event past all handlers, by itself.
fn raw(event: &Envelope) -> Append {
    let event_type = event.event().map_or("deal.exploded", |known| known.event_type().0);
    Append {
        command_id: CommandId(Uuid::from_u128(u128::from(event.position.0))),
        fingerprint: Fingerprint([0; 32]),
        cause: event.cause,
        now: event.recorded_at,
        stream: event.stream,
        expected: Version(event.version.0 - 1),
        unchanged: Vec::new(),
        events: vec![NewEvent { event_type, schema: 1, occurred_at: event.occurred_at, data: event.data.to_string() }],
    }
}
