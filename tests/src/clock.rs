//! A process whose clock is wrong, by a library that is put before the system's. That is possible on Linux.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use tempfile::TempDir;

use crate::repository;

/// The same command, by a clock that is ahead by so many milliseconds, or behind by a negative number.
#[must_use]
pub fn with_clock(mut command: Command, offset_ms: i64) -> Command {
    command.env("LD_PRELOAD", library()).env("CLOCK_OFFSET_MS", offset_ms.to_string());
    command
}

fn library() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().expect("a folder can be made");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("clock.so"));
        let status =
            cc.arg(repository().join("tests/src/clock.c")).arg("-ldl").status().expect("there is a C compiler");
        assert!(status.success(), "tests/src/clock.c cannot be compiled");
        folder
    });
    folder.path().join("clock.so")
}
