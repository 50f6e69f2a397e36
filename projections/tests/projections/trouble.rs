//! Builds that fail on their way, and events at which a projection stops.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dealog_events::{Envelope, Event, Position};
use dealog_projections::{
    Build, Dialect, Limits, Projection, ProjectionError, Standing, Status,
    models::{
        Seeing,
        deals::{DealQuery, Deals, MODEL},
    },
};
use sqlx::AnyConnection;
use tokio::sync::{Notify, watch};

use crate::{
    databases::{On, PATIENCE, TestDatabase, idle, limits, on_both, ready, rows_of, start, take_back, until, worker},
    dice::Dice,
    memory::MemoryStore,
    story,
};

on_both!(
    a_model_built_again_and_again_has_the_same_rows,
    a_poison_event_stops_the_projection_right_before_it_and_a_mended_version_goes_on_from_there,
    a_row_that_the_tables_refuse_is_a_poison_event_and_not_a_failing_database,
    a_first_build_that_meets_a_poison_event_is_swapped_in_with_all_before_it,
    a_new_version_that_stops_before_the_old_tables_do_is_not_swapped_in,
    a_build_that_died_on_its_way_is_gone_on_with_and_not_begun_anew,
    a_swap_that_fails_halfway_leaves_the_old_tables_and_the_next_one_swaps_again,
    a_batch_that_is_dropped_on_its_way_is_not_remembered,
    a_worker_beside_a_rebuild_goes_on_with_the_new_rows_and_not_with_what_it_remembers,
    two_builds_at_once_are_refused,
    what_a_crash_took_back_of_a_build_is_not_missing_where_it_is_swapped_in,
    a_build_from_before_the_system_started_is_begun_anew,
);

/// What goes wrong.
#[derive(Clone)]
enum Flaw {
    None,
    /// The event there is refused.
    Refuses(Position),
    /// The event there makes the fold panic.
    Panics(Position),
    /// The database fails once at the event there, when its batch is written.
    Fails(Position),
    /// The fold never comes back from the event there, once, and says that it is there.
    Hangs(Position, Arc<Notify>),
    /// The indexes cannot be made.
    CannotIndex,
}

/// The projection with a flaw, and in another version if need be; it keeps the positions that it was given.
struct Flawed {
    deals: Deals,
    version: i64,
    flaw: Flaw,
    given: Arc<Mutex<Vec<Position>>>,
}

impl Flawed {
    fn new(flaw: Flaw) -> Self {
        Self { deals: Deals::default(), version: MODEL.version, flaw, given: Arc::default() }
    }

    fn boxed(flaw: Flaw) -> Box<dyn Projection> {
        Box::new(Self::new(flaw))
    }
}

