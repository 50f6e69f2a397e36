//! A password in the address of a database is in no error, log or help, however and wherever it was typed.

use std::fs;

use dealog_tests::{Data, Run};

const PASSWORD: &str = "hunter2";

/// Runs to an error, which repeats no part of a password.
fn tells_nothing(what: &str, run: Run) {
    let done = run.end();
    assert!([1, 2].contains(&done.code), "{what}: it ended with {}\n{}{}", done.code, done.stdout, done.stderr);
    assert!(!done.stderr.is_empty(), "{what}: no error is told");
    for told in [done.stdout, done.stderr] {
        assert!(!told.contains(PASSWORD), "{what}: {told}");
    }
}

fn addresses() -> Vec<String> {
    let passwords = [PASSWORD.to_owned(), format!("{PASSWORD} x"), format!("'{PASSWORD}"), format!("a@{PASSWORD}")];
    let of =
        |scheme: &str| passwords.iter().map(move |password| format!("{scheme}://u:{password}@127.0.0.1:1/d")).collect();
    let mut addresses: Vec<String> = of("mysql");
    addresses.extend::<Vec<String>>(of("postgres"));
    addresses.extend(["#", "/", "?"].map(|sign| format!("postgres://u:12{sign}{PASSWORD}@127.0.0.1:1/d")));
    addresses.push(format!("postgres://127.0.0.1:1/d?passwrod={PASSWORD}"));
    addresses.push(format!("postgres://127.0.0.1:1/d?password={PASSWORD}"));
    addresses
}

#[test]
fn an_address_on_the_command_line_is_not_repeated() {
    let data = Data::on_sqlite();
    for address in addresses() {
        let with = |name: &str| format!("{name}={address}");
        let lines: [&[&str]; 12] = [
            &["check", "--database", &address, "--log", "trace"],
            &["serve", &with("--database")],
            &["rebuild", "--views-database", &address],
            &["copy", "--from", &address, "--to", "backup"],
            &["copy", "--from", &address, "--to", &address],
            &["migrate", &with("--databse")],
            &["serve", &address],
            &[&address],
            &["serve", "--listen", &address],
            &["check", "--log", &address],
            &["check", "--config", &address],
            &["replay", "--deal", &address],
        ];
        for line in lines {
            tells_nothing(&format!("{line:?}"), Run::within(data.home()).args(line));
        }
    }
}

#[test]
fn an_address_in_the_environment_is_not_repeated() {
    let data = Data::on_sqlite();
    for address in addresses() {
        for name in [
            "DATABASE",
            "VIEWS_DATABASE",
            "LISTEN",
            "LIMITS__BODY_BYTES_MAX",
            "LIMITS",
            "LOG",
            "LOG_FORMAT",
            "CURRENCY",
        ] {
            let name = format!("DEALOG_{name}");
            let run = Run::within(data.home()).args(["rebuild"]).env(&name, &address);
            tells_nothing(&format!("{name}={address}"), run);
        }
    }
}

#[test]
fn an_address_in_a_file_is_not_repeated() {
    let data = Data::on_sqlite();
    for address in addresses() {
        let lines = [
            format!("database = \"{address}\""),
            format!("database = \"{address}"),
            format!("database = {address}"),
            format!("databse = \"{address}\""),
            format!("database = [\"{address}\"]"),
            format!("limits = \"{address}\""),
            format!("listen = \"{address}\""),
            format!("log_format = \"{address}\""),
            format!("\"{address}\" = 1"),
        ];
        for line in lines {
            fs::write(data.home().join("dealog.toml"), format!("shutdown_seconds = 1\n{line}\n")).unwrap();
            tells_nothing(&line, Run::within(data.home()).args(["check"]));
        }
    }
}
