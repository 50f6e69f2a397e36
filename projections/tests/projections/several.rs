//! Several models in one database: written together, stopped and made anew one by one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use dealog_events::{Envelope, Event, Position};
use dealog_projections::{
    Dialect, Limits, ModelStatus, Projection, ProjectionError, Standing, Status, Watch, Worker, position_of,
};
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    databases::{On, PATIENCE, TestDatabase, limits, on_both, until},
    dice::Dice,
    memory::MemoryStore,
    story,
};

mod histories;
mod versions;

on_both!(
    all_models_stand_at_one_position_whenever_anybody_looks,
    a_model_that_cannot_apply_an_event_stops_and_the_others_go_on,
    a_mended_model_comes_to_the_others_while_these_go_on,
    a_model_stops_beside_others_while_the_log_is_followed_and_each_process_tells,
    when_all_models_have_stopped_the_worker_ends,
    an_event_that_says_nothing_stops_all_models_at_one_position,
    a_worker_that_dies_between_two_models_has_written_neither,
    another_worker_takes_over_all_models_of_one_that_was_killed,
);

/// The first random log from this seed on that is long enough to tell anything.
async fn some_log(seed: u64) -> Vec<Envelope> {
    for seed in seed * 100.. {
        let log = story::story(&mut Dice::new(seed)).await.log();
        if log.len() >= 100 {
            return log;
        }
    }
    unreachable!("there are always more seeds");
}

/// What goes wrong.
#[derive(Clone, Default)]
enum Flaw {
    #[default]
    None,
    /// The event there is refused.
    Refuses(Position),
    /// The event there makes the fold panic.
    Panics(Position),
    /// The table refuses a row of the event there.
    BadRow(Position),
    /// The fold waits at the event there until this is true.
    Waits(Position, watch::Receiver<bool>),
    /// The fold never comes back from the event there, and says that it is there.
    Hangs(Position, Arc<Notify>),
}

/// A model with a row for each event: one that is applied twice, or not at all, shows.
struct Diary {
    name: &'static str,
    version: i64,
    flaw: Flaw,
    given: Arc<Mutex<Vec<Position>>>,
}

impl Diary {
    fn of(name: &'static str, version: i64, flaw: Flaw) -> Self {
        Self { name, version, flaw, given: Arc::default() }
    }

    fn boxed(name: &'static str, version: i64, flaw: Flaw) -> Box<dyn Projection> {
        Box::new(Self::of(name, version, flaw))
    }

    fn table(&self) -> &'static str {
        match self.name {
            "alpha" => "alpha_events",
            "beta" => "beta_events",
            "gamma" => "gamma_events",
            other => panic!("{other}"),
        }
    }
}

#[async_trait]
impl Projection for Diary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn tables(&self) -> Vec<&'static str> {
        vec![self.table()]
    }

    fn schema(&self, _: Dialect) -> Vec<String> {
        let table = self.table();
        vec![format!("CREATE TABLE {table} (position BIGINT PRIMARY KEY, type TEXT NOT NULL, version BIGINT NOT NULL)")]
    }

    fn indexes(&self) -> Vec<String> {
        let table = self.table();
        vec![format!("CREATE INDEX IF NOT EXISTS {table}_by_type ON {table} (type)")]
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        self.given.lock().unwrap().extend(events.iter().map(|(envelope, _)| envelope.position));
        let insert = format!("INSERT INTO {} (position, type, version) VALUES ($1, $2, $3)", self.table());
        for (envelope, _) in events {
            let mut event_type = Some(envelope.event_type.clone());
            match self.flaw.clone() {
                Flaw::Refuses(position) if position == envelope.position => {
                    return Err(ProjectionError::Unapplicable { position, reason: "too odd".into() });
                }
                Flaw::Panics(position) if position == envelope.position => panic!("{position} is too odd"),
                Flaw::BadRow(position) if position == envelope.position => event_type = None,
                Flaw::Waits(position, mut open) if position == envelope.position => {
                    open.wait_for(|open| *open).await.unwrap();
                }
                Flaw::Hangs(position, there) if position == envelope.position => {
                    there.notify_one();
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
            let row = sqlx::query(AssertSqlSafe(insert.as_str())).bind(envelope.position.0.cast_signed());
            row.bind(event_type).bind(self.version).execute(&mut *db).await?;
        }
        Ok(())
    }

    fn forget(&mut self) {}
}

fn diaries(of_beta: Flaw) -> Vec<Box<dyn Projection>> {
    vec![Diary::boxed("alpha", 1, Flaw::None), Diary::boxed("beta", 1, of_beta)]
}

const BOTH: &[(&str, i64)] = &[("alpha", 1), ("beta", 1)];

fn quick(batch_events_max: usize) -> Limits {
    Limits { poll_interval: Duration::from_millis(5), ..limits(batch_events_max) }
}

async fn start(
    store: &Arc<MemoryStore>,
    test: &TestDatabase,
    models: Vec<Box<dyn Projection>>,
    batch: usize,
) -> Worker {
    Worker::start(store.clone(), test.again().await, models, quick(batch)).await.unwrap()
}

/// The positions that a model has a row for, and the version that has written them.
async fn rows(test: &TestDatabase, model: &str) -> Vec<(i64, i64)> {
    let sql = format!("SELECT position, version FROM {model}_events ORDER BY position");
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut test.connection().await).await.unwrap()
}

