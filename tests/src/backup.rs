//! Backups of a log, made and restored as docs/backup.md tells people to.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Data;

impl Data {
    /// Backs the log up into a file, whether or not a server is at work.
    pub fn back_up(&self) -> PathBuf {
        let Some(url) = self.database() else {
            let backup = self.home().join("copy.db");
            self.run(["backup", &backup.display().to_string()]).succeed();
            return backup;
        };
        let backup = self.home().join("log.dump");
        run("pg_dump", ["--format=custom", "--schema=log", "--file", &backup.display().to_string(), address(url)]);
        backup
    }

    /// Restores such a backup where there is nothing yet.
    pub fn restore(&self, backup: &Path) {
        let Some(url) = self.database() else {
            fs::create_dir_all(self.folder()).expect("a folder can be made");
            fs::copy(backup, self.folder().join("log.db")).expect("a file can be copied");
            return;
        };
        let options = ["--no-owner", "--no-privileges", "--single-transaction", "--dbname", address(url)];
        run("pg_restore", options.map(OsStr::new).into_iter().chain([backup.as_os_str()]));
    }
}

/// What stands behind it are settings of a client that PostgreSQL's programs do not know.
fn address(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// Runs a program of a database to its end, which must be a good one.
fn run<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) {
    let done = Command::new(program).args(args).stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| panic!("{program} cannot be run, and scripts/test installs it: {error}"));
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    assert!(done.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}
