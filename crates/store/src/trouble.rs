//! What a database's errors mean to a caller: whether the same request may succeed a little later, and why it failed, in our
//! own words. What the database itself says names tables, constraints and hosts, so it goes to the log and nowhere else.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use crate::StoreError;

/// PostgreSQL's codes for what passes by itself: a lock that could not be had in time, a statement that took too long or was
/// canceled, a serialization failure, a deadlock, a transaction that was idle or open for too long, and a server that only
/// reads, as one does that is about to be promoted.
const PASSING: [&str; 7] = ["55P03", "57014", "40001", "40P01", "25P03", "25P04", "25006"];

/// PostgreSQL's classes of codes for a server that is not there: connections, resources, and one that stops or starts.
const AWAY: [&str; 3] = ["08", "53", "57P"];

/// PostgreSQL's codes for a table or an index that cannot be read as it is.
const CORRUPT: [&str; 2] = ["XX001", "XX002"];

/// The part of SQLite's numbers that says what failed; the bits above say how.
const PRIMARY: u32 = 0xff;

/// Whether a database cannot do its work for now, or cannot be reached: the same request may succeed a little later.
pub fn is_away(error: &sqlx::Error) -> bool {
    is_lost(error) || code_of_postgres(error).is_some_and(|code| PASSING.contains(&code))
}

/// Whether the connection is of no use any more, so that another one may do better at once.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        error => code_of_postgres(error).is_some_and(|code| AWAY.iter().any(|class| code.starts_with(class))),
    }
}

/// Whether what the database keeps is not what it wrote: a page that makes no sense, or a file that ends too early.
pub(crate) fn is_corrupt(error: &sqlx::Error) -> bool {
    const SQLITE_CORRUPT: u32 = 11;
    const SQLITE_NOTADB: u32 = 26;
    const SQLITE_IOERR_SHORT_READ: u32 = 522;
    if let Some(code) = code_of_postgres(error) {
        return CORRUPT.contains(&code);
    }
    let code = error.as_database_error().and_then(DatabaseError::code).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| {
        [SQLITE_CORRUPT, SQLITE_NOTADB].contains(&(code & PRIMARY)) || code == SQLITE_IOERR_SHORT_READ
    })
}

/// Why a database failed.
fn in_words(error: &sqlx::Error) -> &'static str {
    match code_of_postgres(error) {
        Some("55P03") => "others hold the lock of the log's database for too long",
        Some("57014") => "it took the log's database too long",
        Some("40001" | "40P01") => "others got in its way in the log's database",
        Some("53300") => "the log's database has no connection left",
        Some("25006") => "the log's database only reads for now",
        _ if disk(error) == Some(FULL) => "the disk of the log is full",
        _ if disk(error).is_some() => "the disk of the log fails",
        _ if is_away(error) => "the log's database cannot be reached for now",
        _ => "the log's database failed, and the server's log says why",
    }
}

/// What a caller is told of a damaged log.
const DAMAGED: &str = "the log is damaged: nothing is appended to it, and the server's log says where and what to do";

impl StoreError {
    /// Whether the log's database cannot do its work for now: the same request may succeed a little later.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer(_) => true,
            Self::Database(error) => is_away(error),
            _ => false,
        }
    }

    /// Whether what is stored is not what was written.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::DamagedLog { .. } | Self::DamagedFile { .. } | Self::Distrusted(_) => true,
            Self::Database(error) => is_corrupt(error),
            _ => false,
        }
    }

    /// What a caller may be told of it.
    pub fn in_words(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer(_) => "the log's database cannot be reached for now",
            error if error.is_damage() => DAMAGED,
            Self::Database(error) => in_words(error),
            _ => "the log cannot be used as it is, and the server's log says why",
        }
    }
}

/// The code of an error that is PostgreSQL's: SQLite has numbers of its own.
fn code_of_postgres(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

const FULL: &str = "is full";

/// What a database's disk does, if that is why it failed: it "is full", or it "fails".
pub fn disk(error: &sqlx::Error) -> Option<&'static str> {
    const SQLITE_IOERR: u32 = 10;
    const SQLITE_FULL: u32 = 13;
    let code = error.as_database_error().and_then(DatabaseError::code)?;
    match (&*code, code.parse::<u32>().map(|number| number & PRIMARY)) {
        ("53100", _) => Some(FULL),
        ("58030", _) => Some("fails"),
        (code, Ok(SQLITE_FULL)) if code.len() < 5 => Some(FULL),
        (code, Ok(SQLITE_IOERR)) if code.len() < 5 => Some("fails"),
        _ => None,
    }
}
