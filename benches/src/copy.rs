//! The bulk write: the rows of finished read models, written into the same tables, with their indexes made in the same order,
//! and nothing else.
//!
//! With the statement that the read models are written with, which takes a list of rows as one JSON text; these texts are
//! made before the clock starts. Nothing is read, folded or written twice.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use dealog_projections::{Projection as _, deals::Deals};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::Result;

/// The file in a folder of read models.
pub(crate) const VIEWS: &str = "views.db";

/// Rows of a statement: as many as the worker has events in a batch.
const ROWS_MAX: usize = 2_000;

/// All rows of a database, as statements and what they take.
pub(crate) struct Copy {
    schema: Vec<String>,
    inserts: Vec<(String, Vec<String>)>,
    indexes: Vec<String>,
    pub(crate) rows: usize,
}

impl Copy {
    pub(crate) async fn of(folder: &Path) -> Result<Self> {
        let mut db = SqliteConnectOptions::new().filename(folder.join(VIEWS)).read_only(true).connect().await?;
        let projection = Deals::default();
        let mut copy = Self {
            schema: projection.schema(dealog_projections::Dialect::Sqlite),
            inserts: Vec::new(),
            indexes: projection.indexes(),
            rows: 0,
        };
        for table in projection.tables() {
            let columns: Vec<(String, i64)> = sqlx::query_as("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")
                .bind(table)
                .fetch_all(&mut db)
                .await?;
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let select = format!("SELECT json_array({}) FROM {table} ORDER BY rowid", names.join(", "));
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut db).await?;
            copy.rows += rows.len();
            let lists = rows.chunks(ROWS_MAX).map(|rows| format!("[{}]", rows.join(","))).collect();
            copy.inserts.push((upsert(table, &columns, &names), lists));
        }
        db.close().await?;
        Ok(copy)
    }

    /// Writes all into a file in a new folder, in one transaction, and tells how long that took.
    pub(crate) async fn write(&self, folder: &Path) -> Result<Duration> {
        fs::create_dir(folder)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join(VIEWS))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-4000");
        let mut db = options.connect().await?;
        let begun = Instant::now();
        let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
        run(&mut transaction, &self.schema).await?;
        for (insert, lists) in &self.inserts {
            for rows in lists {
                sqlx::query(AssertSqlSafe(insert.as_str())).bind(rows).execute(&mut *transaction).await?;
            }
        }
        run(&mut transaction, &self.indexes).await?;
        transaction.commit().await?;
        let took = begun.elapsed();
        db.close().await?;
        Ok(took)
    }
}

async fn run(db: &mut SqliteConnection, statements: &[String]) -> Result<()> {
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut *db).await?;
    }
    Ok(())
}

fn upsert(table: &str, columns: &[(String, i64)], names: &[&str]) -> String {
    let values: Vec<String> = (0..names.len()).map(|index| format!("value ->> {index}")).collect();
    let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
    key.sort_by_key(|(_, place)| *place);
    let key: Vec<&str> = key.into_iter().map(|(name, _)| name.as_str()).collect();
    let changing = names.iter().filter(|name| !key.contains(name));
    let updates: Vec<String> = changing.map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM jsonb_each($1) WHERE true ON CONFLICT ({}) DO UPDATE SET {}",
        names.join(", "),
        values.join(", "),
        key.join(", "),
        updates.join(", ")
    )
}
