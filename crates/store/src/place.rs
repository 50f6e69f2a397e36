//! Where a log is, and opening it there.

use std::{
    fmt::{self, Display},
    path::PathBuf,
    sync::Arc,
};

use dealog_events::Envelope;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::{Head, Limits, Log, StoreError, postgres::PostgresStore, sqlite::SqliteStore};

/// Where a log is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In an SQLite file.
    Sqlite(PathBuf),
    /// In a PostgreSQL database, by its URL, which may hold a password.
    Postgres(SecretString),
}

/// Where it is, without a password.
impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => PostgresStore::address(url.expose_secret()).fmt(f),
        }
    }
}

impl Place {
    /// Opens the log here; where there is none it is made.
    pub async fn open(&self, limits: Limits) -> Result<Arc<dyn Log>, StoreError> {
        self.open_as(Uuid::now_v7(), limits).await
    }

    /// The same; where there is none, it is made with this identity. One that is there has its own.
    pub async fn open_as(&self, log_id: Uuid, limits: Limits) -> Result<Arc<dyn Log>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(SqliteStore::open_as(path, log_id, limits).await?),
            Self::Postgres(url) => Arc::new(PostgresStore::open_as(url.expose_secret(), log_id, limits).await?),
        })
    }

    /// Whether there is a log here. Opening makes one where there is none.
    pub async fn exists(&self, limits: Limits) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(path.exists()),
            Self::Postgres(url) => PostgresStore::exists(url.expose_secret(), limits).await,
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
            Self::Postgres(url) => PostgresStore::check(url.expose_secret(), limits, visit).await,
        }
    }
}