#[async_trait]
impl Projection for Flawed {
    fn name(&self) -> &'static str {
        self.deals.name()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn tables(&self) -> Vec<&'static str> {
        self.deals.tables()
    }

    fn schema(&self, dialect: Dialect) -> Vec<String> {
        self.deals.schema(dialect)
    }

    fn indexes(&self) -> Vec<String> {
        let mut indexes = self.deals.indexes();
        if matches!(self.flaw, Flaw::CannotIndex) {
            indexes.push("CREATE INDEX nowhere ON nothing (at_all)".into());
        }
        indexes
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        self.given.lock().unwrap().extend(events.iter().map(|(envelope, _)| envelope.position));
        let meets = |position: Position| events.iter().any(|(envelope, _)| envelope.position == position);
        self.deals.apply(db, events).await?;
        match self.flaw.clone() {
            Flaw::Refuses(position) if meets(position) => {
                return Err(ProjectionError::Unapplicable { position, reason: "too odd".into() });
            }
            Flaw::Panics(position) if meets(position) => panic!("{position} is too odd"),
            Flaw::Fails(position) if meets(position) => {
                self.flaw = Flaw::None;
                return Err(sqlx::Error::WorkerCrashed.into());
            }
            Flaw::Hangs(position, there) if meets(position) => {
                self.flaw = Flaw::None;
                there.notify_one();
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.deals.forget();
    }
}

async fn some_log(seed: u64) -> Vec<Envelope> {
    story::story(&mut Dice::new(seed)).await.log()
}

async fn standing(test: &TestDatabase) -> Standing {
    // As another process sees it.
    test.again().await.standing(MODEL.name).await.unwrap()
}

async fn a_model_built_again_and_again_has_the_same_rows(on: On) {
    let log = some_log(20).await;
    let test = TestDatabase::new(on).await;
    let mut worker = worker(MemoryStore::holding(log.clone()), &test.database, 7).await.unwrap();
    let first = test.rows().await;
    assert!(first.len() > 20, "{} rows are too few to tell anything", first.len());
    for _ in 0..2 {
        worker.rebuild().await.unwrap();
        assert_eq!(test.rows().await, first);
    }
    assert_eq!(standing(&test).await.tables.unwrap().build, 3);
    let left: &[&str] = match on {
        On::Sqlite => &["views.db", "views.db-shm", "views.db-wal", "views.deals.next.lock", "views.lock"],
        On::Postgres => &["views"],
    };
    assert_eq!(test.places().await, left);
}

async fn a_poison_event_stops_the_projection_right_before_it_and_a_mended_version_goes_on_from_there(on: On) {
    let log = some_log(21).await;
    for (index, batch) in [(0, 1_000), (1, 5), (log.len() / 2, 1_000), (log.len() / 2, 7), (log.len() - 1, 1_000)] {
        let (poison, before) = (log[index].position, &log[..index]);
        for flaw in [Flaw::Refuses(poison), Flaw::Panics(poison)] {
            let test = TestDatabase::new(on).await;
            worker(MemoryStore::holding(Vec::new()), &test.database, 1).await.unwrap();
            let store = MemoryStore::holding(log.clone());
            let flawed = start(store.clone(), test.database.clone(), Flawed::boxed(flaw), limits(batch)).await;
            let flawed = flawed.unwrap();
            let status = flawed.status();
            flawed.follow(watch::Sender::new(false).subscribe()).await;

            let Status::Stopped { position: reached, reason } = status.of(MODEL.name).unwrap() else {
                panic!("it goes on")
            };
            assert_eq!(reached.next(), poison);
            assert!(reason.contains(&format!("position {poison} ")) && reason.contains("too odd"), "{reason}");
            assert_eq!(test.rows().await, rows_of(before).await, "what comes before {poison} is not what is there");
            let stop = standing(&test).await.stopped.unwrap();
            assert_eq!((stop.position, stop.reason), (poison, reason));

            // Started again without being mended, it stops there again, and since then as before.
            let again = ready(store.clone(), &test.database, Flawed::boxed(Flaw::Refuses(poison)), limits(batch));
            again.await.unwrap().catch_up().await.unwrap_err();
            assert_eq!(standing(&test).await.stopped.unwrap().since, stop.since);

            worker(store, &test.database, batch).await.unwrap().catch_up().await.unwrap();
            assert_eq!(test.rows().await, rows_of(&log).await, "mended, it comes to other rows");
            assert_eq!(standing(&test).await.stopped, None);
        }
    }
}

async fn a_row_that_the_tables_refuse_is_a_poison_event_and_not_a_failing_database(on: On) {
    let log = some_log(22).await;
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(Vec::new()), &test.database, 1).await.unwrap();
    let created = log.iter().filter(|event| event.event_type == "deal.created").nth(1).unwrap();
    test.execute("CREATE UNIQUE INDEX one_deal_is_enough ON deals (ended) WHERE ended = 9223372036854775807").await;
    let mut worker = worker(MemoryStore::holding(log.clone()), &test.database, 1_000).await.unwrap();
    let error = worker.catch_up().await.unwrap_err();
    assert_eq!(error.poison(), Some(created.position), "{error}");
    assert_eq!(test.position().await.next(), created.position);
}

