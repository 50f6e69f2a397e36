//! A log that cannot be written: a full disk, a pipe whose reader is gone, and one whose reader sleeps. Nobody but whoever
//! reads the log is the worse for it.

use std::{
    fs::{File, OpenOptions},
    io::{self, PipeWriter, Write as _},
    process::Stdio,
    thread,
};

use dealog_tests::{Data, Lines, PATIENCE, Server, deal, until};
use serde_json::json;

/// What a pipe holds.
const PIPE_BYTES: usize = 64 * 1024;
/// Clients at the same time, and what each of them does.
const CLIENTS: usize = 4;
const COMMANDS: usize = 30;

/// A pipe whose reader is gone.
fn nobody() -> PipeWriter {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer
}

fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full")
}

/// Lines that the server could not write.
fn lost(server: &Server) -> u64 {
    let metrics = server.get("/metrics").expect(200).text;
    let line = metrics.lines().find(|line| line.starts_with("dealog_log_lines_lost_total ")).expect("a metric");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Commands are carried out, questions know of them, what is refused is told, and the server is ready.
fn works(server: &Server) {
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = server.client();
            scope.spawn(move || {
                for index in 0..COMMANDS {
                    let created = client.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
                    let (id, position) = (created.id(), created.position());
                    client.get(&format!("/v1/deals/{id}?min_position={position}")).expect(200);
                    client.get("/v1/nothing").problem(404, "no_such_path");
                    client.post("/v1/deals", &json!({"title": ""})).expect(400);
                }
            });
        }
    });
    until("it should be ready", PATIENCE, || (server.get("/health/ready").status == 200).then_some(()));
}

#[test]
fn a_server_whose_log_meets_a_full_disk_starts_works_and_stops() {
    let data = Data::fresh();
    let server = Server::start_unheard(&data, full_disk(), "info");
    works(&server);
    assert!(lost(&server) > 0);
    server.stop_unheard();
    Server::start(&data, &[]).ready().stop();
}

#[test]
fn a_server_whose_log_nobody_reads_any_more_works_and_stops() {
    let data = Data::fresh();
    let server = Server::start_unheard(&data, nobody(), "info");
    works(&server);
    assert!(lost(&server) > 0);
    server.stop_unheard();
}

#[test]
fn a_server_whose_log_is_not_taken_works_and_is_heard_again_when_it_is() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b'\n'; PIPE_BYTES]).unwrap();
    let data = Data::fresh();
    let server = Server::start_unheard(&data, writer, "trace");
    until("more should be logged than is kept", PATIENCE, || {
        works(&server);
        (lost(&server) > 0).then_some(())
    });
    let heard = Lines::of(reader);
    until("it should be heard", PATIENCE, || {
        server.get("/v1/heard-again").problem(404, "no_such_path");
        heard.so_far().contains("heard-again").then_some(())
    });
    server.stop_unheard();
}

#[test]
fn a_server_that_nobody_hears_stops_in_time() {
    let (_reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b'\n'; PIPE_BYTES]).unwrap();
    let data = Data::fresh();
    let server = Server::start_unheard(&data, writer, "info");
    works(&server);
    server.stop_unheard();
}

#[test]
fn an_error_that_nobody_hears_ends_a_command_all_the_same() {
    for stderr in [Stdio::from(full_disk()), Stdio::from(nobody())] {
        let data = Data::fresh();
        let status = data.command().arg("check").stderr(stderr).stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1));
    }
}
