//! The databases from outside, by plain SQL: what no dealog would do to them.

use std::{path::Path, time::Duration};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, any::install_default_drivers};
use tokio::runtime::{Builder, Runtime};

use crate::Data;

/// How long others may keep a database of SQLite locked.
const BUSY: Duration = Duration::from_mins(1);

/// One of the databases, open, and closed for certain when this is gone: the last to close a file tidies up.
pub struct Database {
    connection: Option<AnyConnection>,
    runtime: Runtime,
    dialect: Dialect,
}

/// What the two databases say differently.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

impl Database {
    /// The log: `log.db`, or the schema `log`.
    pub fn log(data: &Data) -> Self {
        Self::open(data, "log").expect("there is a log")
    }

    /// The read models: `views.db`, or the schema `views`.
    pub fn views(data: &Data) -> Self {
        Self::open(data, "views").expect("there are read models")
    }

    /// One of them, unless it is a file and not there yet.
    fn open(data: &Data, name: &str) -> Option<Self> {
        if let Some(url) = data.database() {
            return Some(Self::connect(url, Dialect::Postgres, &format!("SET search_path TO {name}")));
        }
        let file = data.folder().join(name).with_extension("db");
        file.exists().then(|| Self::file(&file))
    }

    /// The number in this column of the one such row of a table, where there are such a database, table and row by now.
    pub fn found(data: &Data, name: &str, column: &str, (table, such): (&str, &str)) -> Option<i64> {
        let mut database = Self::open(data, name)?;
        database.has(table).then(|| database.number(&format!("SELECT {column} FROM {table} WHERE {such}"))).flatten()
    }

    /// A PostgreSQL database, by this address.
    pub fn at(url: &str) -> Self {
        Self::connect(url, Dialect::Postgres, "")
    }

    /// A file of SQLite.
    pub fn file(file: &Path) -> Self {
        let patient = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
        Self::connect(&format!("sqlite://{}", file.display()), Dialect::Sqlite, &patient)
    }

    fn connect(url: &str, dialect: Dialect, first: &str) -> Self {
        install_default_drivers();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let connection = runtime.block_on(AnyConnection::connect(url)).expect("there is a database");
        let mut database = Self { connection: Some(connection), runtime, dialect };
        database.run(first);
        database
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn connection(&mut self) -> (&Runtime, &mut AnyConnection) {
        (&self.runtime, self.connection.as_mut().expect("it is open until it is dropped"))
    }

    /// Runs statements.
    pub fn run(&mut self, statements: &str) {
        self.try_run(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// Runs statements; an error is what the database says.
    pub fn try_run(&mut self, statements: &str) -> Result<(), String> {
        let (runtime, connection) = self.connection();
        let done = runtime.block_on(sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection));
        done.map(drop).map_err(|error| error.to_string())
    }

    /// Runs statements on the log past the triggers that refuse them, which only its owner can, and meaning it.
    pub fn run_past_triggers(&mut self, statements: &str) {
        match self.dialect {
            Dialect::Sqlite => {
                let triggers = "FROM sqlite_schema WHERE type = 'trigger'";
                let drop = self.texts(&format!("SELECT 'DROP TRIGGER ' || name {triggers}"));
                let make = self.texts(&format!("SELECT sql {triggers}"));
                self.run(&[drop.join(";"), statements.to_owned(), make.join(";")].join(";"));
            }
            Dialect::Postgres => {
                let all = |what: &str| {
                    format!(
                        "DO $$ DECLARE one record; BEGIN FOR one IN SELECT tgname, tgrelid::regclass AS owner FROM pg_trigger \
                         WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = \
                         'log'::regnamespace) LOOP EXECUTE format('ALTER TABLE %s {what} TRIGGER %I', one.owner, \
                         one.tgname); END LOOP; END $$"
                    )
                };
                self.run(&[all("DISABLE"), statements.to_owned(), all("ENABLE ALWAYS")].join(";"));
            }
        }
    }

    /// Keeps everybody else from writing read models, until [`Self::let_go`]; they may be read.
    pub fn hold(&mut self) {
        self.run(match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN; LOCK TABLE checkpoints, builds IN SHARE ROW EXCLUSIVE MODE",
        });
    }

    pub fn let_go(&mut self) {
        self.run("ROLLBACK");
    }

    /// The first column of all rows.
    pub fn texts(&mut self, question: &str) -> Vec<String> {
        let (runtime, connection) = self.connection();
        let texts = sqlx::query_scalar(AssertSqlSafe(question.to_owned()));
        runtime.block_on(texts.fetch_all(connection)).unwrap_or_else(|error| panic!("{question}: {error}"))
    }

    /// The first column of the first row.
    pub fn number(&mut self, question: &str) -> Option<i64> {
        let (runtime, connection) = self.connection();
        let number = sqlx::query_scalar(AssertSqlSafe(question.to_owned()));
        runtime.block_on(number.fetch_optional(connection)).unwrap_or_else(|error| panic!("{question}: {error}"))
    }

    /// Whether there is such a schema in a PostgreSQL database.
    pub(crate) fn has_schema(data: &Data, name: &str) -> bool {
        let question = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{name}'");
        Self::open(data, name).is_some_and(|mut database| database.number(&question) == Some(1))
    }

    /// Whether there is such a table.
    pub fn has(&mut self, table: &str) -> bool {
        let question = match self.dialect {
            Dialect::Sqlite => format!("SELECT count(*) FROM sqlite_schema WHERE name = '{table}'"),
            Dialect::Postgres => {
                format!("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema AND tablename = '{table}'")
            }
        };
        self.number(&question) == Some(1)
    }

    /// All rows of a table.
    pub fn rows(&mut self, table: &str) -> Vec<String> {
        let row = match self.dialect {
            Dialect::Sqlite => {
                let columns = format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
                self.texts(&columns).join(" || ',' || ")
            }
            Dialect::Postgres => format!("{table}::text"),
        };
        self.texts(&format!("SELECT '{table}: ' || {row} FROM {table} ORDER BY 1"))
    }
}
