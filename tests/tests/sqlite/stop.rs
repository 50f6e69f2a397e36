//! To stop a server is to close its log, whatever its clients do.

use std::{
    fs,
    time::{Duration, Instant},
};

use dealog_tests::{Data, Raw, Server, deal, until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

/// How long requests under way have, and how much longer the end may take on a busy machine.
const SHUTDOWN_SECONDS: u64 = 2;
const END: Duration = Duration::from_secs(10);

/// A large event: a list of reasons to lose a deal, each with a long name.
fn append_large(server: &Server, index: usize) {
    let reasons: Vec<Value> = (0..100)
        .map(|number| json!({"slug": format!("r{number}"), "name": format!("{index} {}", "x".repeat(160)), "counted": true}))
        .collect();
    server.patch("/v1/settings", &json!({"loss_reasons": reasons})).expect(200);
}

/// The log file alone, copied elsewhere, has all of these events.
fn the_file_alone_has(data: &Data, events: u64) {
    let journal = data.folder().join("log.db-wal");
    assert!(!journal.exists(), "{} bytes are in the journal only", journal.metadata().unwrap().len());
    let copy = Data::on_sqlite();
    fs::create_dir_all(copy.folder()).unwrap();
    fs::copy(data.folder().join("log.db"), copy.folder().join("log.db")).unwrap();
    let told = copy.run(["check"]).succeed().stdout;
    assert!(told.starts_with(&format!("{events} events")), "{told}");
}

/// Clients that never come to an end: half a head, half a body, and subscribers that read nothing of megabytes.
fn stall(server: &Server) -> Vec<Raw> {
    let half_a_head = "POST /v1/deals HTTP/1.1\r\nHost: local";
    let half_a_body =
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    let subscriber = "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let heads = [half_a_head, half_a_body, subscriber].into_iter().cycle().take(90);
    let held: Vec<Raw> = heads.map(|text| Raw::sending(server.address(), text)).collect();
    // They are taken in the order in which they came.
    until("the last of them should be a subscriber by now", END, || {
        server.get("/metrics").expect(200).text.contains("\ndealog_subscribers 30\n").then_some(())
    });
    held
}

#[test]
fn whatever_clients_do_a_stop_is_in_time_and_the_file_alone_has_everything() {
    let data = Data::on_sqlite();
    data.set(&format!("shutdown_seconds = {SHUTDOWN_SECONDS}"));
    let mut server = Server::start(&data, &[]);
    (0..100).for_each(|index| append_large(&server, index));
    let created = server.post("/v1/deals", &deal("Kept", &json!({}))).expect(201);
    let held = stall(&server);
    server.terminate();
    let begun = Instant::now();
    let log = server.ended();
    assert!(begun.elapsed() < Duration::from_secs(SHUTDOWN_SECONDS) + END, "it took {:?}", begun.elapsed());
    assert!(log.contains("cut off"), "{log}");
    drop(held);
    the_file_alone_has(&data, created.position());
}

#[test]
fn to_stop_again_cuts_what_is_left_and_closes_the_log_all_the_same() {
    let data = Data::on_sqlite();
    data.set("shutdown_seconds = 600");
    let mut server = Server::start(&data, &[]);
    (0..100).for_each(|index| append_large(&server, index));
    let head = server.head();
    let held = stall(&server);
    server.terminate();
    server.logged("stopping");
    server.terminate();
    let begun = Instant::now();
    server.ended();
    assert!(begun.elapsed() < END, "it took {:?}", begun.elapsed());
    drop(held);
    the_file_alone_has(&data, head);
}

#[test]
fn of_two_servers_on_a_log_the_last_to_stop_leaves_everything_in_the_file() {
    let data = Data::on_sqlite();
    let (first, last) = (Server::start(&data, &[]), Server::start(&data, &[]));
    append_large(&first, 0);
    append_large(&last, 1);
    let head = last.head();
    first.stop();
    append_large(&last, 2);
    last.stop();
    the_file_alone_has(&data, head + 1);
}

#[test]
fn a_journal_that_cannot_be_brought_into_the_file_is_told_by_the_exit_status() {
    let data = Data::on_sqlite();
    let server = Server::start_on_a_full_disk(&data, 1 << 30);
    (0..20).for_each(|index| append_large(&server, index));
    // From now on the file takes no more than it has.
    let full = Rlimit { current: Some(8192), maximum: Some(8192) };
    prlimit(Some(Pid::from_raw(server.id().try_into().unwrap()).unwrap()), Resource::Fsize, full).unwrap();
    server.terminate();
    let log = server.ended_badly();
    assert!(log.contains("error: "), "{log}");
    assert!(data.folder().join("log.db-wal").metadata().unwrap().len() > 0);
    assert!(data.run(["check"]).succeed().stdout.contains("no damage found"), "nothing was lost");
}
