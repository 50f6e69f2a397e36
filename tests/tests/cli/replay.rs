//! `dealog replay`: the log, for people and for programs.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use dealog_tests::{Data, Lines, Server, deal, exit_within};
use serde_json::{Value, json};

use super::{events, log_of};

/// A log of one deal that has been moved and 1,000 customers, more than a pipe holds; it is served, and nothing is added.
fn data() -> (&'static Data, &'static str, &'static [Value]) {
    static LOG: OnceLock<(Server, String, Vec<Value>)> = OnceLock::new();
    let (server, deal, events) = LOG.get_or_init(|| {
        let server = Server::shared(&["--log", "warn,dealog=info"]);
        let created = server.post("/v1/deals", &deal("Replayed", &json!({}))).expect(201).id();
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let client = server.client();
                    for _ in 0..100 {
                        client.post("/v1/customers", &json!({"name": "A customer like many"})).expect(201);
                    }
                });
            }
        });
        server.post(&format!("/v1/deals/{created}/move"), &json!({"stage": "contract"})).expect(200);
        let events = server.events();
        (server, created, events)
    });
    (server.data(), deal, events)
}

#[test]
fn for_programs_it_is_what_the_api_gives() {
    let (data, _, of_the_api) = data();
    assert_eq!(events(&log_of(data)), of_the_api);
}

#[test]
fn for_people_it_is_a_line_an_event_under_a_heading() {
    let (data, id, of_the_api) = data();
    let table = data.run(["replay"]).succeed().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), of_the_api.len() + 1);
    assert!(lines[0].contains("POSITION") && lines[0].contains("STREAM") && lines[0].contains("TYPE"));
    let created = lines[5];
    assert!(created.contains(&format!("deal-{id}")) && created.contains("deal.created"), "{created}");
    assert!(lines.iter().all(|line| line.chars().count() < 240));
}

#[test]
fn a_part_of_it_can_be_asked_for() {
    let (data, id, of_the_api) = data();
    let part = |args: &[&str]| events(&data.run([&["replay", "--format", "jsonl"], args].concat()).succeed().stdout);
    assert_eq!(part(&["--from", "3", "--to", "5"]), of_the_api[2..5]);
    assert_eq!(part(&["--from", "1001"]), of_the_api[1000..]);
    assert_eq!(part(&["--to", "1"]), of_the_api[..1]);
    assert!(part(&["--from", "100000"]).is_empty());
    assert!(part(&["--from", "9", "--to", "8"]).is_empty());
    let stream = format!("deal-{id}");
    let of_the_deal: Vec<Value> = of_the_api.iter().filter(|event| event["stream"] == stream).cloned().collect();
    assert_eq!(part(&["--deal", id]), of_the_deal);
    assert_eq!(part(&["--deal", id, "--from", "6"]), of_the_deal[1..]);
    assert_eq!(part(&["--deal", id, "--to", "6"]), of_the_deal[..1]);
}

#[test]
fn what_is_not_there_is_told() {
    let (data, ..) = data();
    let told = data.run(["replay", "--format", "jsonl", "--deal", "0192f3a4-5b6c-7d8e-9f00-112233445566"]).fail();
    assert!(told.contains("there is no deal 0192f3a4"), "{told}");
    let nothing = Data::fresh();
    let told = nothing.run(["replay"]).fail();
    assert!(told.contains("there is no log") && told.contains("--data"), "{told}");
    assert!(nothing.is_untouched(), "looking begins nothing");
}

#[test]
fn whoever_reads_may_stop_reading() {
    let (data, ..) = data();
    let mut child = data
        .command()
        .args(["replay", "--format", "jsonl", "--log", "error"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = Lines::of(child.stderr.take().unwrap());
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    assert!(line.starts_with("{\"position\":1,"), "{line}");
    let status = exit_within(&mut child, Duration::from_secs(20));
    assert_eq!((status.code(), stderr.all()), (Some(0), String::new()));
}
