//! What `dealog backup` writes, and what it leaves alone.

use std::fs;

use dealog_tests::{Data, Server, deal};
use serde_json::json;

#[test]
fn a_backup_has_the_log_and_the_tokens_and_replaces_nothing() {
    let (data, restored) = (Data::on_sqlite(), Data::on_sqlite());
    let server = Server::start(&data, &[]);
    for number in 0..20 {
        server.post("/v1/deals", &deal(&format!("Deal {number}"), &json!({}))).expect(201);
    }
    let events = server.events();
    data.run(["token", "create", "--service", "reporting", "--allow", "read,log"]).succeed();
    let told = data.run(["backup", "copy.db"]).succeed();
    assert!(told.stdout.contains(&format!("up to position {},", events.len())), "{}", told.stdout);
    assert_eq!(told.stderr, "");
    let backup = data.home().join("copy.db");
    let written = fs::read(&backup).unwrap();

    let refused = data.run(["backup", "copy.db"]).fail();
    assert!(refused.contains("copy.db") && refused.contains("exists"), "{refused}");
    assert!(fs::read(&backup).unwrap() == written, "it was replaced");
    let left: Vec<_> = fs::read_dir(data.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| *name == "copy.db" || *name == "data"), "{left:?}");
    server.stop();

    restored.restore(&backup);
    restored.run(["check"]).succeed();
    let tokens = |data: &Data| data.run(["token", "list"]).succeed().stdout;
    assert!(tokens(&data).contains("reporting"));
    assert_eq!(tokens(&restored), tokens(&data));
    let lines = |data: &Data| data.run(["replay", "--format", "jsonl"]).succeed().stdout;
    assert_eq!(lines(&restored), lines(&data));
}

#[test]
fn a_backup_of_a_damaged_log_has_no_name() {
    let data = Data::on_sqlite();
    Server::start(&data, &[]).ready().stop();
    let log = data.folder().join("log.db");
    let mut bytes = fs::read(&log).unwrap();
    // A letter within an event's data, where SQLite itself sees no damage.
    let place = bytes.windows(7).rposition(|found| found == b"\"stages").unwrap();
    bytes[place + 1] = b'x';
    fs::write(&log, bytes).unwrap();
    let refused = data.run(["backup", "copy.db"]).fail();
    assert!(refused.contains("damaged at position") || refused.contains("is damaged"), "{refused}");
    assert_eq!(fs::read_dir(data.home()).unwrap().count(), 1, "something was left behind");
}

#[test]
fn a_backup_of_nothing_is_refused() {
    let data = Data::on_sqlite();
    let refused = data.run(["backup", "copy.db"]).fail();
    assert!(refused.contains("there is no log"), "{refused}");
    assert!(!data.home().join("copy.db").exists());
}