async fn a_first_build_that_meets_a_poison_event_is_swapped_in_with_all_before_it(on: On) {
    let log = some_log(23).await;
    let test = TestDatabase::new(on).await;
    let poison = log[log.len() / 2].position;
    let store = MemoryStore::holding(log.clone());
    let flawed = start(store, test.database.clone(), Flawed::boxed(Flaw::Refuses(poison)), limits(10)).await;
    let error = flawed.unwrap().catch_up().await.unwrap_err();
    assert_eq!(error.poison(), Some(poison), "{error}");
    assert_eq!(test.rows().await, rows_of(&log[..log.len() / 2]).await);
    let standing = standing(&test).await;
    assert_eq!((standing.stopped.map(|stop| stop.position), standing.building), (Some(poison), None));
}

async fn a_new_version_that_stops_before_the_old_tables_do_is_not_swapped_in(on: On) {
    let log = some_log(24).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let mut old = worker(store.clone(), &test.database, 1_000).await.unwrap();
    let poison = log[log.len() / 2].position;
    let next = |flaw| Box::new(Flawed { version: MODEL.version + 1, ..Flawed::new(flaw) });
    let begin = |flaw| start(store.clone(), test.database.clone(), next(flaw), limits(10));
    let error = begin(Flaw::Refuses(poison)).await.unwrap().catch_up().await.unwrap_err();
    assert_eq!(error.poison(), Some(poison), "{error}");
    assert_eq!(test.rows().await, rows_of(&log).await, "the old tables are not there any more");
    old.catch_up().await.unwrap();
    let found = standing(&test).await;
    assert_eq!(found.stopped, None, "the old version is not the one that stopped");
    let Some(Build { version, position, stopped: Some(stop), under_way, .. }) = found.building else { panic!() };
    assert_eq!((version, position.next(), stop.position, under_way), (MODEL.version + 1, poison, poison, false));

    // Mended, it goes on from there and takes over.
    let mended = next(Flaw::None);
    let given = mended.given.clone();
    start(store.clone(), test.database.clone(), mended, limits(10)).await.unwrap().catch_up().await.unwrap();
    assert_eq!(given.lock().unwrap()[0], poison);
    let standing = standing(&test).await;
    assert_eq!(
        (standing.tables.unwrap().version, standing.stopped, standing.building),
        (MODEL.version + 1, None, None)
    );
    let error = old.catch_up().await.unwrap_err();
    assert!(matches!(error, ProjectionError::OtherVersion { .. }), "{error}");
}

async fn a_build_that_died_on_its_way_is_gone_on_with_and_not_begun_anew(on: On) {
    let log = some_log(25).await;
    let expected = rows_of(&log).await;
    let half = log[log.len() / 2].position;
    let there = Arc::new(Notify::new());
    for flaw in [Flaw::Fails(half), Flaw::Hangs(half, there.clone())] {
        let test = TestDatabase::new(on).await;
        let store = MemoryStore::holding(log.clone());
        let mut first = worker(store.clone(), &test.database, 1_000).await.unwrap();
        let before = test.rows().await;
        let mut dying = idle(store.clone(), test.database.clone(), Flawed::boxed(flaw.clone()), limits(4));
        tokio::select! {
            died = dying.rebuild() => assert!(died.is_err()),
            () = there.notified() => {}
        }
        drop(dying);
        assert_eq!(test.rows().await, before, "the old tables have changed");
        first.catch_up().await.unwrap();

        let heir = Flawed::new(Flaw::None);
        let given = heir.given.clone();
        let mut heir = idle(store.clone(), test.database.clone(), Box::new(heir), limits(4));
        heir.rebuild().await.unwrap();
        let begun = given.lock().unwrap()[0];
        assert!(begun <= half && begun.0 + 4 > half.0, "it went on from {begun}, and {half} was where it died");
        assert_eq!(test.rows().await, expected);
    }
}

