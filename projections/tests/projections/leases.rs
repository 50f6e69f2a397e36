//! Several workers on one projection: one leads, another takes over, and each event counts once.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_events::{Envelope, Position, StreamId};
use dealog_projections::{
    Limits, ModelStatus, ProjectionError, Status, Watch,
    models::{
        Lists, Seeing,
        deals::{DealQuery, Deals, MODEL},
    },
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    databases::{On, PATIENCE, TestDatabase, idle, limits, on_both, rows_of, start, take_back, until, worker},
    dice::Dice,
    memory::MemoryStore,
    story,
};

on_both!(
    a_worker_that_was_killed_is_followed_by_another_when_its_lease_has_run_out,
    a_worker_that_stops_gives_its_lease_back,
    a_former_holder_writes_nothing,
    a_lease_from_before_the_clock_was_set_back_is_free,
    a_lease_of_a_process_that_has_ended_is_free_at_once,
    each_event_counts_once_for_three_workers_that_are_killed_again_and_again,
    whoever_does_not_lead_waits_for_the_one_who_does,
    queries_during_a_swap_never_see_a_half_built_model,
    a_worker_that_leads_again_forgets_what_others_have_changed,
    what_a_crash_took_back_is_folded_again_though_nothing_new_comes,
);

async fn some_log(seed: u64) -> Vec<Envelope> {
    story::story(&mut Dice::new(seed)).await.log()
}

/// Leases that last for ever, for a test's purposes.
fn long(batch_events_max: usize) -> Limits {
    Limits { lease: 10 * PATIENCE, poll_interval: Duration::from_millis(5), ..limits(batch_events_max) }
}

fn short(batch_events_max: usize) -> Limits {
    Limits { lease: Duration::from_millis(300), ..long(batch_events_max) }
}

