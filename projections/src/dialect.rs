//! What the two databases say differently. Everything else is written once.

use sqlx::{AnyConnection, Database as _, Postgres};

/// The SQL of one database or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `SQLite`.
    Sqlite,
    /// `PostgreSQL`.
    Postgres,
}

impl Dialect {
    pub(crate) fn of(db: &AnyConnection) -> Self {
        if db.backend_name() == Postgres::NAME { Self::Postgres } else { Self::Sqlite }
    }

    /// Begins a transaction that sees one snapshot.
    ///
    /// PostgreSQL finds tables by what their names mean now, and rows by the snapshot: whoever holds a snapshot of before a
    /// swap must not meet the tables of after it. So readers share a lock that a swap has to itself, and have it before the
    /// snapshot is taken, which is at the first SELECT.
    pub(crate) fn begin_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; LOCK TABLE builds IN ACCESS SHARE MODE"
            }
        }
    }

    /// Begins a transaction that writes.
    ///
    /// SQLite gives the write lock at once: one that began by reading could find, at its first write, that another process
    /// has written since, and would have to start over. PostgreSQL locks rows: see [`Dialect::for_update`].
    pub(crate) fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
        }
    }

    /// The same where the commit must outlast a crash of the server, which others need not: see `postgres.rs`.
    pub(crate) fn begin_lasting(self) -> &'static str {
        match self {
            // A crash of the machine ends all who have the file open, and what they believe to have written.
            Self::Sqlite => self.begin_write(),
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL synchronous_commit = on",
        }
    }

    /// Ends a SELECT whose row nobody else may change until the transaction ends.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// A column's type, so that texts compare by their bytes on both.
    pub(crate) fn column(self, sql_type: &str) -> String {
        match self {
            Self::Sqlite => sql_type.to_owned(),
            Self::Postgres => sql_type.replace("TEXT", "TEXT COLLATE \"C\""),
        }
    }

    /// The type of a column that is a table's key by itself. SQLite has rows in the order of a key that is called INTEGER, and
    /// needs no index to find them by it.
    pub(crate) fn key(self, sql_type: &str) -> String {
        match self {
            Self::Sqlite => sql_type.replace("BIGINT", "INTEGER"),
            Self::Postgres => self.column(sql_type),
        }
    }

    /// The rows of a JSON array of arrays in `$1`, each as `value`.
    pub(crate) fn rows(self) -> &'static str {
        match self {
            // Not json_each, whose rows would be texts that each column has parsed anew.
            Self::Sqlite => "jsonb_each($1)",
            // Of 2,000 rows with 25 columns in 13 ms; json_to_recordset takes 19, an unnest of 25 arrays 17.
            Self::Postgres => "jsonb_array_elements(CAST($1 AS JSONB))",
        }
    }

    /// A place in such a row, as a column of this type takes it.
    pub(crate) fn field(self, index: usize, sql_type: &str) -> String {
        match self {
            Self::Postgres if sql_type.starts_with("BIGINT") => format!("CAST(value ->> {index} AS BIGINT)"),
            _ => format!("value ->> {index}"),
        }
    }

    /// Selects the items of a JSON array, which has this name in the statement.
    pub(crate) fn items(self, array: &str, sql_type: &str) -> String {
        match self {
            Self::Sqlite => format!("SELECT value FROM json_each({array})"),
            Self::Postgres => format!("SELECT CAST(jsonb_array_elements_text(CAST({array} AS JSONB)) AS {sql_type})"),
        }
    }
}
