//! A short run of the abuse harness; `just abuse` is the long one, on a release build, which bounds latencies too.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

const SECONDS: &str = "20";

#[test]
fn those_who_work_see_no_failure_whatever_others_do_to_the_server() {
    let output = Command::new(env!("CARGO_BIN_EXE_dealog-abuse")).args([SECONDS, "--any-latency"]).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}