/// A worker that follows, until it is told to stop.
struct Following {
    status: Watch,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Following {
    async fn start(store: &Arc<MemoryStore>, test: &TestDatabase, limits: Limits) -> Self {
        let worker = start(store.clone(), test.again().await, Box::<Deals>::default(), limits).await.unwrap();
        let stop = watch::Sender::new(false);
        Self { status: worker.status(), task: tokio::spawn(worker.follow(stop.subscribe())), stop }
    }

    async fn reaches(&mut self, position: Position) {
        let there = |models: &[ModelStatus]| models.iter().all(|model| model.status == Status::Following(position));
        assert!(tokio::time::timeout(PATIENCE, self.status.wait_for(there)).await.unwrap());
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// It ends as a process that is killed: between two instants, and without another word.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

async fn leader(test: &TestDatabase) -> Option<String> {
    test.database.standing(MODEL.name).await.unwrap().leader
}

async fn position(test: &TestDatabase) -> Position {
    test.position().await
}

fn last(log: &[Envelope]) -> Position {
    log.last().unwrap().position
}

async fn a_worker_that_was_killed_is_followed_by_another_when_its_lease_has_run_out(on: On) {
    let log = some_log(40).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    let time = Duration::from_secs(2);
    let limits = Limits { lease: time, ..long(20) };
    let mut first = Following::start(&store, &test, limits).await;
    first.reaches(last(some)).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    let mut second = Following::start(&store, &test, limits).await;
    second.reaches(last(some)).await;

    let killed = Instant::now();
    first.kill().await;
    store.extend(rest);
    second.reaches(last(&log)).await;
    // The lease was last renewed a third of its time before, at the most.
    let took = killed.elapsed();
    assert!(took > time / 3, "after {took:?}: it did not wait for the end of the lease");
    assert_eq!(test.rows().await, rows_of(&log).await);
    second.stop().await;
}

async fn a_worker_that_stops_gives_its_lease_back(on: On) {
    let log = some_log(41).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let mut first = Following::start(&store, &test, long(20)).await;
    first.reaches(last(&log)).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    let name = leader(&test).await.unwrap();
    assert!(name.ends_with(&format!(":{}", std::process::id())), "{name}");
    first.stop().await;
    assert_eq!(leader(&test).await, None);
    // Another need not wait, and neither does who comes but once.
    let mut second = Following::start(&store, &test, long(20)).await;
    until("another leads", async || leader(&test).await.is_some()).await;
    second.reaches(last(&log)).await;
    second.stop().await;
    worker(store, &test.database, 10).await.unwrap().catch_up().await.unwrap();
    assert_eq!(leader(&test).await, None);
}

async fn a_former_holder_writes_nothing(on: On) {
    let log = some_log(42).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    let mut paused = Following::start(&store, &test, short(10)).await;
    paused.reaches(last(some)).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    store.paused.send_replace(true);
    store.extend(rest);

    // Another leads meanwhile. It knows no more of the log, so that nothing but the lease is in the way of the first.
    let mut other = Following::start(&MemoryStore::holding(some.to_vec()), &test, long(10)).await;
    let fence = async || {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM leases WHERE fence > 1 AND name = 'models'";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut test.connection().await).await.unwrap();
        count == 1
    };
    until("another leads", fence).await;
    other.reaches(last(some)).await;

    let mut looks = store.looks.subscribe();
    let before = *looks.borrow_and_update();
    store.paused.send_replace(false);
    // It looks at the end of the log only once it knows that it does not lead.
    tokio::time::timeout(PATIENCE, looks.wait_for(|looks| *looks > before)).await.unwrap().unwrap();
    assert_eq!(position(&test).await, last(some));
    assert_eq!(test.rows().await, rows_of(some).await);

    // When it leads again, it goes on.
    other.stop().await;
    paused.reaches(last(&log)).await;
    assert_eq!(test.rows().await, rows_of(&log).await);
    paused.stop().await;
}

async fn a_lease_from_before_the_clock_was_set_back_is_free(on: On) {
    let log = some_log(43).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let mut first = Following::start(&store, &test, long(20)).await;
    first.reaches(last(&log)).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    first.kill().await;
    assert!(leader(&test).await.is_some());
    let later = "UPDATE leases SET renewed_at = renewed_at + 86400000000, expires_at = expires_at + 86400000000";
    test.execute(later).await;
    assert_eq!(leader(&test).await, None);
    let second = Following::start(&store, &test, long(20)).await;
    until("another leads", async || leader(&test).await.is_some()).await;
    second.stop().await;
}

async fn a_lease_of_a_process_that_has_ended_is_free_at_once(on: On) {
    let log = some_log(47).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let mut first = Following::start(&store, &test, long(20)).await;
    first.reaches(last(&log)).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    first.kill().await;
    // As if it had been a process of its own, which is there no more.
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let [this, ended] = [std::process::id(), ended.id()].map(|pid| format!(":{pid}:"));
    let sql = "UPDATE leases SET holder = REPLACE(holder, $1, $2)";
    sqlx::query(sql).bind(this).bind(ended).execute(&mut test.connection().await).await.unwrap();
    assert_eq!(leader(&test).await, None);

    let second = Following::start(&store, &test, long(20)).await;
    until("another leads", async || leader(&test).await.is_some()).await;
    second.stop().await;
}

async fn each_event_counts_once_for_three_workers_that_are_killed_again_and_again(on: On) {
    let log = some_log(44).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(Vec::new());
    let mut dice = Dice::new(44);
    let mut workers = Vec::new();
    for batch in [3, 5, 7] {
        workers.push(Following::start(&store, &test, short(batch)).await);
    }
    for piece in log.chunks(log.len() / 12) {
        store.extend(piece);
        // Some are killed while they fold, some while they wait.
        tokio::time::sleep(Duration::from_millis(dice.below(20) as u64)).await;
        let killed = workers.remove(dice.below(3));
        killed.kill().await;
        workers.push(Following::start(&store, &test, short(dice.below(9) + 1)).await);
    }
    for worker in &mut workers {
        worker.reaches(last(&log)).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(test.rows().await, rows_of(&log).await);
}

async fn whoever_does_not_lead_waits_for_the_one_who_does(on: On) {
    let log = some_log(45).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(Vec::new());
    let mut leading = Following::start(&store, &test, long(2)).await;
    leading.reaches(Position::ZERO).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    let mut waiting = start(store.clone(), test.again().await, Box::<Deals>::default(), long(2)).await.unwrap();
    store.extend(&log);
    assert_eq!(waiting.catch_up().await.unwrap(), last(&log));
    assert_eq!(test.rows().await, rows_of(&log).await);
    assert!(leader(&test).await.is_some(), "it took the lease away from the one who leads");
    leading.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_whose_lease_another_has_taken_swaps_nothing_in() {
    let log = some_log(48).await;
    let test = TestDatabase::new(On::Postgres).await;
    let store = MemoryStore::holding(log.clone());
    worker(store.clone(), &test.database, 100).await.unwrap();
    store.paused.send_replace(true);
    let mut builder = idle(store.clone(), test.again().await, Box::<Deals>::default(), short(100));
    let building = tokio::spawn(async move { builder.rebuild().await });
    let under_way = async || {
        let building = test.database.standing(MODEL.name).await.unwrap().building;
        building.is_some_and(|build| build.under_way)
    };
    until("it builds", under_way).await;
    let taken = "UPDATE leases SET holder = 'another', fence = fence + 1, expires_at = expires_at + 600000000 WHERE \
                 name = 'deals next'";
    test.execute(taken).await;
    store.paused.send_replace(false);
    let error = building.await.unwrap().unwrap_err();
    assert!(matches!(error, ProjectionError::BeingBuilt), "{error}");
    assert_eq!(test.database.standing(MODEL.name).await.unwrap().tables.unwrap().build, 1);
    assert_eq!(test.rows().await, rows_of(&log).await);
}

async fn queries_during_a_swap_never_see_a_half_built_model(on: On) {
    let log = some_log(46).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    worker(store.clone(), &test.database, 1_000).await.unwrap();
    let query = DealQuery::default();
    let listed = test.lists().deals(&query, &Seeing::default()).await.unwrap();
    assert!(!listed.deals.is_empty());
    let stop = watch::Sender::new(false);
    let mut asking = Vec::new();
    for _ in 0..3 {
        let (lists, stop): (Lists, _) = (test.lists(), stop.subscribe());
        let (query, listed) = (query.clone(), listed.clone());
        asking.push(tokio::spawn(async move {
            let mut asked = 0;
            while !*stop.borrow() {
                assert_eq!(lists.deals(&query, &Seeing::default()).await.unwrap(), listed);
                asked += 1;
            }
            asked
        }));
    }
    for _ in 0..10 {
        let mut builder = idle(store.clone(), test.again().await, Box::<Deals>::default(), limits(200));
        builder.rebuild().await.unwrap();
    }
    stop.send_replace(true);
    let mut asked = 0;
    for asking in asking {
        asked += asking.await.unwrap();
    }
    assert!(asked > 10, "only {asked} questions during ten swaps");
}

async fn a_worker_that_leads_again_forgets_what_others_have_changed(on: On) {
    let log = some_log(48).await;
    // Two events of a deal that is open before them, and so remembered.
    let earlier = |index: usize| log[..index].iter().rposition(|event| event.stream == log[index].stream);
    let is_of_an_open_deal = |index: &usize| earlier(*index).is_some() && log[*index].event_type == "deal.stage_moved";
    let others = (0..log.len()).rev().find_map(|own| {
        let deal = matches!(log[own].stream, StreamId::Deal(_));
        earlier(own).filter(|_| deal).filter(is_of_an_open_deal).map(|others| (others, own))
    });
    let (others, own) = others.unwrap();
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log[..others].to_vec());
    let mut worker = worker(store.clone(), &test.database, 1_000).await.unwrap();

    let mut other = Following::start(&store, &test, long(20)).await;
    until("another leads", async || leader(&test).await.is_some()).await;
    store.extend(&log[others..own]);
    other.reaches(log[own - 1].position).await;
    worker.catch_up().await.unwrap();
    other.stop().await;

    store.extend(&log[own..=own]);
    assert_eq!(worker.catch_up().await.unwrap(), log[own].position);
    assert_eq!(test.rows().await, rows_of(&log[..=own]).await);
}

async fn what_a_crash_took_back_is_folded_again_though_nothing_new_comes(on: On) {
    let log = some_log(49).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let mut worker = Following::start(&store, &test, short(20)).await;
    worker.reaches(last(&log)).await;
    until("it leads", async || leader(&test).await.is_some()).await;
    let expected = test.rows().await;

    take_back(test.connection().await).await;
    until("the rows should be there again", async || test.rows().await == expected).await;
    worker.stop().await;
}
