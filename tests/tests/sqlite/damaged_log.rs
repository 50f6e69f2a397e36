//! A log file that is not what was written: it is not opened, or not appended to once that is found out, and nothing in it is
//! changed.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    time::Duration,
};

use dealog_tests::{Data, Server, deal, until};
use serde_json::json;

const PAGE_BYTES: usize = 4_096;
const DEALS: usize = 100;

/// A company with deals, closed in good order.
fn company(data: Data) -> Data {
    let server = Server::start(&data, &[]);
    for index in 0..DEALS {
        server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
    }
    server.get(&format!("/v1/deals?min_position={}", server.head())).expect(200);
    server.stop();
    data
}

/// Every command refuses the log, says where it is bad and what to do, and leaves it and the read models as they are.
fn is_refused(data: &Data, place: &str) {
    let files = ["log.db", "views.db"].map(|file| data.folder().join(file));
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["work"], &["replay"], &["rebuild"], &["check"]] {
        let told = data.run(command).fail();
        assert!(told.contains(&format!("{} is damaged", files[0].display())), "{command:?}: {told}");
        assert!(told.contains(place) && told.contains("Put a copy of it in its place"), "{command:?}: {told}");
        assert!(!told.contains("panicked"), "{command:?}: {told}");
        assert!(files.each_ref().map(|file| fs::read(file).unwrap()) == before, "{command:?} changed a file");
    }
}

#[test]
fn a_sound_log_is_checked_and_has_no_damage() {
    let data = company(Data::fresh());
    let told = data.run(["check"]).succeed().stdout;
    assert!(told.starts_with(&format!("{} events, no damage found", 4 + DEALS)), "{told}");
    let server = Server::start(&data, &[]);
    server.post("/v1/deals", &deal("While it is served", &json!({}))).expect(201);
    let told = data.run(["check"]).succeed().stdout;
    assert!(told.starts_with(&format!("{} events, no damage found", 5 + DEALS)), "{told}");
    server.stop();
}

#[test]
fn a_log_whose_first_page_is_garbage_is_refused() {
    let data = company(Data::on_sqlite());
    let mut bytes = fs::read(data.folder().join("log.db")).unwrap();
    bytes[..PAGE_BYTES].fill(0xa5);
    fs::write(data.folder().join("log.db"), bytes).unwrap();
    is_refused(&data, "not a database");
}

#[test]
fn a_log_with_a_page_of_garbage_is_refused_by_a_check() {
    let data = company(Data::on_sqlite());
    let sound = fs::read(data.folder().join("log.db")).unwrap();
    for page in [sound.len() / PAGE_BYTES / 2, sound.len() / PAGE_BYTES] {
        let mut bytes = sound.clone();
        bytes[(page - 1) * PAGE_BYTES..page * PAGE_BYTES].fill(0xa5);
        fs::write(data.folder().join("log.db"), &bytes).unwrap();
        let told = data.run(["check"]).fail();
        assert!(told.contains("is damaged") && told.contains("page"), "{told}");
        assert!(fs::read(data.folder().join("log.db")).unwrap() == bytes);
    }
}

/// Damages an event far from the end of the log, by two bytes. Gives its position.
fn break_an_event(data: &Data) -> usize {
    let server = Server::start(data, &[]);
    for index in 0..DEALS {
        server.post("/v1/deals", &deal(&format!("Later deal {index}"), &json!({}))).expect(201);
    }
    server.get(&format!("/v1/deals?min_position={}", server.head())).expect(200);
    server.stop();
    let mut bytes = fs::read(data.folder().join("log.db")).unwrap();
    let wanted = br#"{"title":"Deal 37""#;
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).expect("the event is in the file");
    bytes[at..at + 2].copy_from_slice(b"??");
    fs::write(data.folder().join("log.db"), bytes).unwrap();
    4 + 38
}

#[test]
fn a_server_finds_damage_where_nobody_reads_and_appends_nothing_from_then_on() {
    let data = company(Data::on_sqlite());
    let [log, mark] = ["log.db", "log.db-damaged"].map(|name| data.folder().join(name));
    let position = break_an_event(&data);
    let broken = fs::read(&log).unwrap();
    let server = Server::start(&data, &[]);
    let told = until("the damage should be found", Duration::from_secs(30), || {
        Some(server.get("/health/ready")).filter(|ready| ready.status == 503)
    });
    let trouble = told.body["trouble"].as_str().unwrap();
    assert!(trouble.contains(&format!("the log is damaged (position {position})")), "{trouble}");
    assert_eq!(told.body["scrub"]["ended_at"], json!(null), "{}", told.text);
    let refused = server.post("/v1/deals", &deal("One more", &json!({}))).problem(500, "internal");
    assert!(refused.body["detail"].as_str().unwrap().contains("the log is damaged"), "{}", refused.text);
    server.get("/v1/events?after=50").expect(200);
    server.get("/v1/events").problem(500, "internal");
    assert!(server.get("/metrics").expect(200).text.contains("\ndealog_log_damaged 1\n"));
    let told = server.stop();
    assert!(told.contains(&format!("damaged at position {position}")), "{told}");
    assert!(fs::read(&log).unwrap() == broken, "something was appended");

    // Nobody opens it again until it has been restored.
    is_refused(&data, &format!("position {position}: "));
    data.run(["token", "list"]).fail();
    assert!(mark.exists());
    let mut sound = broken;
    let at = sound.windows(9).position(|window| window == b"??title\":").unwrap();
    sound[at..at + 2].copy_from_slice(b"{\"");
    fs::write(&log, sound).unwrap();
    let server = Server::start(&data, &[]).ready();
    assert!(!mark.exists());
    server.post("/v1/deals", &deal("One more", &json!({}))).expect(201);
    server.stop();
}

