//! Read models of a log: in memory to ask, in a file where their tables are looked at.

use std::{path::PathBuf, sync::Arc};

use dealog_events::{Envelope, Timestamp};
use dealog_projections::{
    Database, Limits, Projection, ProjectionError, Worker,
    deals::{
        Deals, Views,
        query::{Grouping, Scope},
    },
};
use dealog_store::EventStore;
use sqlx::{Connection as _, Row as _, SqliteConnection, ValueRef as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::memory::MemoryStore;

/// A batch limit; the rest as it is by default.
pub(crate) fn limits(batch_events_max: usize) -> Limits {
    Limits { batch_events_max, build_events_max: batch_events_max, ..Limits::default() }
}

pub(crate) async fn worker(
    store: Arc<dyn EventStore>,
    database: &Database,
    batch_events_max: usize,
) -> Result<Worker, ProjectionError> {
    ready(store, database, Box::new(Deals::default()), limits(batch_events_max)).await
}

/// A worker whose tables are there.
pub(crate) async fn ready(
    store: Arc<dyn EventStore>,
    database: &Database,
    projection: Box<dyn Projection>,
    limits: Limits,
) -> Result<Worker, ProjectionError> {
    let mut worker = Worker::start(store, database.clone(), projection, limits).await?;
    worker.ready().await?;
    Ok(worker)
}

/// What a log is folded into in one go.
pub(crate) async fn views_of(log: Vec<Envelope>) -> Views {
    let database = Database::in_memory().await.unwrap();
    worker(MemoryStore::holding(log), &database, 1_000).await.unwrap();
    Views::new(database)
}

/// All deals in one.
pub(crate) const UNGROUPED: &Grouping = &Grouping { by: [None, None], groups_max: 1 };

/// A question about everything at an instant.
pub(crate) fn at(time: Timestamp) -> Scope {
    use dealog_projections::deals::query::{Filter, When};
    Scope { now: time, as_of: Some(When::Instant(time)), filter: Filter::default() }
}

/// A database in a file of its own, which is gone with it.
pub(crate) struct FileDatabase {
    pub(crate) database: Database,
    path: PathBuf,
    _folder: TempDir,
}

impl FileDatabase {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("views.db");
        Self { database: Database::open(&path).await.unwrap(), path, _folder: folder }
    }

    /// Another pool of connections to it, as another process has.
    pub(crate) async fn again(&self) -> Database {
        Database::open(&self.path).await.unwrap()
    }

    /// The names of all files in its folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path.parent().unwrap()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) async fn connection(&self) -> SqliteConnection {
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&self.path)).await.unwrap()
    }

    /// Every row of the read model and its checkpoint, but for how often the tables were made.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let mut db = self.connection().await;
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('stops', 'builds') ORDER BY \
                      name";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await.unwrap();
        let mut found = Vec::new();
        for table in tables {
            let columns = if table == "checkpoints" { "projection, version, log_id, position" } else { "*" };
            let sql = sqlx::AssertSqlSafe(format!("SELECT {columns} FROM {table}"));
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