async fn a_swap_that_fails_halfway_leaves_the_old_tables_and_the_next_one_swaps_again(on: On) {
    let log = some_log(26).await;
    let test = TestDatabase::new(on).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let store = MemoryStore::holding(some.to_vec());
    let mut following = worker(store.clone(), &test.database, 1_000).await.unwrap();
    let old = test.position().await;
    let mut failing = idle(store.clone(), test.database.clone(), Flawed::boxed(Flaw::CannotIndex), limits(9));
    let error = failing.rebuild().await.unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
    assert_eq!(test.rows().await, rows_of(some).await);
    assert_eq!(test.position().await, old);

    store.extend(rest);
    following.catch_up().await.unwrap();
    assert_eq!(test.rows().await, rows_of(&log).await, "the old tables are not kept any more");
    let given = {
        let mended = Flawed::new(Flaw::None);
        let given = mended.given.clone();
        idle(store, test.database.clone(), Box::new(mended), limits(9)).rebuild().await.unwrap();
        given
    };
    assert_eq!(given.lock().unwrap()[0], rest[0].position, "what had been built was thrown away");
    assert_eq!(test.rows().await, rows_of(&log).await);
}

async fn a_batch_that_is_dropped_on_its_way_is_not_remembered(on: On) {
    let log = some_log(30).await;
    let test = TestDatabase::new(on).await;
    worker(MemoryStore::holding(Vec::new()), &test.database, 1).await.unwrap();
    let there = Arc::new(Notify::new());
    let hangs = Flawed::boxed(Flaw::Hangs(log[log.len() / 2].position, there.clone()));
    let mut worker = ready(MemoryStore::holding(log.clone()), &test.database, hangs, limits(9)).await.unwrap();
    tokio::select! {
        _ = worker.catch_up() => panic!("it does not hang"),
        () = there.notified() => {}
    }
    worker.catch_up().await.unwrap();
    assert_eq!(test.rows().await, rows_of(&log).await);
}

async fn a_worker_beside_a_rebuild_goes_on_with_the_new_rows_and_not_with_what_it_remembers(on: On) {
    let log = some_log(27).await;
    let test = TestDatabase::new(on).await;
    let (most, last) = log.split_at(log.len() - 20);
    let store = MemoryStore::holding(Vec::new());
    let mut following = worker(store.clone(), &test.database, 5).await.unwrap();
    // What it remembers of each deal is wrong.
    let spoil = match on {
        On::Sqlite => {
            "CREATE TRIGGER wrong AFTER INSERT ON deals BEGIN UPDATE deals SET title = 'wrong', fields = '{}'; END"
        }
        On::Postgres => {
            "CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE deals SET title = 'wrong', fields = \
             '{}'; RETURN NULL; END $$; CREATE TRIGGER wrong AFTER INSERT ON deals EXECUTE FUNCTION wrong()"
        }
    };
    test.execute(spoil).await;
    store.extend(most);
    following.catch_up().await.unwrap();
    worker(store.clone(), &test.database, 5).await.unwrap().rebuild().await.unwrap();
    store.extend(last);
    following.catch_up().await.unwrap();
    assert_eq!(test.rows().await, rows_of(&log).await);
}

async fn two_builds_at_once_are_refused(on: On) {
    let log = some_log(28).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let there = Arc::new(Notify::new());
    let hangs = Flawed::boxed(Flaw::Hangs(log[3].position, there.clone()));
    let long = Limits { lease: 10 * PATIENCE, ..limits(1) };
    let mut first = idle(store.clone(), test.database.clone(), hangs, long);
    let mut second = start(store, test.again().await, Box::<Deals>::default(), limits(1)).await.unwrap();
    let mut building = Box::pin(first.rebuild());
    tokio::select! {
        _ = &mut building => panic!("it does not hang"),
        () = there.notified() => {}
    }
    let error = second.catch_up().await.unwrap_err();
    assert!(matches!(error, ProjectionError::BeingBuilt), "{error}");
    assert!(standing(&test).await.building.unwrap().under_way);
    drop(building);
    // The system takes back a lock at once; a lease runs out.
    test.execute("UPDATE leases SET expires_at = 0").await;
    second.catch_up().await.unwrap();
    assert_eq!(test.rows().await, rows_of(&log).await);
}