fn rows_of(log: &[Envelope], version: i64) -> Vec<(i64, i64)> {
    log.iter().map(|event| (event.position.0.cast_signed(), version)).collect()
}

/// The position at which a query that joins these sees them.
async fn joined(test: &TestDatabase, models: &[(&str, i64)]) -> Result<Position, ProjectionError> {
    position_of(&mut test.connection().await, models).await
}

async fn standing(test: &TestDatabase, model: &str) -> Standing {
    test.database.standing(model).await.unwrap()
}

async fn build(test: &TestDatabase, model: &str) -> i64 {
    standing(test, model).await.tables.unwrap().build
}

fn last(log: &[Envelope]) -> Position {
    log.last().unwrap().position
}

/// A worker that follows, until it is told to stop.
struct Following {
    status: Watch,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Following {
    fn of(worker: Worker) -> Self {
        let stop = watch::Sender::new(false);
        Self { status: worker.status(), task: tokio::spawn(worker.follow(stop.subscribe())), stop }
    }

    async fn is(&mut self, what: &str, wanted: impl Fn(&BTreeMap<&'static str, Status>) -> bool) {
        let wanted =
            |models: &[ModelStatus]| wanted(&models.iter().map(|model| (model.name, model.status.clone())).collect());
        let there = timeout(PATIENCE, self.status.wait_for(wanted)).await;
        assert!(there.is_ok_and(|there| there), "{what}: {:?}", self.status.now());
    }

    async fn reaches(&mut self, position: Position) {
        let there = |models: &BTreeMap<&'static str, Status>| {
            models.values().all(|status| *status == Status::Following(position))
        };
        self.is(&format!("it does not come to {position}"), there).await;
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Asks again and again where these models stand, and panics where they do not stand at one position, once they are there.
struct Asking {
    stop: watch::Sender<bool>,
    task: JoinHandle<Position>,
}

impl Asking {
    async fn of(test: &TestDatabase, models: &'static [(&'static str, i64)]) -> Self {
        let (stop, mut db) = (watch::Sender::new(false), test.connection().await);
        let stopped = stop.subscribe();
        let task = tokio::spawn(async move {
            let mut reached = Position::ZERO;
            loop {
                // Once more after it was told to stop.
                let is_last = *stopped.borrow();
                match position_of(&mut db, models).await {
                    Ok(position) => {
                        assert!(position >= reached, "from {reached} back to {position}");
                        reached = position;
                    }
                    Err(ProjectionError::NotBuilt) if reached == Position::ZERO => {}
                    Err(error) => panic!("behind {reached}: {error}"),
                }
                if is_last {
                    return reached;
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        Self { stop, task }
    }

    async fn stop(self) -> Position {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}

async fn all_models_stand_at_one_position_whenever_anybody_looks(on: On) {
    let log = some_log(80).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(Vec::new());
    let mut worker = start(&store, &test, diaries(Flaw::None), 7).await;
    worker.ready().await.unwrap();
    let asking = Asking::of(&test, BOTH).await;
    let mut following = Following::of(worker);
    for piece in log.chunks(11) {
        store.extend(piece);
        sleep(Duration::from_millis(3)).await;
    }
    following.reaches(last(&log)).await;
    following.stop().await;
    assert!(asking.stop().await > Position::ZERO);
    assert_eq!(joined(&test, BOTH).await.unwrap(), last(&log));
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log, 1), "{model}");
    }
    let [alpha, beta] = [standing(&test, "alpha").await.tables.unwrap(), standing(&test, "beta").await.tables.unwrap()];
    assert_eq!(alpha, beta);
    assert_eq!(alpha.cursor(), dealog_events::Cursor::at(log.last().unwrap()));
}

async fn a_model_that_cannot_apply_an_event_stops_and_the_others_go_on(on: On) {
    let log = some_log(81).await;
    let poison = log[log.len() / 2].position;
    let (before, from) = log.split_at(log.len() / 2);
    for (flaw, what) in
        [(Flaw::Refuses(poison), "too odd"), (Flaw::Panics(poison), "too odd"), (Flaw::BadRow(poison), "refuse a row")]
    {
        for batch in [1, 7, 1_000] {
            let test = TestDatabase::new(on).await;
            let store = MemoryStore::holding(before[..5].to_vec());
            start(&store, &test, diaries(Flaw::None), batch).await.catch_up().await.unwrap();
            store.extend(&log[5..]);

            let mut worker = start(&store, &test, diaries(flaw.clone()), batch).await;
            let error = worker.catch_up().await.unwrap_err();
            let ProjectionError::ModelStopped { model, position, reason } = &error else { panic!("{error}") };
            assert_eq!((model.as_str(), *position), ("beta", poison), "{error}");
            assert!(reason.contains(what), "{error}");
            assert_eq!(rows(&test, "alpha").await, rows_of(&log, 1), "the others have not gone on");
            assert_eq!(rows(&test, "beta").await, rows_of(before, 1), "all before {poison} is not what is there");

            // A query that joins it is told of which model and where; others are answered.
            let refused = joined(&test, BOTH).await.unwrap_err();
            assert_eq!(refused.to_string(), error.to_string());
            assert!(refused.to_string().contains("beta") && refused.to_string().contains(&poison.to_string()));
            assert_eq!(joined(&test, &[("alpha", 1)]).await.unwrap(), last(&log));
            assert_eq!(joined(&test, &[("beta", 1)]).await.unwrap().next(), poison);
            let stop = standing(&test, "beta").await.stopped.unwrap();
            assert_eq!((stop.position, &stop.reason), (poison, reason));
            assert_eq!(standing(&test, "alpha").await.stopped, None);

            // Started again without being mended, it stops there again, and since then as before.
            start(&store, &test, diaries(flaw.clone()), batch).await.catch_up().await.unwrap_err();
            assert_eq!(standing(&test, "beta").await.stopped.unwrap(), stop);

            // Mended, it goes on from there.
            let mended = Diary::of("beta", 1, Flaw::None);
            let given = Arc::clone(&mended.given);
            let models: Vec<Box<dyn Projection>> = vec![Diary::boxed("alpha", 1, Flaw::None), Box::new(mended)];
            start(&store, &test, models, batch).await.catch_up().await.unwrap();
            assert_eq!(*given.lock().unwrap(), from.iter().map(|event| event.position).collect::<Vec<_>>());
            assert_eq!(joined(&test, BOTH).await.unwrap(), last(&log));
            assert_eq!(rows(&test, "beta").await, rows_of(&log, 1));
            assert_eq!((standing(&test, "beta").await.stopped, build(&test, "beta").await), (None, 1));
        }
    }
}

async fn a_mended_model_comes_to_the_others_while_these_go_on(on: On) {
    let log = some_log(82).await;
    let (most, rest) = log.split_at(log.len() - 20);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log[..5].to_vec());
    start(&store, &test, diaries(Flaw::None), 3).await.catch_up().await.unwrap();
    store.extend(&most[5..]);
    start(&store, &test, diaries(Flaw::Refuses(Position(8))), 3).await.catch_up().await.unwrap_err();

    let open = watch::Sender::new(false);
    let mut worker = start(&store, &test, diaries(Flaw::Waits(Position(12), open.subscribe())), 3).await;
    let behind = worker.status().of("beta").unwrap();
    assert_eq!(behind.position(), Position(7));
    {
        // It waits in the middle of its way; whoever asks both is told that one has yet to come to the other.
        let catching_up = worker.catch_up();
        assert!(timeout(Duration::from_millis(300), catching_up).await.is_err(), "it does not wait");
    }
    let error = joined(&test, BOTH).await.unwrap_err();
    let behind =
        matches!(error, ProjectionError::Behind { position, least } if position < Position(12) && least == last(most));
    assert!(behind, "{error}");
    open.send_replace(true);
    store.extend(rest);
    let mut following = Following::of(worker);
    following.reaches(last(&log)).await;
    following.stop().await;
    assert_eq!(joined(&test, BOTH).await.unwrap(), last(&log));
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log, 1), "{model}");
    }
}

