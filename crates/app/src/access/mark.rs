//! That there have been tokens, written down where no restore of a database takes it back.

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;

const TEXT: &[u8] =
    b"There have been tokens for this log: nobody is let in without one. Remove this file, while the log has no \
    tokens, to open the server to everyone on this machine.\n";

/// A file in the data folder that is there once this log has had a token.
#[derive(Debug, Clone)]
pub struct Mark(PathBuf);

impl Mark {
    /// The mark of a log, named after it: another log in the same folder has another.
    pub fn new(folder: &Path, log_id: Uuid) -> Self {
        Self(folder.join(format!("has-tokens-{log_id}")))
    }

    /// Whether it is there.
    pub fn is_set(&self) -> io::Result<bool> {
        self.0.try_exists()
    }

    /// Sees to it that it is there, also after a crash of the machine.
    pub fn set(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        options.mode(0o600);
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        match options.write(true).create_new(true).open(&self.0) {
            Ok(mut file) => {
                file.write_all(TEXT)?;
                file.sync_all()?;
                // Its name is the folder's to keep.
                fs::File::open(folder)?.sync_all()
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}
