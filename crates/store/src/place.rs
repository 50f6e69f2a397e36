//! Where a log is, and opening it there.

use std::{
    fmt::{self, Display},
    path::PathBuf,
    sync::Arc,
};

use dealog_events::Envelope;

use crate::{EventStore, Head, Limits, StoreError, TokenStore, postgres::PostgresStore, sqlite::SqliteStore};

/// A log with the tokens beside it.
pub trait Log: EventStore + TokenStore {}

impl<L: EventStore + TokenStore> Log for L {}

/// Where a log is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In an SQLite file.
    Sqlite(PathBuf),
    /// In a PostgreSQL database, by its URL.
    Postgres(String),
}

/// Where it is, without a password.
impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => PostgresStore::address(url).fmt(f),
        }
    }
}

impl Place {
    /// Opens the log here; where there is none it is made.
    pub async fn open(&self, limits: Limits) -> Result<Arc<dyn Log>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(SqliteStore::open(path, limits).await?),
            Self::Postgres(url) => Arc::new(PostgresStore::open(url, limits).await?),
        })
    }

    /// Whether there is a log here. Opening makes one where there is none.
    pub async fn exists(&self, limits: Limits) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(path.exists()),
            Self::Postgres(url) => PostgresStore::exists(url, limits).await,
        }
    }

    /// Looks for damage in all of the log. `visit` is given the events, page after page, and the end of the log; it may
    /// refuse the log too.
    pub async fn check(
        &self,
        limits: Limits,
        visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
    ) -> Result<Head, StoreError> {
        match self {
            Self::Sqlite(path) => SqliteStore::check(path, visit).await,
            Self::Postgres(url) => PostgresStore::check(url, limits, visit).await,
        }
    }
}