async fn a_model_stops_beside_others_while_the_log_is_followed_and_each_process_tells(on: On) {
    let log = some_log(83).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let poison = some[some.len() / 2].position;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some[..3].to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    let mut leads = Following::of(start(&store, &test, diaries(Flaw::Refuses(poison)), 9).await);
    until("it leads", async || standing(&test, "alpha").await.leader.is_some()).await;
    let mut looks_on = Following::of(start(&store, &test, diaries(Flaw::None), 9).await);
    store.extend(&some[3..]);
    store.extend(rest);
    for following in [&mut leads, &mut looks_on] {
        let told = |models: &BTreeMap<&'static str, Status>| {
            let stopped = matches!(&models["beta"], Status::Stopped { position, reason }
                if position.next() == poison && reason.contains(&format!("position {poison} ")));
            stopped && models["alpha"] == Status::Following(last(&log))
        };
        following.is("it should be told that one has stopped and the other goes on", told).await;
    }
    assert_eq!(standing(&test, "beta").await.leader, None, "nobody keeps it up to date");

    // The other worker leads once the first is gone, and is not stopped by what stopped that one.
    leads.stop().await;
    looks_on.reaches(last(&log)).await;
    looks_on.stop().await;
    assert_eq!(rows(&test, "beta").await, rows_of(&log, 1));
    assert_eq!(standing(&test, "beta").await.stopped, None);
}

