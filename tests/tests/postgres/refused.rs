//! A database that is not there, lets nobody in, or is not fit: told in words that help, and without the password.

use std::net::TcpListener;

use dealog_test_postgres::Postgres;
use dealog_tests::{Data, Database};

const PASSWORD: &str = "xyzzy-9-frobnicate";

/// No command works over this database. Each says why, and none says the password.
fn is_refused(data: &Data, url: &str, reason: &str) {
    for command in
        [&["serve", "--listen", "127.0.0.1:0"][..], &["work"], &["replay"], &["rebuild"], &["check"], &["migrate"]]
    {
        let done = data.run(command).args(["--database", url]).end();
        let told = done.stderr.lines().last().unwrap_or_default();
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{command:?}: {}", done.stderr);
        assert!(told.starts_with("error: ") && told.contains(reason), "{command:?}: {told}");
        assert!(!done.stderr.contains(PASSWORD), "{command:?} tells the password: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{command:?}: {}", done.stderr);
    }
}

/// The same address for another role.
fn as_role(url: &str, role: &str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    format!("postgres://{role}@{rest}")
}

#[test]
fn a_server_that_is_not_there() {
    let data = Data::on_postgres();
    // A port where nobody listens: it was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    is_refused(&data, &format!("postgres://dealog:{PASSWORD}@127.0.0.1:{port}/dealog"), "cannot be reached");
}

#[test]
fn a_database_that_is_not_there() {
    let data = Data::on_postgres();
    let (server, _) = data.database().unwrap().rsplit_once('/').unwrap();
    is_refused(&data, &format!("{server}/nowhere"), "\"nowhere\" does not exist");
}

#[test]
fn a_wrong_password() {
    let postgres = Postgres::start();
    let data = Data::within(postgres.fresh());
    let url = data.database().unwrap();
    Database::at(url)
        .run("CREATE ROLE clerk LOGIN PASSWORD 'the right one'; GRANT CREATE ON DATABASE postgres TO clerk");
    postgres.demand_passwords();
    is_refused(&data, &as_role(url, &format!("clerk:{PASSWORD}")), "password authentication failed");
}

#[test]
fn a_database_that_cannot_hold_every_text() {
    let postgres = Postgres::start();
    let data = Data::within(postgres.fresh());
    Database::at(data.database().unwrap())
        .run("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let (server, _) = data.database().unwrap().rsplit_once('/').unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let told = data.run(command).args(["--database", &format!("{server}/narrow")]).fail();
        assert!(told.contains("LATIN1") && told.contains("UTF8"), "{command:?}: {told}");
    }
}

#[test]
fn a_log_of_a_newer_version() {
    let data = Data::on_postgres();
    data.run(["migrate"]).succeed();
    Database::log(&data).run("INSERT INTO migrations (version) VALUES (1000)");
    is_refused(&data, data.database().unwrap(), "use a newer dealog");
}

#[test]
fn a_schema_of_another_program() {
    let data = Data::on_postgres();
    Database::at(data.database().unwrap()).run("CREATE SCHEMA log; CREATE TABLE log.entries (line TEXT)");
    is_refused(&data, data.database().unwrap(), "another program");
}
