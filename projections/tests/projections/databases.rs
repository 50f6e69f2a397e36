//! Read models of a log, in a file or on a server.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_events::{Envelope, Position};
use dealog_projections::{
    Database, Limits, Projection, ProjectionError, Verified, Worker,
    models::{
        self, Lists,
        deals::{Deals, MODEL},
    },
    position_of, verify,
};
use dealog_store::EventStore;
use dealog_test_postgres::Fresh;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _, ValueRef as _};
use tempfile::TempDir;

use crate::memory::MemoryStore;

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A batch limit, and a lease for whose end a test need not wait long.
pub(crate) fn limits(batch_events_max: usize) -> Limits {
    let lease = Duration::from_secs(2);
    Limits { batch_events_max, build_events_max: batch_events_max, lease, ..Limits::default() }
}

/// A worker of the model `deals` alone, whose tables are there.
pub(crate) async fn worker(
    store: Arc<dyn EventStore>,
    database: &Database,
    batch_events_max: usize,
) -> Result<Worker, ProjectionError> {
    ready(store, database, Box::new(Deals::default()), limits(batch_events_max)).await
}

/// A worker of all models, whose tables are there.
pub(crate) async fn worker_of_all(store: Arc<dyn EventStore>, database: &Database, batch_events_max: usize) -> Worker {
    let mut worker = Worker::start(store, database.clone(), models::all(), limits(batch_events_max)).await.unwrap();
    worker.ready().await.unwrap();
    worker
}

/// A worker whose tables are there.
pub(crate) async fn ready(
    store: Arc<dyn EventStore>,
    database: &Database,
    projection: Box<dyn Projection>,
    limits: Limits,
) -> Result<Worker, ProjectionError> {
    let mut worker = start(store, database.clone(), projection, limits).await?;
    worker.ready().await?;
    Ok(worker)
}

/// A worker of one model.
pub(crate) async fn start(
    store: Arc<dyn EventStore>,
    database: Database,
    projection: Box<dyn Projection>,
    limits: Limits,
) -> Result<Worker, ProjectionError> {
    Worker::start(store, database, vec![projection], limits).await
}

/// The same, which takes no notice of its tables.
pub(crate) fn idle(
    store: Arc<dyn EventStore>,
    database: Database,
    projection: Box<dyn Projection>,
    limits: Limits,
) -> Worker {
    Worker::idle(store, database, vec![projection], limits)
}

/// The rows that a log has to come to, on either database.
pub(crate) async fn rows_of(log: &[Envelope]) -> Vec<String> {
    let test = TestDatabase::new(On::Sqlite).await;
    worker(MemoryStore::holding(log.to_vec()), &test.database, 1_000).await.unwrap();
    test.rows().await
}

