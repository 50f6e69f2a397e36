//! Files of the data folder belong to one user.
//!
//! Files are made in many places, most of them by SQLite, which asks nobody for their mode; so it is taken from what applies to all
//! of them, those to come included: the mask of the process.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use dealog_store::Place;
use rustix::{fs::Mode, process};

use crate::settings::Settings;

/// What a mode gives to others than the owner.
const OTHERS: u32 = 0o077;

/// Names that a warning lists.
const NAMES_MAX: usize = 10;

/// From now on, folders that this process makes have the mode 0700 and files 0600.
pub(crate) fn keep_private() {
    process::umask(Mode::from_bits_truncate(OTHERS));
}

/// Warns of what others may read or write in the data folder, and of a folder that is somebody else's. Nothing is changed: it may
/// be meant so.
pub(crate) fn report_loose(settings: &Settings) {
    let places = [settings.log_place(), settings.views_place()];
    if !places.iter().any(|place| matches!(place, Place::Sqlite(_))) {
        return;
    }
    let folder = &settings.data;
    match loose(folder) {
        Ok(names) if !names.is_empty() => {
            let folder = folder.display();
            tracing::warn!(%folder, names = names.join(", "), "others than its owner can read the data: run `chmod go-rwx`");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(folder = %folder.display(), %error, "it cannot be told who can read the data"),
    }
}

fn loose(folder: &Path) -> io::Result<Vec<String>> {
    let found = fs::metadata(folder)?;
    let mut names = Vec::new();
    let owner = process::geteuid().as_raw();
    if found.uid() != owner {
        tracing::warn!(folder = %folder.display(), owner = found.uid(), "the data folder belongs to another user");
    }
    names.extend(named(".", &found));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // It may be gone by now: SQLite removes its own.
        let Ok(found) = entry.metadata() else { continue };
        if found.is_file() {
            names.extend(named(&entry.file_name().to_string_lossy(), &found));
        }
    }
    names.sort();
    if names.len() > NAMES_MAX {
        let more = names.len() - NAMES_MAX;
        names.truncate(NAMES_MAX);
        names.push(format!("and {more} more"));
    }
    Ok(names)
}

/// A name with its mode, where that gives others anything.
fn named(name: &str, found: &Metadata) -> Option<String> {
    let mode = found.permissions().mode() & 0o777;
    (mode & OTHERS != 0).then(|| format!("{} ({mode:04o})", name.escape_debug()))
}
