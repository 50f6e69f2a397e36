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

use dealog_projections::{Dialect, models};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::Result;

/// The file in a folder of read models.
pub(crate) const VIEWS: &str = "views.db";

/// Rows of a statement: as many as the worker has events in a batch.
const ROWS_MAX: usize = 2_000;

/// All rows of a database, as lists that a statement takes.
pub(crate) struct Copy {
    tables: Vec<Table>,
    pub(crate) rows: usize,
}

struct Table {
    name: &'static str,
    columns: Vec<Column>,
    lists: Vec<String>,
}

struct Column {
    name: String,
    sql_type: String,
    /// Its place in the key, from 1; 0 where it is not part of it.
    key: i64,
}

impl Copy {
    pub(crate) async fn of(folder: &Path) -> Result<Self> {
        let mut db = SqliteConnectOptions::new().filename(folder.join(VIEWS)).read_only(true).connect().await?;
        let mut copy = Self { tables: Vec::new(), rows: 0 };
        for name in models::all().iter().flat_map(|model| model.tables()) {
            let columns: Vec<(String, String, i64)> =
                sqlx::query_as("SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY cid")
                    .bind(name)
                    .fetch_all(&mut db)
                    .await?;
            let columns: Vec<Column> =
                columns.into_iter().map(|(name, sql_type, key)| Column { name, sql_type, key }).collect();
            let select = format!("SELECT json_array({}) FROM {name} ORDER BY rowid", names(&columns));
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut db).await?;
            copy.rows += rows.len();
            let lists = rows.chunks(ROWS_MAX).map(|rows| format!("[{}]", rows.join(","))).collect();
            copy.tables.push(Table { name, columns, lists });
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
        let statements = self.statements(Dialect::Sqlite);
        let begun = Instant::now();
        let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
        for (sql, rows) in statements {
            let query = sqlx::query(AssertSqlSafe(sql));
            match rows {
                Some(rows) => query.bind(rows).execute(&mut *transaction).await?,
                None => query.execute(&mut *transaction).await?,
            };
        }
        transaction.commit().await?;
        let took = begun.elapsed();
        db.close().await?;
        Ok(took)
    }

    /// The same into a new database on a server.
    pub(crate) async fn write_to_postgres(&self, url: &str) -> Result<Duration> {
        let mut db = PgConnection::connect(url).await?;
        let statements = self.statements(Dialect::Postgres);
        let begun = Instant::now();
        let mut transaction = db.begin().await?;
        for (sql, rows) in statements {
            let query = sqlx::query(AssertSqlSafe(sql));
            match rows {
                Some(rows) => query.bind(rows).execute(&mut *transaction).await?,
                None => query.execute(&mut *transaction).await?,
            };
        }
        transaction.commit().await?;
        let took = begun.elapsed();
        db.close().await?;
        Ok(took)
    }

    /// In order, each with the rows that it takes, if it takes any.
    fn statements(&self, dialect: Dialect) -> Vec<(String, Option<&str>)> {
        let (models, alone) = (models::all(), |sql| (sql, None));
        let mut statements: Vec<_> = models.iter().flat_map(|model| model.schema(dialect)).map(alone).collect();
        for table in &self.tables {
            let upsert = table.upsert(dialect);
            statements.extend(table.lists.iter().map(|rows| (upsert.clone(), Some(rows.as_str()))));
        }
        statements.extend(models.iter().flat_map(|model| model.indexes()).map(alone));
        if dialect == Dialect::Postgres {
            // For those who plan questions.
            statements.extend(self.tables.iter().map(|table| (format!("ANALYZE {}", table.name), None)));
        }
        statements
    }
}

impl Table {
    fn upsert(&self, dialect: Dialect) -> String {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        let key: Vec<&str> = key.into_iter().map(|column| column.name.as_str()).collect();
        let values = self.columns.iter().enumerate().map(|(index, column)| match dialect {
            Dialect::Postgres if column.sql_type != "TEXT" => format!("CAST(value ->> {index} AS BIGINT)"),
            _ => format!("value ->> {index}"),
        });
        let changing = self.columns.iter().filter(|column| column.key == 0);
        let updates = changing.map(|Column { name, .. }| format!("{name} = excluded.{name}"));
        let rows = match dialect {
            Dialect::Sqlite => "jsonb_each($1)",
            Dialect::Postgres => "jsonb_array_elements(CAST($1 AS JSONB))",
        };
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {rows} WHERE true ON CONFLICT ({}) DO UPDATE SET {}",
            self.name,
            names(&self.columns),
            values.collect::<Vec<_>>().join(", "),
            key.join(", "),
            updates.collect::<Vec<_>>().join(", ")
        )
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}
