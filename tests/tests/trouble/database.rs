//! The databases from outside, by plain SQL: what no dealog would do to them.

use std::path::Path;

use dealog_tests::until;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::{Builder, Runtime};

use super::PATIENCE;

/// A database file, open, and closed for certain when this is gone: the last to close it tidies up.
pub(crate) struct Database {
    connection: Option<SqliteConnection>,
    runtime: Runtime,
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

impl Database {
    pub(crate) fn open(file: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
        let connection = runtime.block_on(SqliteConnection::connect_with(&options)).unwrap();
        Self { connection: Some(connection), runtime }
    }

    pub(crate) fn run(&mut self, statements: &str) {
        let statements = AssertSqlSafe(statements.to_owned());
        self.runtime.block_on(sqlx::raw_sql(statements).execute(self.connection.as_mut().unwrap())).unwrap();
    }

    fn texts(&mut self, question: String) -> Vec<String> {
        let question = sqlx::query_scalar(AssertSqlSafe(question));
        self.runtime.block_on(question.fetch_all(self.connection.as_mut().unwrap())).unwrap()
    }

    /// The first column of the first row.
    pub(crate) fn number(&mut self, question: &str) -> Option<i64> {
        let question = sqlx::query_scalar(AssertSqlSafe(question.to_owned()));
        self.runtime.block_on(question.fetch_optional(self.connection.as_mut().unwrap())).unwrap()
    }

    /// All rows of all tables of the read model.
    pub(crate) fn tables(&mut self) -> Vec<String> {
        let tables = ["deals", "spans", "visits", "pipelines", "stages", "users", "teams", "members", "customers"];
        let mut found = Vec::new();
        for table in tables {
            let columns = self
                .texts(format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"))
                .join(" || ',' || ");
            found.extend(self.texts(format!("SELECT '{table}: ' || {columns} FROM {table} ORDER BY 1")));
        }
        found
    }
}

/// How far a build has come, as it is written down; none where there is none.
pub(crate) fn build_position(views: &Path) -> Option<i64> {
    if !views.exists() {
        return None;
    }
    let mut database = Database::open(views);
    let there = database.number("SELECT 1 FROM sqlite_schema WHERE name = 'builds'").is_some();
    there.then(|| database.number("SELECT position FROM builds")).flatten()
}

/// How often the tables have been made.
pub(crate) fn build_number(views: &Path) -> Option<i64> {
    Database::open(views).number("SELECT build FROM checkpoints")
}

/// Waits until a build has come so far.
pub(crate) fn built_to(views: &Path, position: i64) {
    until("the build should come on", PATIENCE, || build_position(views).filter(|at| *at >= position));
}
