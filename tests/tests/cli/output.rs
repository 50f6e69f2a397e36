//! Where the output of a command goes: a terminal, a file, a pipe; and what becomes of one that takes nothing.

use std::{
    fs::{File, OpenOptions},
    io::{self, PipeWriter},
    process::{Output, Stdio},
    sync::OnceLock,
};

use dealog_tests::{Data, Server, deal};
use serde_json::{Value, json};

/// A company with a token.
fn data() -> &'static Data {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = Server::shared(&[]);
        server.post("/v1/deals", &deal("A deal", &json!({}))).expect(201);
        server.data().run(["token", "create", "--service", "printer", "--allow", "read"]).succeed();
        server
    });
    server.data()
}

/// All that print.
const COMMANDS: [&[&str]; 7] = [
    &["replay"],
    &["replay", "--format", "jsonl"],
    &["check"],
    &["projections"],
    &["projections", "--format", "json"],
    &["token", "list"],
    &["migrate"],
];

fn run(args: &[&str], stdout: impl Into<Stdio>) -> (Output, String) {
    let output =
        data().command().args(args).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("panicked"), "{args:?}: {told}");
    (output, told)
}

/// A pipe whose reader is gone.
fn nobody() -> PipeWriter {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer
}

fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full")
}

#[test]
fn output_to_a_full_disk_is_an_error() {
    for args in COMMANDS {
        let (output, told) = run(args, full_disk());
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains("error: standard output: No space left"), "{args:?}: {told}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    for args in COMMANDS {
        let (output, told) = run(args, nobody());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {told}");
        assert!(!told.contains("error"), "{args:?}: {told}");
    }
}

#[test]
fn a_token_that_cannot_be_shown_is_named_so_that_it_can_be_revoked() {
    let create = ["token", "create", "--service", "nobody", "--allow", "read"];
    for stdout in [Stdio::from(full_disk()), Stdio::from(nobody())] {
        let (output, told) = run(&create, stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let (_, id) = told.split_once("dealog token revoke ").unwrap_or_else(|| panic!("{told}"));
        data().run(["token", "revoke", &id[..36]]).succeed();
    }
}

/// It runs text the other way, begins a line, and ends one.
const HOSTILE: &str = "evil\u{202e}\r\nforged\tline";

#[test]
fn what_a_terminal_obeys_is_spelled_out_and_programs_are_given_the_data_as_it_is() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]).ready();
    let created = server.post("/v1/deals", &deal(HOSTILE, &json!({}))).expect(201);
    data.run(["token", "create", "--service", HOSTILE, "--allow", "read"]).succeed();
    let list = data.run(["token", "list"]).succeed().stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains(r"evil\u202e\u000d\u000aforged"), "{list}");
    let position = created.position().to_string();
    let replay = |format| data.run(["replay", "--from", &position, "--format", format]).succeed().stdout;
    assert!(replay("table").contains(r"evil\u202e") && !replay("table").contains('\u{202e}'));
    let event: Value = serde_json::from_str(&replay("jsonl")).unwrap();
    assert_eq!(event["data"]["title"], HOSTILE);
    assert!(replay("jsonl").contains('\u{202e}'));
    server.stop();
}
