//! The database that the read models live in.

use std::{
    fmt::Write as _,
    fs::File,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dealog_store::sqlite::{Journal, JournalLimits, Snapshot};
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
    pool::PoolConnection,
};

use crate::{
    ProjectionError, damage,
    dialect::Dialect,
    lock,
    postgres::Server,
    runtime::{checkpoint, standing},
};

/// Connections for queries and the workers together.
pub(crate) const CONNECTIONS_MAX: u32 = 8;
/// How long a writer waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Pages that a build keeps, 32 MiB while it lasts: with fewer, pages are written and read again and again.
const BUILD_CACHE: &str = "PRAGMA cache_size = -32768";

/// A pool of connections to the read models. SQLite keeps them in a file apart from the log, so that the two writers never
/// wait for each other and deleting the file is safe; PostgreSQL in a schema of their own.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    /// For batches. To a file that is one connection: whoever else wrote to it would make it forget its pages.
    writer: AnyPool,
    dialect: Dialect,
    place: Place,
}

/// Where read models are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Memory,
    File(Arc<OpenFile>),
    Server(Arc<Server>),
}

/// A file, and that it is in use.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) path: PathBuf,
    /// Whether it was found sound when it was opened, and nothing else has been found since.
    pub(crate) sound: AtomicBool,
    journal: Journal,
    _in_use: File,
}

/// What reads, with the right to do so, which goes after it.
pub(crate) struct Reading<T> {
    db: T,
    _snapshot: Option<Snapshot>,
}

impl<T: Deref<Target = AnyConnection>> Deref for Reading<T> {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.db
    }
}

impl<T: DerefMut<Target = AnyConnection>> DerefMut for Reading<T> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.db
    }
}

impl Reading<Transaction<'_, Any>> {
    /// Ends the transaction.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.db.rollback().await
    }
}

impl Database {
    /// Opens, and makes if need be, the file at `path`.
    pub async fn open(path: &Path) -> Result<Self, ProjectionError> {
        Self::open_with(path, JournalLimits::default()).await
    }

