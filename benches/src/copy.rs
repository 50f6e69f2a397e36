//! The bulk write: the rows of finished read models, written into the same tables and indexes, and nothing else.
//!
//! With the statement that the read models are written with, which takes a list of rows as one JSON text; these texts are
//! made before the clock starts. Nothing is read, folded or written twice.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::Result;

/// Rows of a statement: as many as the worker has events in a batch.
const ROWS_MAX: usize = 2_000;

/// All rows of a database, as statements and what they take.
pub(crate) struct Copy {
    schema: Vec<String>,
    inserts: Vec<(String, Vec<String>)>,
    pub(crate) rows: usize,
}

impl Copy {
    pub(crate) async fn of(views: &Path) -> Result<Self> {
        let mut db = SqliteConnectOptions::new().filename(views).read_only(true).connect().await?;
        let schema =
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name <> 'checkpoints' ORDER BY type DESC";
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'checkpoints'";
        let mut copy =
            Self { schema: sqlx::query_scalar(schema).fetch_all(&mut db).await?, inserts: Vec::new(), rows: 0 };
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await?;
        for table in tables {
            let columns: Vec<(String, i64)> = sqlx::query_as("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")
                .bind(&table)
                .fetch_all(&mut db)
                .await?;
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let select = format!("SELECT json_array({}) FROM {table} ORDER BY rowid", names.join(", "));
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut db).await?;
            copy.rows += rows.len();
            let lists = rows.chunks(ROWS_MAX).map(|rows| format!("[{}]", rows.join(","))).collect();
            copy.inserts.push((upsert(&table, &columns, &names), lists));
        }
        db.close().await?;
        Ok(copy)
    }

    /// Writes all into a new file, in one transaction, and tells how long that took.
    pub(crate) async fn write(&self, file: &Path) -> Result<Duration> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-16000");
        let mut db = options.connect().await?;
        let begun = Instant::now();
        let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
        for statement in &self.schema {
            sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut *transaction).await?;
        }
        for (insert, lists) in &self.inserts {
            for rows in lists {
                sqlx::query(AssertSqlSafe(insert.as_str())).bind(rows).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        let took = begun.elapsed();
        db.close().await?;
        Ok(took)
    }
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
