//! An import that is killed somewhere and run again leaves the log that it would have left.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dealog_events::{CommandId, Envelope, Position, StreamId, Version};
use dealog_store::{Append, AppendError, Appended, EventStore, Head, Remembered, StoreError, sqlite::SqliteStore};
use futures_util::future::{BoxFuture, FutureExt as _, pending};
use tokio::sync::{Notify, watch};

use super::{DEALS, HEADER, Options, SAMPLE, World, without_recorded_at};

/// Enough rows for two chunks of deals, so that a kill can fall within one and between them.
const COPIES: usize = 5;
/// Appends of that import: settings, pipeline, users, teams, customers, and the steps of the deals.
const APPENDS: usize = 24 + COPIES * (62 + 56 + 27 + 17);

fn world() -> World {
    let world = World::sample();
    let rows = SAMPLE[3].1.lines().skip(1);
    let copies = (0..COPIES).flat_map(|copy| rows.clone().map(move |row| format!("{copy}-{row}")));
    let rows: Vec<String> = copies.collect();
    world.write(DEALS, format!("{HEADER}\n{}\n", rows.join("\n")));
    world
}

/// A store that dies: it takes some appends, answers none of them, and takes no more. What a process that is killed
/// leaves is the beginning of its queue, and nobody hears of it.
struct Dying {
    store: Arc<SqliteStore>,
    left: AtomicUsize,
    died: Arc<Notify>,
}

#[async_trait]
impl EventStore for Dying {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            return self.store.append(append);
        }
        self.died.notify_one();
        pending().boxed()
    }

    async fn remembered(&self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        self.store.remembered(ids).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.store.head().await
    }

    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError> {
        self.store.read(after, limit, types).await
    }

    async fn types(&self) -> Result<Vec<String>, StoreError> {
        self.store.types().await
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        self.store.read_stream(stream, after, limit).await
    }

    async fn read_stream_for_command(
        &self,
        stream: StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.store.read_stream_for_command(stream, after, limit).await
    }

    async fn can_append(&self) -> Result<(), dealog_store::Unable> {
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

async fn import_and_die(world: &World, appends: usize) {
    let (store, died) = (world.store().await, Arc::new(Notify::new()));
    let dying = Dying { store: Arc::clone(&store), left: AtomicUsize::new(appends), died: Arc::clone(&died) };
    tokio::select! {
        report = world.import_into(Arc::new(dying), Options::default()) => panic!("it should have died: {report:?}"),
        () = died.notified() => {}
    }
    // Commits what was taken and closes.
    store.close().await;
}

#[tokio::test]
async fn wherever_it_dies_the_next_run_completes_the_same_log() {
    let whole = world();
    whole.import().await;
    let expected = without_recorded_at(whole.log().await);

    // A step that shares no factor with the chunk, so that deaths fall everywhere in waves.
    for appends in (0..APPENDS).step_by(67).chain([APPENDS - 1]) {
        let world = world();
        import_and_die(&world, appends).await;
        let left = without_recorded_at(world.log().await);
        assert_eq!(left[..], expected[..left.len()], "after {appends} appends it left something else than a beginning");
        let report = world.import().await;
        assert_eq!(report.events, (expected.len() - left.len()) as u64, "after {appends} appends");
        assert_eq!(without_recorded_at(world.log().await), expected, "after {appends} appends");
    }
}

#[tokio::test]
async fn it_may_die_again_and_again() {
    let whole = world();
    whole.import().await;
    let expected = without_recorded_at(whole.log().await);

    let world = world();
    for appends in [3, 40, 111, 1, 260, 77] {
        import_and_die(&world, appends).await;
    }
    world.import().await;
    assert_eq!(without_recorded_at(world.log().await), expected);
}

/// Nothing is awaited and nothing closed: tasks, connections and what they had under way are dropped.
#[test]
fn a_runtime_that_is_dropped_in_the_middle_leaves_a_log_that_can_be_completed() {
    let begin = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let expected = {
        let (runtime, whole) = (begin(), world());
        runtime.block_on(whole.import());
        without_recorded_at(runtime.block_on(whole.log()))
    };
    for position in [1, 30, 200, 451, 900] {
        let world = Arc::new(world());
        let runtime = begin();
        let dropped = Arc::clone(&world);
        runtime.block_on(async move {
            let store = dropped.store().await;
            let mut seen = store.watch();
            tokio::spawn(async move { dropped.import_into(store, Options::default()).await });
            let reached = seen.wait_for(|reached| reached.0 >= position);
            tokio::time::timeout(Duration::from_mins(1), reached).await.unwrap().unwrap();
        });
        runtime.shutdown_background();

        let runtime = begin();
        runtime.block_on(world.import());
        assert_eq!(without_recorded_at(runtime.block_on(world.log())), expected, "dropped at {position}");
    }
}
