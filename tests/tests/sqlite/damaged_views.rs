//! `views.db` broken in every way that a disk, a hand or a full volume can: made anew, and the log untouched.

use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
};

use dealog_tests::{Data, PATIENCE, Server, company, until};
use serde_json::json;

const PAGE_BYTES: u64 = 4096;

/// Writes over a part of a file.
fn overwrite(file: &Path, from: u64, bytes: usize) {
    let mut file = File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&b"damage! ".repeat(bytes / 8)).unwrap();
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// The log to the byte, but for the count of its writes: a server that is asked whether it is ready tries one, of nothing.
fn log(data: &Data) -> Vec<u8> {
    let mut bytes = fs::read(data.folder().join("log.db")).unwrap();
    for count in [24..28, 92..96] {
        bytes[count].fill(0);
    }
    bytes
}

/// Damages the file in one way.
type Harm = fn(&Path);

const HARMS: [(&str, Harm); 6] = [
    ("a header that is none", |views| overwrite(views, 0, 96)),
    ("pages overwritten in the middle", |views| {
        for page in (2..length(views) / PAGE_BYTES).step_by(3) {
            overwrite(views, page * PAGE_BYTES, 512);
        }
    }),
    ("cut off in the middle", |views| {
        File::options().write(true).open(views).unwrap().set_len(length(views) / 2 + 100).unwrap();
    }),
    ("another program's file", |views| fs::write(views, "Dear diary, ".repeat(1_000)).unwrap()),
    ("emptied", |views| File::options().write(true).open(views).unwrap().set_len(0).unwrap()),
    ("deleted", |views| fs::remove_file(views).unwrap()),
];

#[test]
fn a_views_db_that_is_damaged_or_gone_is_made_anew_at_the_start_and_the_log_is_as_it_was_to_the_byte() {
    let data = company(Data::on_sqlite());
    let views = data.folder().join("views.db");
    let server = Server::start(&data, &[]).ready();
    let before = server.answers();
    server.stop();
    for (what, harm) in HARMS {
        let before_harm = log(&data);
        harm(&views);
        let server = Server::start(&data, &[]).ready();
        assert_eq!(server.answers(), before, "{what}");
        let told = server.stop();
        let nothing_to_tell = ["deleted", "emptied"].contains(&what);
        assert!(nothing_to_tell || told.contains("the read models are damaged"), "{what}: {told}");
        assert!(log(&data) == before_harm, "{what}: the log was changed");
        assert_eq!(data.folder().join("views.db.damaged").exists(), !nothing_to_tell, "{what}");
        let _ = fs::remove_file(data.folder().join("views.db.damaged"));
    }
}

#[test]
fn a_journal_that_is_left_without_its_views_db_or_is_broken_is_no_harm() {
    let data = company(Data::on_sqlite());
    let [views, journal, index] = ["views.db", "views.db-wal", "views.db-shm"].map(|name| data.folder().join(name));
    let server = Server::start(&data, &[]).ready();
    let before = server.answers();
    server.kill9();
    assert!(length(&journal) > 0, "there is no journal");
    fs::remove_file(&views).unwrap();
    let server = Server::start(&data, &[]).ready();
    assert_eq!(server.answers(), before, "without its database");
    server.kill9();
    overwrite(&index, 0, 4096);
    let server = Server::start(&data, &[]).ready();
    assert_eq!(server.answers(), before, "its index broken");
    server.kill9();
    fs::write(&index, "").unwrap();
    overwrite(&journal, 0, 64);
    let server = Server::start(&data, &[]).ready();
    assert_eq!(server.answers(), before, "broken");
    server.stop();
}

#[test]
fn a_rebuild_and_the_command_line_know_a_damaged_views_db() {
    let data = company(Data::on_sqlite());
    data.run(["rebuild"]).succeed();
    let rows = data.tables();
    overwrite(&data.folder().join("views.db"), 0, 96);
    let (line, done) = data.projection();
    assert_eq!(done.code, 1);
    assert!(line["state"].as_str().unwrap().contains("damaged"), "{line}");
    let told = data.run(["rebuild"]).succeed();
    assert!(told.stderr.contains("the read models are damaged"), "{told:?}");
    assert_eq!(data.tables(), rows);
    assert_eq!(data.projection().1.code, 0);
}

