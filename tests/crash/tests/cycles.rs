//! A short run of the crash harness for each back end; `just crash` is the long one. The binary under test must have
//! failpoints, as `scripts/test` builds it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, process::Command};

/// Each kind of trouble comes at least once.
const CYCLES: &str = "20";

fn nothing_is_lost(database: &str) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_dealog-crash")).args([CYCLES, "--database", database]).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

#[test]
fn nothing_is_lost_in_files_whatever_breaks() {
    nothing_is_lost("sqlite");
}

/// Whether the harness catches them is what `just crash-bugs` takes longer to see.
#[test]
fn every_seeded_bug_can_still_be_planted() {
    let bugs = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bugs")).unwrap().map(|bug| bug.unwrap().path());
    let bugs: Vec<_> = bugs.collect();
    assert_eq!(bugs.len(), 10);
    for bug in bugs {
        let mut git = Command::new("git");
        git.current_dir(dealog_tests::repository()).args(["apply", "--check"]).arg(&bug);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{}: {}", bug.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn nothing_is_lost_in_postgresql_whatever_breaks() {
    nothing_is_lost("postgres");
}
