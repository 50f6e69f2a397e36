//! Settings: flags, then the environment, then a file.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    time::Duration,
};

use dealog_tests::{Data, Run, Server};
use serde_json::json;
use tempfile::TempDir;

/// A folder with a `dealog.toml` in it.
fn folder(settings: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("dealog.toml"), settings).unwrap();
    folder
}

/// The data folder that a command goes by: `replay` names it when there is no log.
fn data_of(run: Run) -> PathBuf {
    let told = run.args(["replay"]).fail();
    let path = told.strip_prefix("there is no log at ").and_then(|rest| rest.split(": ").next());
    PathBuf::from(path.unwrap_or_else(|| panic!("{told}"))).parent().unwrap().to_owned()
}

#[test]
fn a_flag_outdoes_the_environment_and_that_the_file_and_that_the_default() {
    let folder = folder("data = \"of-the-file\"");
    let run = || Run::within(folder.path());
    let empty = TempDir::new().unwrap();
    assert_eq!(data_of(Run::within(empty.path())), PathBuf::from("dealog-data"));
    assert_eq!(data_of(run()), PathBuf::from("of-the-file"));
    assert_eq!(data_of(run().env("DEALOG_DATA", "of-the-environment")), PathBuf::from("of-the-environment"));
    let flagged = run().env("DEALOG_DATA", "of-the-environment").args(["--data", "of-the-flag"]);
    assert_eq!(data_of(flagged), PathBuf::from("of-the-flag"));
}

#[test]
fn another_file_can_be_named_and_must_be_there() {
    let folder = folder("data = \"of-the-file\"");
    fs::write(folder.path().join("other.toml"), "data = \"of-the-other\"").unwrap();
    let run = |file: &str| Run::within(folder.path()).args(["--config", file]);
    assert_eq!(data_of(run("other.toml")), PathBuf::from("of-the-other"));
    let told = run("none.toml").args(["replay"]).fail();
    assert!(told.contains("none.toml"), "{told}");
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    for (settings, named) in [
        ("dta = \"here\"", "dta"),
        ("[limits]\nbody_bytes = 1", "body_bytes"),
        ("[limits]\npage_items_max = 0", "page_items_max"),
        ("listen = \"everywhere\"", "listen"),
        ("currency = \"EUX\"", "EUX"),
        ("time_zone = \"Riga\"", "Riga"),
        ("log_format = \"xml\"", "xml"),
        ("data = ", "dealog.toml"),
    ] {
        let told = Run::within(folder(settings).path()).args(["replay"]).fail();
        assert!(told.starts_with("settings: ") && told.contains(named), "`{settings}`: {told}");
    }
}

#[test]
fn what_is_wrong_in_the_environment_is_named() {
    let empty = TempDir::new().unwrap();
    let told = Run::within(empty.path()).env("DEALOG_CURRENCY", "gold").args(["replay"]).fail();
    assert!(told.contains("gold"), "{told}");
    let told = Run::within(empty.path()).env("DEALOG_LOG", "=loud=").args(["replay"]).fail();
    assert!(told.contains("--log is not a filter"), "{told}");
}

#[test]
fn limits_of_the_file_hold() {
    let data = Data::fresh().with_limits("body_bytes_max = 200\npage_items_max = 3\nmin_position_wait_ms = 50");
    let server = Server::start(&data, &["--no-workers"]);
    // The read models are made and then left alone.
    data.run(["rebuild"]).succeed();
    let told = server.post("/v1/customers", &json!({"name": "x".repeat(300)})).problem(413, "body_too_large");
    assert!(told.body["detail"].as_str().unwrap().contains("200"), "{}", told.text);
    server.get("/v1/customers?limit=4").problem(422, "limit");
    let registered = server.post("/v1/customers", &json!({"name": "Acme"})).expect(201);
    // The answer comes when the wait is over.
    let path = format!("/v1/customers?limit=3&min_position={}", registered.position());
    let late = server.get(&path).problem(503, "not_caught_up");
    assert_eq!((&late.body["field"], late.header("retry-after")), (&json!("min_position"), Some("1")));
    server.stop();
}

#[test]
fn a_request_that_takes_too_long_is_told_so() {
    let server = Server::with(Data::fresh().with_limits("request_ms = 100"), &[]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A body is promised and never sent.
    let head =
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4_096]);
    while !answer.contains("\"code\":\"timeout\"") {
        let bytes = stream.read(&mut buffer).unwrap();
        assert!(bytes > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
    }
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 1") && answer.contains("application/problem+json"), "{answer}");
    drop(stream);
    server.stop();
}
