//! Opening the file, and bringing it to the schema of this version.
//!
//! The schema is a list of steps, each a script, run in one transaction that also marks the file: a file has all of a
//! version or nothing of it, and one of an older version is brought up by the steps that it lacks. A file from a newer
//! version, or of another program, is refused rather than guessed at.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use dealog_events::Timestamp;
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::check;
use crate::StoreError;

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between attempts to open a file that another process is setting up.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// How often opening is tried: long enough for any setup.
const OPEN_ATTEMPTS_MAX: u32 = 250;

/// Rows that wait between the connection's thread and the task that decodes them.
const ROW_BUFFER: usize = 512;

/// The page cache of a connection that writes, in KiB (negative, as SQLite wants it): room for inner pages and those being
/// written. What it has dropped is still in the system's cache.
pub(super) const CACHE: &str = "-16384";

/// Pages in the write-ahead log that start a checkpoint. The busy pages are written over and over: the rarer a checkpoint,
/// the fewer of their versions reach the file. 8,192 pages are 32 MiB, which
/// is what has to be read through after a crash.
const CHECKPOINT_PAGES: &str = "8192";

/// What the file of the write-ahead log is cut back to once a checkpoint has emptied it.
const JOURNAL_BYTES_MAX: &str = "67108864";

/// The oldest SQLite that is safe for a write-ahead log with several connections: before it, a checkpoint at the moment at which
/// another begins the file anew could leave pages out.
const SQLITE_VERSION_MIN: [u32; 3] = [3, 51, 3];

/// "Deal", in the place where SQLite lets a program mark its files.
const APPLICATION_ID: i32 = 0x4465_616C;

/// What each version of the schema added; the first made the log. A step stays as it was written.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("tokens.sql"),
    include_str!("chains.sql"),
    include_str!("unchanged_commands.sql"),
    include_str!("token_keys.sql"),
    include_str!("types.sql"),
];

/// The version from which on streams are chains.
pub(super) const CHAINS_SINCE: usize = 3;

/// The version from which on commands that changed nothing are remembered.
pub(super) const UNCHANGED_COMMANDS_SINCE: usize = 4;

/// The version from which on events are in an index by type.
pub(super) const TYPES_SINCE: usize = 6;

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).row_buffer_size(ROW_BUFFER)
}

/// For a connection that only reads.
pub(crate) fn read_options(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

/// For a connection to a file that exists and is set up.
pub(crate) fn write_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // What a statement would need to undo itself stays in memory; by default it is written to a file.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", JOURNAL_BYTES_MAX)
}

/// Opens the file for writing, creates it where there is none, and sets it up. A new log has this identity.
pub(crate) async fn open(path: &Path, log_id: Uuid) -> Result<SqliteConnection, StoreError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
    }
    for _ in 1..OPEN_ATTEMPTS_MAX {
        // Going over to WAL needs the file alone, and SQLite does not wait for that by itself.
        match try_open(path, log_id).await {
            Err(StoreError::Database(error)) if is_busy(&error) => tokio::time::sleep(OPEN_PAUSE).await,
            outcome => return outcome,
        }
    }
    try_open(path, log_id).await
}

async fn try_open(path: &Path, log_id: Uuid) -> Result<SqliteConnection, StoreError> {
    if path.exists() {
        check::fit(path).await?;
        sync_journal(path).map_err(sqlx::Error::Io)?;
    }
    let mut connection = write_options(path).create_if_missing(true).connect().await?;
    is_safe(&mut connection).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let found = steps(&mut transaction).await?.len();
    bring_up(&mut transaction, found, log_id).await?;
    if (1..CHAINS_SINCE).contains(&found) {
        check::chains(&mut transaction, path).await?;
    }
    transaction.commit().await?;
    Ok(connection)
}

/// Refuses an SQLite that may damage a log.
async fn is_safe(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    let numbers: Vec<u32> = found.split('.').filter_map(|number| number.parse().ok()).collect();
    if numbers.as_slice() >= SQLITE_VERSION_MIN.as_slice() {
        return Ok(());
    }
    let least = SQLITE_VERSION_MIN.map(|number| number.to_string()).join(".");
    Err(StoreError::Schema(format!("this program was built with SQLite {found}, and {least} or newer is needed")))
}

/// A process that was killed between writing a commit and waiting for the disk has told nobody of it; but SQLite finds it in
/// the journal, and it would be answered as written. So it is brought to the disk first.
fn sync_journal(path: &Path) -> io::Result<()> {
    match File::open(journal(path)) {
        Ok(journal) => journal.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file of the journal beside a log.
pub(super) fn journal(path: &Path) -> PathBuf {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    journal.into()
}

/// The steps that made the file what it is; none where it is empty. One that is neither a log nor empty is refused.
pub(super) async fn steps(connection: &mut SqliteConnection) -> Result<&'static [&'static str], StoreError> {
    let application: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    if ![0, APPLICATION_ID].contains(&application) {
        return Err(StoreError::Schema("the file belongs to another program; choose another path".into()));
    }
    let found: i32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    let objects: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    match usize::try_from(found) {
        Ok(0) if objects == 0 => Ok(&[]),
        Ok(version @ 1..) if application == APPLICATION_ID => STEPS.get(..version).ok_or_else(|| {
            let known = STEPS.len();
            StoreError::Schema(format!(
                "the file has version {version} and this program knows {known}; use a newer dealog"
            ))
        }),
        _ => Err(StoreError::Schema("the file is not a log; choose another path".into())),
    }
}

/// Runs the steps behind version `found`.
async fn bring_up(connection: &mut SqliteConnection, found: usize, log_id: Uuid) -> Result<(), StoreError> {
    let missing = STEPS.get(found..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        sqlx::raw_sql(*step).execute(&mut *connection).await?;
    }
    if found == 0 {
        sqlx::query("INSERT INTO head (one, log_id, position, recorded_at) VALUES (1, ?1, 0, ?2)")
            .bind(log_id)
            .bind(Timestamp::MIN.micros())
            .execute(&mut *connection)
            .await?;
    }
    let version = STEPS.len();
    let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(marks)).execute(connection).await?;
    Ok(())
}

/// Another connection holds what this one needs.
fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: i32 = 5;
    code(error).is_some_and(|code| code & PRIMARY == SQLITE_BUSY)
}

/// The part of a code that says what failed; the bits above say how.
const PRIMARY: i32 = 0xff;

fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)?.parse().ok()
}