    /// The same, with other limits of its write-ahead log.
    pub async fn open_with(path: &Path, limits: JournalLimits) -> Result<Self, ProjectionError> {
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS_MAX);
        let url = url(path)?;
        let in_use = lock::shared(&path.with_extension("lock")).map_err(sqlx::Error::Io)?;
        let path = std::path::absolute(path).map_err(sqlx::Error::Io)?;
        let sound = damage::opened(&path).map_err(sqlx::Error::Io)?.into();
        let journal = Journal::watch(&path, "views.db", limits);
        let file = OpenFile { path, sound, journal, _in_use: in_use };
        Self::connect(&url, pool, Place::File(Arc::new(file))).await
    }

    /// The same for a file that is built in and thrown away, by one connection: pages go straight into it and wait for no
    /// disk. A process that is killed leaves a whole file; what a crash of the machine leaves is begun anew: see
    /// [`damage::only_of_this_boot`].
    pub(crate) async fn open_to_build(path: &Path) -> Result<Self, ProjectionError> {
        let pool = AnyPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let database = Self::connect(&url(path)?, pool, Place::Memory).await?;
        for pragma in ["PRAGMA journal_mode = TRUNCATE", "PRAGMA synchronous = OFF", BUILD_CACHE] {
            database.pool.execute(pragma).await?;
        }
        Ok(database)
    }

    async fn connect(url: &str, pool: AnyPoolOptions, place: Place) -> Result<Self, ProjectionError> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(url)?;
        // A connection to a file cannot break, so it need not be tested.
        let connections = pool
            .test_before_acquire(false)
            .after_connect(|db, _| Box::pin(prepare(db)))
            .after_release(|db, _| Box::pin(is_done(db)));
        let pool = connections.clone().connect_with(options.clone()).await?;
        bring_up_to_date(&pool).await?;
        for table in tables(Dialect::Sqlite) {
            pool.execute(AssertSqlSafe(table)).await?;
        }
        let writer = match place {
            Place::File(_) => connections.max_connections(1).connect_lazy_with(options),
            Place::Memory | Place::Server(_) => pool.clone(),
        };
        Ok(Self { pool, writer, dialect: Dialect::Sqlite, place })
    }

    pub(crate) fn of(pool: AnyPool, writer: AnyPool, dialect: Dialect, place: Place) -> Self {
        Self { pool, writer, dialect, place }
    }

    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The file; none in memory or on a server.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(file) => Some(&file.path),
            Place::Memory | Place::Server(_) => None,
        }
    }

    /// A connection for a single statement that reads a row or a few. It does not wait while a write-ahead log is cut: it would
    /// have ended before anybody had waited for it.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
        self.pool.acquire().await
    }

    /// The same for a few statements that see one snapshot.
    pub(crate) async fn glance(&self) -> Result<Transaction<'_, Any>, sqlx::Error> {
        self.pool.begin_with(self.dialect.begin_read()).await
    }

    /// A connection of its own, which never goes back to the others.
    pub(crate) async fn connection(&self) -> Result<AnyConnection, sqlx::Error> {
        Ok(self.pool.acquire().await?.detach())
    }

    /// A transaction that sees one snapshot. It must not write: see [`Database::write`].
    pub(crate) async fn read(&self) -> Result<Reading<Transaction<'_, Any>>, sqlx::Error> {
        // On SQLite a transaction has its snapshot from its first statement on: it may have begun before.
        let db = self.glance().await?;
        let snapshot = match &self.place {
            Place::File(file) => Some(file.journal.snapshot().await),
            Place::Memory | Place::Server(_) => None,
        };
        Ok(Reading { db, _snapshot: snapshot })
    }

    /// A transaction that writes.
    pub(crate) async fn write(&self) -> Result<Transaction<'_, Any>, sqlx::Error> {
        self.writer.begin_with(self.dialect.begin_write()).await
    }

    /// A transaction for a lease. On a server it does not wait for a batch of this process, which may itself wait for locks.
    pub(crate) async fn write_lease(&self) -> Result<Transaction<'_, Any>, sqlx::Error> {
        let pool = match &self.place {
            Place::Server(_) => &self.pool,
            Place::Memory | Place::File(_) => &self.writer,
        };
        pool.begin_with(self.dialect.begin_write()).await
    }

    /// A transaction that writes what must outlast a crash of the server.
    pub(crate) async fn write_lasting(&self) -> Result<Transaction<'_, Any>, sqlx::Error> {
        self.pool.begin_with(self.dialect.begin_lasting()).await
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        if let Place::File(file) = &self.place {
            file.journal.close().await;
        }
        self.writer.close().await;
        self.pool.close().await;
        if let Place::File(file) = &self.place
            && file.sound.load(Ordering::Relaxed)
            && let Err(error) = damage::note_sound(&file.path)
        {
            tracing::debug!(%error, "the next start checks the read models");
        }
    }
}

/// Tables of before checkpoints had a proof, and leases a name, get these.
async fn bring_up_to_date(pool: &AnyPool) -> Result<(), sqlx::Error> {
    const EARLIER: &str = "SELECT COUNT(*) FROM pragma_table_info('leases') WHERE name = 'projection'";
    if sqlx::query_scalar::<_, i64>(EARLIER).fetch_one(pool).await? == 0 {
        return Ok(());
    }
    let mut db = pool.begin_with(Dialect::Sqlite.begin_write()).await?;
    // Another process may have done so meanwhile.
    if sqlx::query_scalar::<_, i64>(EARLIER).fetch_one(&mut *db).await? != 0 {
        db.execute("ALTER TABLE leases RENAME COLUMN projection TO name").await?;
        db.execute("ALTER TABLE checkpoints ADD COLUMN proof BIGINT").await?;
    }
    db.commit().await
}

