//! A read model's file that cannot be trusted is put aside, and made anew from the log, which is never touched.
//!
//! Damage is found at a start, when the file's structure is checked, or by a worker or a query that runs into it; those leave a mark,
//! so that the next start need not find it again. A file that was sound, was closed in good order and has not changed since is not
//! checked again. The file is kept as `views.db.damaged` (one of them), since
//! it may tell what happened to the disk.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::SystemTime,
};

use dealog_followers::process;
use sqlx::{AnyConnection, Connection as _, sqlite::SqliteError};

use crate::{
    Database, ProjectionError,
    database::{self, Place},
    lock,
};

/// Whether SQLite found its file damaged, or not to be one of its own.
pub(crate) fn is_damage(error: &sqlx::Error) -> bool {
    const SQLITE_CORRUPT: i32 = 11;
    const SQLITE_NOTADB: i32 = 26;
    let error = error.as_database_error().filter(|error| error.try_downcast_ref::<SqliteError>().is_some());
    let Some(code) = error.and_then(sqlx::error::DatabaseError::code) else { return false };
    // The bits above say more exactly where.
    code.parse::<i32>().is_ok_and(|code| [SQLITE_CORRUPT, SQLITE_NOTADB].contains(&(code & 0xff)))
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Database(error) }
    }
}

impl Database {
    /// Marks the file as one not to be trusted, by the text of the error that showed it: the next start makes it anew.
    pub fn distrust(&self, error: &str) {
        let Place::File(open) = self.place() else { return };
        open.sound.store(false, Ordering::Relaxed);
        let file = &open.path;
        tracing::error!(file = %file.display(), error, "damage was found");
        // In one piece: somebody may be reading it.
        let new = beside(file, ".distrusted.new");
        if let Err(error) = fs::write(&new, error).and_then(|()| fs::rename(&new, beside(file, ".distrusted"))) {
            tracing::error!(%error, "the damaged file could not be marked: delete it before the next start");
        }
    }

    /// Looks at the structure of a file, which takes about a second for each gigabyte.
    pub async fn check_structure(&self) -> Result<(), ProjectionError> {
        if self.file().is_none() {
            return Ok(());
        }
        let answer: Option<String> =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *self.acquire().await?).await?;
        match answer {
            Some(answer) if answer != "ok" => Err(ProjectionError::Damaged(answer)),
            _ => Ok(()),
        }
    }

    /// Why the file is not trusted, if it is not.
    pub fn distrusted(&self) -> Option<String> {
        self.file().and_then(mark)
    }
}

/// Why the file at `path` is not trusted, if somebody has marked it.
fn mark(path: &Path) -> Option<String> {
    fs::read_to_string(beside(path, ".distrusted")).ok()
}

/// Puts the file at `path` aside if it is damaged, and says why it is. To be called before it is opened. It reads the whole file, which
/// takes about a second for each gigabyte, unless it was sound when it was closed and has not changed since.
pub async fn put_aside_if_damaged(path: &Path) -> Result<Option<String>, ProjectionError> {
    let left_over = beside(path, "-wal").exists() || beside(path, "-shm").exists();
    let reason = match (path.exists(), mark(path)) {
        (false, _) if left_over => "it is gone, and its journal is still there".to_owned(),
        (false, _) => return Ok(None),
        (true, Some(marked)) => marked,
        (true, None) if is_as_noted(path) => return Ok(None),
        (true, None) => match check(path).await {
            Ok(answer) if answer == "ok" => {
                note_sound(path).map_err(sqlx::Error::Io)?;
                return Ok(None);
            }
            Ok(answer) => answer,
            Err(ProjectionError::Damaged(reason)) => reason,
            Err(error) => return Err(error),
        },
    };
    // Whoever has the old file open would take what lies beside the new one for its own.
    let alone = lock::alone(&path.with_extension("lock")).await.map_err(sqlx::Error::Io)?;
    let Some(_alone) = alone else { return Err(ProjectionError::DamagedInUse(reason)) };
    put_aside(path).map_err(sqlx::Error::Io)?;
    Ok(Some(reason))
}

async fn check(path: &Path) -> Result<String, ProjectionError> {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(&database::url(path)?).await?;
    let answer = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut db).await;
    db.close().await?;
    Ok(answer?)
}

/// A journal without its database, or beside another one, would be damage by itself: it goes.
fn put_aside(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    gone(fs::rename(path, beside(path, ".damaged")))?;
    for what in ["-wal", "-shm", SOUND, ".distrusted"] {
        gone(fs::remove_file(beside(path, what)))?;
    }
    Ok(())
}

/// Beside a sound file that nobody has open: what it is like.
const SOUND: &str = "-sound";

/// Notes what a sound file is like, once all that was written is in it. If another process still has it open, that process does so
/// when it closes it.
pub(crate) fn note_sound(path: &Path) -> io::Result<()> {
    if beside(path, "-wal").exists() {
        return Ok(());
    }
    fs::write(beside(path, SOUND), likeness(path)?)
}

/// Whether a file that is being opened is sound: it is new, or as it was noted. From here on it changes.
pub(crate) fn opened(path: &Path) -> io::Result<bool> {
    let sound = !path.exists() || is_as_noted(path);
    match fs::remove_file(beside(path, SOUND)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(sound),
    }
}

fn is_as_noted(path: &Path) -> bool {
    let noted = fs::read_to_string(beside(path, SOUND));
    !beside(path, "-wal").exists() && noted.is_ok_and(|noted| likeness(path).is_ok_and(|now| now == noted))
}

/// Which file it is, how long, and when it was written to last.
fn likeness(path: &Path) -> io::Result<String> {
    let file = fs::metadata(path)?;
    let modified = file.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {} {}\n", file.ino(), file.len(), modified.as_nanos()))
}

/// Beside a file that waits for no disk: the run of the system in which it was begun.
const BOOT: &str = "-boot";

/// Removes such a file where it may be from before the system started: a crash of the machine may have kept any of its pages
/// and lost any other, and then it need not look damaged.
pub(crate) fn only_of_this_boot(path: &Path) -> io::Result<()> {
    let boot = process::boot().unwrap_or_default();
    let begun = fs::read_to_string(beside(path, BOOT)).unwrap_or_default();
    if boot.is_empty() || begun != boot {
        remove(path)?;
        fs::write(beside(path, BOOT), boot)?;
    }
    Ok(())
}

/// The file and its journals are removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    for what in ["", "-journal", "-wal", "-shm", BOOT] {
        match fs::remove_file(beside(path, what)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(what);
    name.into()
}
