//! The password of an address that works is nowhere to be read either.

use dealog_tests::{Data, Run, Server};

const PASSWORD: &str = "hunter2";

#[test]
fn a_server_tells_its_password_to_nobody_but_the_database() {
    let data = Data::on_postgres();
    let url = data.database().unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap_or(("", rest));
    let role = rest.split(['@', ':']).next().unwrap();
    let with_password = format!("{scheme}://{role}:{PASSWORD}@{place}");
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("DEALOG_DATABASE", &with_password);
    let server = Server::of(command).ready();
    let metrics = server.get("/metrics").expect(200).text;
    let log = server.stop();
    let checked = Run::within(data.home()).args(["check", "--log", "trace", "--database", &with_password]).succeed();
    let copied =
        Run::within(data.home()).args(["copy", "--log", "trace", "--from", &with_password, "--to", "backup"]).succeed();
    for told in [metrics, log, checked.stdout, checked.stderr, copied.stdout, copied.stderr] {
        assert!(!told.contains(PASSWORD), "{told}");
    }
}
