//! Locks between processes on one data folder. The system lets them go when a process ends, however it ends.
//!
//! What is in the tables never depends on them: SQLite's own locks see to that. They keep a file from being taken away
//! while another process has it open, which SQLite cannot notice.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    time::Duration,
};

/// How often a lock is tried before it counts as taken.
const ATTEMPTS_MAX: u32 = 5;
/// The pause between attempts.
const PAUSE: Duration = Duration::from_millis(10);

fn file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// The lock, shared with others; waits for one who has it alone.
pub(crate) fn shared(path: &Path) -> io::Result<File> {
    let file = file(path)?;
    file.lock_shared()?;
    Ok(file)
}

/// The lock, alone; none where another process has it. One that merely looks whether it is taken has it for an instant.
pub(crate) async fn alone(path: &Path) -> io::Result<Option<File>> {
    let file = file(path)?;
    for _ in 0..ATTEMPTS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether a process has the lock alone.
pub(crate) fn is_taken(path: &Path) -> bool {
    path.exists() && file(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