/// The statements that make the tables which are not a projection's own, where they are missing.
pub(crate) fn tables(dialect: Dialect) -> Vec<String> {
    let mut tables = vec![dialect.column(checkpoint::TABLE), dialect.column(dealog_followers::lease::TABLE)];
    tables.extend(standing::schema(dialect));
    tables
}

/// The driver takes a URL and nothing else. In one, blanks, `..`, `%`, `?` and `#` mean something, so the path is made
/// absolute and every byte that might is escaped.
pub(crate) fn url(path: &Path) -> Result<String, sqlx::Error> {
    let name = path.file_name().unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let path = folder.canonicalize()?.join(name);
    let text = text(&path)?;
    let mut url = String::from("sqlite://");
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            _ => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    Ok(url + "?mode=rwc")
}

/// A path as SQL and URLs can hold it.
pub(crate) fn text(path: &Path) -> Result<&str, sqlx::Error> {
    path.to_str().ok_or_else(|| {
        sqlx::Error::Configuration(format!("{} is not a path of readable characters", path.display()).into())
    })
}

async fn prepare(db: &mut AnyConnection) -> Result<(), sqlx::Error> {
    match set_up(db).await {
        // The pool would try again and again; whoever wanted the connection finds out at the first statement.
        Err(error) if damage::is_damage(&error) => Ok(()),
        outcome => outcome,
    }
}

async fn set_up(db: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let busy = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
    db.execute(sqlx::AssertSqlSafe(busy)).await?;
    // The checkpoint is in the same file: a commit lost in a power cut takes its checkpoint with it and is folded again.
    db.execute("PRAGMA journal_mode = WAL").await?;
    db.execute("PRAGMA synchronous = NORMAL").await?;
    db.execute("PRAGMA temp_store = MEMORY").await?;
    // For each connection: under load all of them fill it, and what one has dropped is still in the system's cache.
    db.execute("PRAGMA cache_size = -4000").await?;
    // As for the log: busy pages are written over and over, and the rarer a checkpoint, the fewer of them reach the file.
    db.execute("PRAGMA wal_autocheckpoint = 8192").await?;
    db.execute("PRAGMA journal_size_limit = 67108864").await?;
    db.ping().await
}

/// Where a disk is full, SQLite ends the transaction by itself, and the driver goes on believing that it is in one: such a
/// connection would refuse every transaction from then on.
async fn is_done(db: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    // What is to be rolled back is so by the time of the answer.
    db.ping().await?;
    Ok(!db.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tables_of_before_checkpoints_had_a_proof_are_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("views.db");
        let database = Database::open(&file).await.unwrap();
        for earlier in [
            "ALTER TABLE checkpoints DROP COLUMN proof",
            "ALTER TABLE leases RENAME COLUMN name TO projection",
            "INSERT INTO checkpoints (projection, version, log_id, position, build) VALUES \
             ('deals', 3, '0192f3a4-0000-7000-8000-000000000001', 7, 1)",
        ] {
            database.pool.execute(earlier).await.unwrap();
        }
        database.close().await;
        let database = Database::open(&file).await.unwrap();
        let mut db = database.read().await.unwrap();
        let found = checkpoint::checkpoint(&mut db, "deals").await.unwrap().unwrap();
        assert_eq!((found.position.0, found.proof), (7, None));
        assert!(dealog_followers::lease::holder(&mut db, "models").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_ended_harms_none_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("views.db")).await.unwrap();
        database.pool.execute("CREATE TABLE t (a BIGINT PRIMARY KEY)").await.unwrap();
        for _ in 0..2 * CONNECTIONS_MAX {
            let mut db = database.write().await.unwrap();
            db.execute("INSERT INTO t VALUES (1)").await.unwrap();
            // Ends the transaction, as a full disk does.
            db.execute("INSERT OR ROLLBACK INTO t VALUES (1)").await.unwrap_err();
            drop(db);
        }
        let mut db = database.write().await.unwrap();
        db.execute("INSERT INTO t VALUES (1)").await.unwrap();
        db.commit().await.unwrap();
    }
}
