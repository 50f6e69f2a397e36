//! The files of the audit log: JSON lines, the newest in `audit.jsonl`, older ones in `audit.1.jsonl` and so on.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::Entry;

/// Only who runs the server reads it.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) file_bytes_max: u64,
    pub(super) files_max: u32,
}

/// The file that is written to. It is opened when there is something to write, and anew after whatever went wrong.
pub(super) struct File {
    folder: PathBuf,
    bounds: Bounds,
    open: Option<Open>,
}

struct Open {
    file: fs::File,
    bytes: u64,
    /// The number of the last entry.
    last: u64,
    /// No other process writes here as long as this is open.
    alone: fs::File,
}

/// The name of the file with this many newer ones.
fn path(folder: &Path, newer: u32) -> PathBuf {
    folder.join(if newer == 0 { "audit.jsonl".to_owned() } else { format!("audit.{newer}.jsonl") })
}

impl File {
    pub(super) fn new(folder: PathBuf, bounds: Bounds) -> Self {
        Self { folder, bounds, open: None }
    }

    pub(super) fn name(&self) -> String {
        path(&self.folder, 0).display().to_string()
    }

    /// Numbers the entries and writes them; all are written, or it is an error and the next to be written get their numbers.
    pub(super) fn write(&mut self, entries: Vec<Entry>, sync: bool) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::begin(&self.folder)?,
        };
        if open.bytes >= self.bounds.file_bytes_max {
            self.rotate()?;
            open = open.anew(&self.folder)?;
        }
        let (mut lines, mut number) = (Vec::new(), open.last);
        for entry in entries {
            number += 1;
            serde_json::to_writer(&mut lines, &Entry { number, ..entry })?;
            lines.push(b'\n');
        }
        open.file.write_all(&lines)?;
        if sync {
            open.file.sync_data()?;
        }
        open.bytes += lines.len() as u64;
        open.last = number;
        self.open = Some(open);
        Ok(())
    }

    /// Gives each file the name of the next older one, and lets go of the oldest.
    fn rotate(&self) -> io::Result<()> {
        for newer in (0..self.bounds.files_max.saturating_sub(1)).rev() {
            match fs::rename(path(&self.folder, newer), path(&self.folder, newer + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.bounds.files_max <= 1 {
            fs::remove_file(path(&self.folder, 0))?;
        }
        Ok(())
    }
}

impl Open {
    fn begin(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let alone = options().open(folder.join("audit.lock"))?;
        alone
            .try_lock()
            .map_err(|_| io::Error::other("another server writes it: give this one an audit_folder of its own"))?;
        let last = last_number(folder)?;
        Self::append(folder, last, alone)
    }

    /// The same after the file was given another name.
    fn anew(self, folder: &Path) -> io::Result<Self> {
        Self::append(folder, self.last, self.alone)
    }

    fn append(folder: &Path, last: u64, alone: fs::File) -> io::Result<Self> {
        let mut file = options().read(true).open(path(folder, 0))?;
        let mut bytes = file.seek(SeekFrom::End(0))?;
        // A line that a crash or a full disk cut off stays as it is; what comes next is a line of its own.
        let mut end = [b'\n'];
        if bytes > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut end)?;
        }
        if end != [b'\n'] {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        Ok(Self { file, bytes, last, alone })
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(FILE_MODE);
    options
}

/// The number of the last entry there is.
fn last_number(folder: &Path) -> io::Result<u64> {
    for newer in 0..2 {
        let mut last = None;
        each(&path(folder, newer), |entry| {
            last = Some(entry.number);
            true
        })?;
        if let Some(last) = last {
            return Ok(last);
        }
    }
    Ok(0)
}

/// Entries of all files after this number, the oldest first, at most `limit`.
pub(super) fn read(folder: &Path, bounds: Bounds, after: u64, limit: usize) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for newer in (0..bounds.files_max.max(1)).rev() {
        // A file may be passed over where the one after it begins no later than what is wanted.
        if newer > 0 && first_number(&path(folder, newer - 1))?.is_some_and(|first| first <= after.saturating_add(1)) {
            continue;
        }
        each(&path(folder, newer), |entry| {
            if entry.number > after && found.len() < limit {
                found.push(entry);
            }
            found.len() < limit
        })?;
    }
    Ok(found)
}

fn first_number(path: &Path) -> io::Result<Option<u64>> {
    let mut first = None;
    each(path, |entry| {
        first = Some(entry.number);
        false
    })?;
    Ok(first)
}

/// Calls `visit` with the entries of a file until it has had enough. What is no entry is passed over, and so is a file that is
/// not there.
fn each(path: &Path, mut visit: impl FnMut(Entry) -> bool) -> io::Result<()> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(entry) = serde_json::from_slice(&line?)
            && !visit(entry)
        {
            break;
        }
    }
    Ok(())
}

/// Waits until the thread of an audit log that nobody holds any more has let go of its files.
#[cfg(test)]
pub(super) fn wait_until_free(folder: &Path) {
    options().open(folder.join("audit.lock")).unwrap().lock().unwrap();
}
