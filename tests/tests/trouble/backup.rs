//! A log is backed up while commands are carried out, and restored elsewhere: all that had been acknowledged is there, and a
//! server goes on with it as if nothing had been.

use dealog_tests::{
    DEFAULT_PIPELINE, Data, Server, deal,
    workload::{Load, Sent, check_log},
};
use serde_json::{Value, json};

const CLIENTS: usize = 4;
/// Answers before a backup begins, and again after it.
const ANSWERS: usize = 60;

/// Commands are carried out before, during and after this. Gives what was sent.
fn under_load(server: &Server, back_up: impl FnOnce()) -> Vec<Sent> {
    let clients: Vec<_> = (0..CLIENTS).map(|_| vec![server.client()]).collect();
    let ((), sent) = Load::beside(&clients, |load| {
        load.answered(ANSWERS);
        back_up();
        load.answered(ANSWERS);
    });
    sent
}

/// Figures as of the last instant of a log.
fn figures(server: &Server, log: &[Value], more: &str) -> Vec<Value> {
    let as_of = log.last().unwrap()["occurred_at"].as_str().unwrap();
    let funnel = format!("funnel?pipeline={DEFAULT_PIPELINE}&");
    ["pipeline?", &funnel, "forecast?", "time-in-stage?", "board?"]
        .map(|figure| server.get(&format!("/v1/{figure}as_of={as_of}{more}")).expect(200).body)
        .to_vec()
}

/// It is what the other was at a position at least as late as `begun`; and a server goes on from there.
fn is_restored(restored: &Data, server: &Server, begun: u64, sent: &[Sent]) {
    let told = restored.run(["check"]).succeed().stdout;
    assert!(told.contains("no damage found") && told.contains("no read models yet"), "{told}");
    let again = Server::start(restored, &[]).ready();
    let (all, events) = (server.events(), again.events());
    check_log(&all, sent);
    assert!(all.starts_with(&events), "it is not the beginning of the log");
    let head = events.len() as u64;
    assert!(head >= begun, "up to {head} only, and {begun} had been acknowledged before the backup began");
    assert!(head < all.len() as u64, "nothing was sent beside the backup");
    assert_eq!(figures(&again, &all, ""), figures(server, &all, &format!("&known_at={head}")));

    let told = restored.run(["check"]).succeed().stdout;
    assert!(told.contains(&format!("The read models match the log, up to position {head}.")), "{told}");
    for command in sent.iter().filter(|command| command.position() <= Some(head)) {
        command.is_remembered(&again);
    }
    let next = again.post("/v1/deals", &deal("After all", &json!({}))).expect(201);
    assert_eq!(next.position(), head + 1);
    again.stop();
}

#[test]
fn a_log_that_is_backed_up_under_load_is_restored_with_all_that_was_acknowledged_before() {
    let (data, restored) = (Data::fresh(), Data::fresh());
    let server = Server::start(&data, &[]);
    let mut begun = 0;
    let sent = under_load(&server, || {
        begun = server.head();
        restored.restore(&data.back_up());
    });
    is_restored(&restored, &server, begun, &sent);
}

#[test]
fn a_log_that_is_copied_under_load_is_the_same_to_the_byte_and_what_came_later_comes_along_the_next_time() {
    let (data, backup) = (Data::fresh(), Data::fresh());
    let copy = || data.run(["copy", "--from", &data.place(), "--to", &backup.place()]).succeed();
    let server = Server::start(&data, &[]);
    let mut begun = 0;
    let sent = under_load(&server, || {
        begun = server.head();
        copy();
        let told = backup.run(["check"]).succeed().stdout;
        assert!(told.contains("no damage found"), "{told}");
    });
    let told = copy().stdout;
    let head = server.head();
    assert!(head > begun && told.contains(&format!("has all {head} events")), "{told}");
    backup.run(["check"]).succeed();

    let again = Server::start(&backup, &[]).ready();
    let events = server.events();
    assert_eq!(again.events(), events);
    assert_eq!(figures(&again, &events, ""), figures(&server, &events, &format!("&min_position={head}")));
    for command in &sent {
        command.is_remembered(&again);
    }
}
