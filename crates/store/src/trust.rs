//! Whether a log is still believed.
//!
//! Opening a log looks at its end only. What is read is checked when it is read, and in a server a scrub reads everything in
//! time (`scrub.rs`). Once either has found damage, this process appends nothing to that log any more: what a command would be
//! decided on may be wrong, and a backup that is put back loses what was appended since. What is sound can still be read.
//!
//! On SQLite a mark beside the file outlives the process. The next to open the log finds it and looks at all of it first.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use metrics::{Gauge, describe_gauge, gauge};

use crate::{StoreError, trouble::is_corrupt};

/// What a process knows of damage in one log. Clones know the same.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// The file of a log that is one.
    file: Option<PathBuf>,
    /// Where damage was found first.
    damage: Arc<OnceLock<String>>,
}

impl Trust {
    /// A log in this file, or in a database, that is believed until anyone learns better.
    pub(crate) fn new(file: Option<&Path>) -> Self {
        describe_gauge!("dealog_log_damaged", "1 once damage was found in the log, and nothing is appended to it");
        meter().set(0.0);
        Self { file: file.map(Path::to_owned), damage: Arc::default() }
    }

    /// Where damage was found, if it was.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
    }

    /// Refuses a log in which damage was found.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.damage().map_or(Ok(()), |place| Err(StoreError::Distrusted(place.to_owned())))
    }

    /// Learns from the outcome of a read. `place` says what was read, for where the database cannot say it.
    pub(crate) fn judge<T>(&self, place: impl Display, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.map_err(|error| self.learn(place, error))
    }

    /// Learns from an error, and gives it back. If it tells of damage, that is kept, and it names the place.
    pub(crate) fn learn(&self, place: impl Display, error: StoreError) -> StoreError {
        let error = match (error, &self.file) {
            (StoreError::Database(error), Some(file)) if is_corrupt(&error) => {
                StoreError::DamagedFile { file: file.clone(), place: place.to_string(), reason: error.to_string() }
            }
            (StoreError::Database(error), None) if is_corrupt(&error) => {
                StoreError::DamagedLog { place: place.to_string(), reason: error.to_string() }
            }
            (StoreError::DamagedFile { place, reason, .. }, Some(file)) => {
                StoreError::DamagedFile { file: file.clone(), place, reason }
            }
            (error, _) => error,
        };
        let found = match &error {
            StoreError::Damaged { position, .. } => format!("position {position}"),
            StoreError::DamagedFile { place, .. } | StoreError::DamagedLog { place, .. } => place.clone(),
            _ => return error,
        };
        if self.damage.set(found).is_ok() {
            meter().set(1.0);
            tracing::error!(%error, "damage was found in the log: nothing is appended to it any more");
            if let Some(file) = &self.file
                && let Err(failed) = std::fs::write(mark(file), format!("{error}\n"))
            {
                tracing::error!(error = %failed, "it cannot be written down beside the log that it is damaged");
            }
        }
        error
    }
}

/// What says that damage was found in the log in this file.
pub(crate) fn mark(file: &Path) -> PathBuf {
    let mut mark = file.as_os_str().to_owned();
    mark.push("-damaged");
    mark.into()
}

fn meter() -> Gauge {
    gauge!("dealog_log_damaged")
}