/// Comes back once `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes tables back to the beginning with their checkpoint, as a crash of their server may take back the last of them.
pub(crate) async fn take_back(mut db: AnyConnection) {
    let deletes: Vec<String> =
        Deals::default().tables().into_iter().map(|table| format!("DELETE FROM {table};")).collect();
    let sql = format!("BEGIN; {} UPDATE checkpoints SET position = 0, proof = NULL; COMMIT", deletes.concat());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// Which database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// Each test once on each database: `runtime::postgres::…`, `runtime::sqlite::…`.
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

    /// All models of this log, made in one go.
    pub(crate) async fn lists_of(&self, log: Vec<Envelope>) -> Lists {
        worker_of_all(MemoryStore::holding(log), &self.database, 1_000).await.catch_up().await.unwrap();
        self.lists()
    }

    /// What the models answer.
    pub(crate) fn lists(&self) -> Lists {
        Lists::new(self.database.clone())
    }

    /// Where the model `deals` stands; zero while it has no tables.
    pub(crate) async fn position(&self) -> Position {
        match position_of(&mut self.connection().await, &[(MODEL.name, MODEL.version)]).await {
            Err(ProjectionError::NotBuilt) => Position::ZERO,
            found => found.unwrap(),
        }
    }

    /// Whether all rows are what another fold of the log makes of it.
    pub(crate) async fn is_what_the_log_says(&self, store: Arc<dyn EventStore>, head: Position) {
        for model in models::all() {
            let name = model.name();
            let verified = verify(&store, &self.database, model, |_, _| {}).await.unwrap();
            assert_eq!(verified, Verified::Equal(head), "{name}");
        }
    }

    /// Another pool of connections to it, as another process has.
    pub(crate) async fn again(&self) -> Database {
        self.place.open().await
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

    /// The names of all files in its folder; of all schemas but those that every database has.
    pub(crate) async fn places(&self) -> Vec<String> {
        let Place::File { path, .. } = &self.place else {
            let schemas = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)' \
                           ORDER BY 1";
            let mut db = self.connection().await;
            return sqlx::query_scalar(schemas).fetch_all(&mut db).await.unwrap();
        };
        let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes over a file in its folder; false where it is on a server.
    pub(crate) fn write_beside(&self, extension: &str, text: &str) -> bool {
        let Place::File { path, .. } = &self.place else { return false };
        let file = path.with_extension(extension);
        assert!(file.exists(), "there is no {}", file.display());
        std::fs::write(file, text).unwrap();
        true
    }

    /// All pages of a file in its folder but the first are spoilt.
    pub(crate) fn damage(&self, extension: &str) {
        let Place::File { path, .. } = &self.place else { panic!("it is on a server") };
        let file = path.with_extension(extension);
        let mut bytes = std::fs::read(&file).unwrap();
        assert!(bytes.len() > 2 * 4_096, "{} bytes are too few to spoil", bytes.len());
        bytes[4_096..].fill(0xa5);
        std::fs::write(file, bytes).unwrap();
    }

    pub(crate) async fn connection(&self) -> AnyConnection {
        self.connection_to("db", "views").await
    }

    /// To the tables that are being built.
    pub(crate) async fn connection_to_next(&self) -> AnyConnection {
        self.connection_to("deals.next.db", "views_next_deals").await
    }

    async fn connection_to(&self, extension: &str, schema: &str) -> AnyConnection {
        match &self.place {
            Place::File { path, .. } => {
                AnyConnection::connect(&format!("sqlite://{}", path.with_extension(extension).display())).await.unwrap()
            }
            Place::Server(server) => {
                let mut db = AnyConnection::connect(server.url()).await.unwrap();
                db.execute(AssertSqlSafe(format!("SET search_path = {schema}"))).await.unwrap();
                db
            }
        }
    }

    /// Runs SQL past all that guards the tables.
    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connection().await).await.unwrap();
    }

    /// Every row of the read model and its checkpoint, but for how often the tables were made; the same texts on both
    /// databases.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let mut db = self.connection().await;
        let tables = match &self.place {
            Place::File { .. } => "SELECT name FROM sqlite_schema WHERE type = 'table'",
            Place::Server(_) => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'views'",
        };
        let mut tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await.unwrap();
        tables.retain(|table| !["stops", "builds", "leases"].contains(&table.as_str()));
        tables.sort();
        let mut found = Vec::new();
        for table in tables {
            let columns = if table == "checkpoints" { "projection, version, log_id, position" } else { "*" };
            let sql = AssertSqlSafe(format!("SELECT {columns} FROM {table}"));
            let mut rows: Vec<String> = Vec::new();
            for row in sqlx::query(sql).fetch_all(&mut db).await.unwrap() {
                let values = (0..row.len()).map(|column| {
                    if row.try_get_raw(column).unwrap().is_null() {
                        "null".to_owned()
                    } else if let Ok(number) = row.try_get::<i64, _>(column) {
                        number.to_string()
                    } else {
                        format!("{:?}", row.get::<String, _>(column))
                    }
                });
                rows.push(format!("{table}: {}", values.collect::<Vec<_>>().join(", ")));
            }
            rows.sort();
            found.extend(rows);
        }
        db.close().await.unwrap();
        found
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