async fn when_all_models_have_stopped_the_worker_ends(on: On) {
    let log = some_log(84).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    let models: Vec<Box<dyn Projection>> = vec![
        Diary::boxed("alpha", 1, Flaw::Refuses(Position(30))),
        Diary::boxed("beta", 1, Flaw::Panics(Position(20))),
    ];
    let following = Following::of(start(&store, &test, models, 9).await);
    let status = following.status.clone();
    timeout(PATIENCE, following.task).await.unwrap().unwrap();
    assert!(status.has_ended());
    for (model, reached) in [("alpha", &log[..29]), ("beta", &log[..19])] {
        let told = status.of(model).unwrap();
        assert!(told.trouble().is_some() && told.position() == last(reached), "{told:?}");
        assert_eq!(rows(&test, model).await, rows_of(reached, 1));
    }
    assert_eq!(standing(&test, "alpha").await.leader, None);
}

async fn an_event_that_says_nothing_stops_all_models_at_one_position(on: On) {
    let log = some_log(85).await;
    let test = TestDatabase::new(on).await;
    let mut spoilt = log.clone();
    spoilt[40].event_type = "deal.exploded".into();
    let store = MemoryStore::holding(spoilt);
    let error = start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap_err();
    assert_eq!(error.poison(), Some(Position(41)), "{error}");
    for model in ["alpha", "beta"] {
        let stop = standing(&test, model).await.stopped.unwrap();
        assert!(stop.reason.contains("position 41 ") && stop.reason.contains("deal.exploded"), "{}", stop.reason);
        assert_eq!(rows(&test, model).await, rows_of(&log[..40], 1));
    }
    // Nothing has gone on without the others: what they say fits together.
    assert_eq!(joined(&test, BOTH).await.unwrap(), Position(40));
    let store = MemoryStore::holding(log.clone());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    assert_eq!(joined(&test, BOTH).await.unwrap(), last(&log));
}

async fn a_worker_that_dies_between_two_models_has_written_neither(on: On) {
    let log = some_log(90).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log[..10].to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    store.extend(&log[10..]);
    let there = Arc::new(Notify::new());
    let dying = Following::of(start(&store, &test, diaries(Flaw::Hangs(Position(30), there.clone())), 9).await);
    timeout(PATIENCE, there.notified()).await.unwrap();
    dying.kill().await;
    let reached = joined(&test, BOTH).await.unwrap();
    assert!(reached < Position(30), "{reached}");
    let folded = usize::try_from(reached.0).unwrap();
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log[..folded], 1), "{model}");
    }
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log, 1), "{model}");
    }
}

async fn another_worker_takes_over_all_models_of_one_that_was_killed(on: On) {
    let log = some_log(91).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    let mut first = Following::of(start(&store, &test, diaries(Flaw::None), 9).await);
    first.reaches(last(some)).await;
    until("it leads", async || standing(&test, "beta").await.leader.is_some()).await;
    let mut second = Following::of(start(&store, &test, diaries(Flaw::None), 9).await);
    second.reaches(last(some)).await;
    let killed = Instant::now();
    first.kill().await;
    store.extend(rest);
    second.reaches(last(&log)).await;
    assert!(killed.elapsed() > limits(9).lease / 3, "it did not wait for the end of the lease");
    second.stop().await;
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log, 1), "{model}");
    }
}
