//! The models of a log, on either database.

use std::{path::PathBuf, sync::Arc, time::Duration};

use dealog_events::{Envelope, Position};
use dealog_projections::{
    Database, Limits, Verified, Worker,
    models::{self, Lists},
    verify,
};
use dealog_store::EventStore;
use dealog_test_postgres::Fresh;
use tempfile::TempDir;

use crate::memory::MemoryStore;

/// Which database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// Each test once on each database: `cases::postgres::…`, `cases::sqlite::…`.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::databases::On::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::databases::On::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// A database of its own, which is gone with it.
pub(crate) struct TestDatabase {
    pub(crate) database: Database,
    place: Place,
}

enum Place {
    File { path: PathBuf, _folder: TempDir },
    Server(Fresh),
}

impl TestDatabase {
    pub(crate) async fn new(on: On) -> Self {
        let place = match on {
            On::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                Place::File { path: folder.path().join("views.db"), _folder: folder }
            }
            On::Postgres => Place::Server(Fresh::new().await),
        };
        Self { database: place.open().await, place }
    }

    /// Takes away all that was made, and begins again: faster than another database.
    pub(crate) async fn anew(&mut self) {
        match &self.place {
            Place::File { .. } => *self = Self::new(On::Sqlite).await,
            Place::Server(server) => {
                self.database.close().await;
                server.execute("DROP SCHEMA views CASCADE").await.unwrap();
                self.database = self.place.open().await;
            }
        }
    }

    /// All models of this log, made in one go.
    pub(crate) async fn lists_of(&self, log: Vec<Envelope>) -> Lists {
        worker(MemoryStore::holding(log), &self.database, 1_000).await.catch_up().await.unwrap();
        self.lists()
    }

    /// What the models answer.
    pub(crate) fn lists(&self) -> Lists {
        Lists::new(self.database.clone())
    }

    /// Whether all rows are what another fold of the log makes of it.
    pub(crate) async fn is_what_the_log_says(&self, store: Arc<dyn EventStore>, head: Position) {
        for model in models::all() {
            let name = model.name();
            let verified = verify(&store, &self.database, model, |_, _| {}).await.unwrap();
            assert_eq!(verified, Verified::Equal(head), "{name}");
        }
    }
}

impl Place {
    async fn open(&self) -> Database {
        match self {
            Self::File { path, .. } => Database::open(path).await.unwrap(),
            Self::Server(server) => Database::postgres(server.url()).await.unwrap(),
        }
    }
}

/// A worker of all models, with their tables.
pub(crate) async fn worker(store: Arc<dyn EventStore>, database: &Database, events_max: usize) -> Worker {
    let lease = Duration::from_secs(2);
    let limits = Limits { batch_events_max: events_max, build_events_max: events_max, lease, ..Limits::default() };
    let mut worker = Worker::start(store, database.clone(), models::all(), limits).await.unwrap();
    worker.ready().await.unwrap();
    worker
}