#[test]
fn damage_that_a_look_at_the_read_models_does_not_meet_is_found_by_the_next_start_and_by_a_check() {
    let data = company(Data::on_sqlite());
    let views = data.folder().join("views.db");
    let server = Server::start(&data, &[]).ready();
    let before = server.answers();
    server.stop();
    // Closed in good order and as it was: nothing is checked.
    let told = Server::start(&data, &[]).ready().stop();
    assert!(!told.contains("damaged"), "{told}");
    let harm = || overwrite(&views, length(&views) - PAGE_BYTES, 4096);
    harm();
    assert_eq!(data.projection().1.code, 0);
    let server = Server::start(&data, &[]).ready();
    assert_eq!(server.answers(), before);
    let told = server.stop();
    assert!(told.contains("the read models are damaged"), "{told}");
    harm();
    let checked = data.run(["check"]).end();
    assert!(checked.code == 1 && checked.stderr.contains("damaged"), "{checked:?}");
    let server = Server::start(&data, &[]).ready();
    assert_eq!(server.answers(), before);
    assert!(server.stop().contains("the read models are damaged"));
}

#[test]
fn damage_met_while_serving_is_told_by_health_and_mended_by_the_next_start() {
    let data = company(Data::on_sqlite());
    let views = data.folder().join("views.db");
    // So that nothing is left in the journal: what is read comes from the file.
    Server::start(&data, &[]).ready().stop();
    let server = Server::start(&data, &["--no-workers"]);
    let before = server.answers();
    server.stop();
    let server = Server::start(&data, &["--no-workers"]);
    for page in 1..length(&views) / PAGE_BYTES {
        overwrite(&views, page * PAGE_BYTES, 4096);
    }
    let answer = until("a question should meet the damage", PATIENCE, || {
        let answer = server.get("/v1/deals?limit=500");
        (answer.status != 200).then_some(answer)
    });
    answer.problem(500, "internal");
    let ready = server.not_ready().body;
    let trouble = ready["projections"][0]["trouble"].as_str().unwrap();
    assert!(trouble.contains("damaged") && trouble.contains("start it again"), "{ready}");
    let created = server.post("/v1/customers", &json!({"name": "All the same"})).expect(201);

    // Another process must not take the file away from under this one.
    let told = data.run(["rebuild", "--log", "error"]).fail();
    assert!(told.contains("another process has it open"), "{told}");

    assert!(server.stop().contains("the read models are damaged"));
    let server = Server::start(&data, &[]).ready();
    let path = format!("/v1/customers/{}?min_position={}", created.id(), created.position());
    assert_eq!(server.get(&path).expect(200).body["name"], "All the same");
    let deals =
        |answers: &[String]| answers.iter().filter(|answer| answer.contains("deal")).cloned().collect::<Vec<_>>();
    assert!(before.len() > 10 && deals(&server.answers()).len() == deals(&before).len());
    assert!(server.stop().contains("put aside"));
    assert!(data.folder().join("views.db.damaged").exists());
}

#[test]
fn damage_that_the_worker_meets_stops_it_and_the_next_start_mends_it() {
    let data = company(Data::on_sqlite());
    let views = data.folder().join("views.db");
    Server::start(&data, &[]).ready().stop();
    let server = Server::start(&data, &[]);
    for page in 1..length(&views) / PAGE_BYTES {
        overwrite(&views, page * PAGE_BYTES, 4096);
    }
    let ready = until("the worker should meet the damage", PATIENCE, || {
        server.post("/v1/customers", &json!({"name": "One more"})).expect(201);
        let ready = server.get("/health/ready");
        (ready.status == 503).then_some(ready.body)
    });
    assert!(ready["projections"][0]["trouble"].as_str().unwrap().contains("damaged"), "{ready}");
    let head = server.head();
    server.stop();
    let server = Server::start(&data, &[]).ready();
    assert_eq!(server.get("/health/ready").expect(200).body["projections"][0]["position"], head);
    server.stop();
}