#[test]
fn a_sound_log_is_scrubbed_from_its_beginning_to_its_end() {
    let data = company(Data::on_sqlite().with_limits("scrub_events_per_second = 1000000"));
    let server = Server::start(&data, &[]);
    let scrub = until("a pass should end", Duration::from_secs(30), || {
        let scrub = server.get("/health/ready").body["scrub"].clone();
        (scrub["ended_at"] != json!(null)).then_some(scrub)
    });
    assert_eq!((&scrub["position"], &scrub["end"]), (&json!(4 + DEALS), &json!(4 + DEALS)));
    let metrics = server.get("/metrics").expect(200).text;
    assert!(metrics.contains(&format!("\ndealog_scrub_position {}\n", 4 + DEALS)), "{metrics}");
    assert!(
        metrics.contains("\ndealog_scrub_ended_seconds ") && metrics.contains("\ndealog_log_damaged 0\n"),
        "{metrics}"
    );
    server.stop();
}

#[test]
fn a_log_cut_short_is_refused() {
    let data = company(Data::on_sqlite());
    let sound = fs::read(data.folder().join("log.db")).unwrap();
    for bytes in [10, PAGE_BYTES + 10, sound.len() - PAGE_BYTES] {
        fs::write(data.folder().join("log.db"), &sound[..bytes]).unwrap();
        is_refused(&data, "");
    }
}

#[test]
fn a_log_with_a_broken_event_is_refused_with_its_position() {
    let data = company(Data::on_sqlite());
    let mut bytes = fs::read(data.folder().join("log.db")).unwrap();
    let wanted = br#"{"title":"Deal 37""#;
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).expect("the event is in the file");
    bytes[at..at + 2].copy_from_slice(b"??");
    fs::write(data.folder().join("log.db"), bytes).unwrap();
    is_refused(&data, &format!("position {}:", 4 + 38));
}

#[test]
fn a_log_that_is_gone_is_not_replaced_by_a_new_company() {
    let data = company(Data::on_sqlite());
    let views = fs::read(data.folder().join("views.db")).unwrap();
    for gone in [false, true] {
        if gone {
            fs::remove_file(data.folder().join("log.db")).unwrap();
        } else {
            fs::write(data.folder().join("log.db"), "").unwrap();
        }
        let told = data.run(["serve", "--listen", "127.0.0.1:0"]).fail();
        assert!(told.contains("is gone or empty") && told.contains("put a copy of the log back"), "{told}");
        assert!(fs::read(data.folder().join("views.db")).unwrap() == views);
    }
}

#[test]
fn a_copy_that_is_put_back_is_served_with_the_figures_it_had() {
    let data = company(Data::on_sqlite());
    let (log, copy) = (data.folder().join("log.db"), data.folder().join("copy"));
    fs::copy(&log, &copy).unwrap();
    let server = Server::start(&data, &[]);
    let before = server.get("/v1/deals?limit=500").expect(200).text;
    server.kill9();
    OpenOptions::new().write(true).open(&log).unwrap().write_all_at(&[0xa5; PAGE_BYTES], 0).unwrap();
    is_refused(&data, "not a database");
    // As the message says.
    for beside in ["log.db-wal", "log.db-shm"] {
        let _ = fs::remove_file(data.folder().join(beside));
    }
    fs::rename(&copy, &log).unwrap();
    let server = Server::start(&data, &[]);
    assert_eq!(server.get("/v1/deals?limit=500").expect(200).text, before);
    server.stop();
}

#[test]
fn damage_under_a_running_server_is_a_problem_and_never_a_wrong_answer() {
    let data = company(Data::on_sqlite());
    let server = Server::start(&data, &[]);
    let figures = server.get("/v1/deals?limit=500").expect(200);
    let ids: Vec<&str> =
        figures.body["deals"].as_array().unwrap().iter().map(|deal| deal["id"].as_str().unwrap()).collect();
    let paths = ids.iter().map(|id| format!("/v1/deals/{id}/history")).chain(["/v1/events".to_owned()]);
    let before: Vec<(String, String)> = paths.map(|path| (server.get(&path).expect(200).text, path)).collect();
    let log = OpenOptions::new().write(true).open(data.folder().join("log.db")).unwrap();
    let bytes = usize::try_from(log.metadata().unwrap().len()).unwrap();
    for page in 1..bytes / PAGE_BYTES {
        log.write_all_at(&[0xa5; PAGE_BYTES], (page * PAGE_BYTES) as u64).unwrap();
    }
    // What was read before may still be in memory; it is sound.
    for (text, path) in before {
        let answer = server.get(&path);
        assert!(answer.status == 500 || answer.text == text, "{}", answer.text);
    }
    for id in ids {
        let answer = server.post(&format!("/v1/deals/{id}/move"), &json!({"stage": "contract"}));
        assert!([500, 503].contains(&answer.status), "{}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(server.get("/v1/deals?limit=500").expect(200).text, figures.text, "the read models are another file");
    server.get("/health/live").expect(200);
    let log = server.stop();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("malformed"), "{log}");
}