async fn what_a_crash_took_back_of_a_build_is_not_missing_where_it_is_swapped_in(on: On) {
    let log = some_log(31).await;
    let test = Arc::new(TestDatabase::new(on).await);
    let store = MemoryStore::holding(log.clone());
    let crash = {
        let test = test.clone();
        async move { take_back(test.connection_to_next().await).await }
    };
    *store.at_end.lock().unwrap() = Some(Box::pin(crash));
    worker(store.clone(), &test.database, 1_000).await.unwrap();
    assert!(store.at_end.lock().unwrap().is_none(), "nothing was taken back");
    assert_eq!(test.rows().await, rows_of(&log).await);
}

/// On a server that makes no difference.
async fn a_build_from_before_the_system_started_is_begun_anew(on: On) {
    let log = some_log(32).await;
    let half = log[log.len() / 2].position;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let failing = Flawed::boxed(Flaw::Fails(half));
    idle(store.clone(), test.database.clone(), failing, limits(4)).rebuild().await.unwrap_err();
    let marked = test.write_beside("deals.next.db-boot", "another run of the system");

    let heir = Flawed::new(Flaw::None);
    let given = heir.given.clone();
    idle(store, test.database.clone(), Box::new(heir), limits(4)).rebuild().await.unwrap();
    let begun = given.lock().unwrap()[0];
    assert_eq!(begun == Position(1), marked, "it was begun at {begun}");
    assert_eq!(test.rows().await, rows_of(&log).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_what_is_copied_is_not_laid_on_the_file_that_answers() {
    let log = some_log(33).await;
    let test = Arc::new(TestDatabase::new(On::Sqlite).await);
    let store = MemoryStore::holding(log.clone());
    let mut first = worker(store.clone(), &test.database, 1_000).await.unwrap();
    let before = test.rows().await;
    let damage = {
        let test = test.clone();
        async move { test.damage("deals.next.db") }
    };
    *store.at_end.lock().unwrap() = Some(Box::pin(damage));
    let error = first.rebuild().await.unwrap_err();
    assert!(matches!(error, ProjectionError::BuildDamaged(_)), "{error:?}");
    assert_eq!(test.rows().await, before);
    first.rebuild().await.unwrap();
    assert_eq!(test.rows().await, rows_of(&log).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_could_not_begin_harms_none_after_it() {
    let test = TestDatabase::new(On::Postgres).await;
    worker(MemoryStore::holding(some_log(34).await), &test.database, 1_000).await.unwrap();
    let lists = test.lists();
    let mut swap = test.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE builds IN ACCESS EXCLUSIVE MODE").execute(&mut swap).await.unwrap();
    let asked = tokio::spawn({
        let lists = lists.clone();
        async move { lists.deals(&DealQuery::default(), &Seeing::default()).await }
    });
    until("the question should wait for the lock", async || {
        let cancel = "SELECT pg_cancel_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND \
                      wait_event_type = 'Lock'";
        let cancelled: Vec<String> = sqlx::query_scalar(cancel).fetch_all(&mut test.connection().await).await.unwrap();
        !cancelled.is_empty()
    })
    .await;
    asked.await.unwrap().unwrap_err();
    sqlx::raw_sql("ROLLBACK").execute(&mut swap).await.unwrap();
    for _ in 0..20 {
        lists.deals(&DealQuery::default(), &Seeing::default()).await.unwrap();
    }
}
