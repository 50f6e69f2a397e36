//! `dealog rebuild`, beside a server under load, and killed at any time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use dealog_tests::{Client, Data, Database, PATIENCE, Server, company, deal, exit_within, until};
use serde_json::json;

use super::{as_usual, slowly};

#[test]
fn a_rebuild_that_is_killed_leaves_the_old_tables_and_the_next_one_goes_on_where_it_was() {
    let data = company(Data::fresh());
    data.run(["rebuild"]).succeed();
    let before = data.tables();
    assert!(before.len() > 200, "{} rows are too few to tell anything", before.len());

    slowly(&data);
    let mut killed = data.rebuilding();
    data.built_to(20);
    killed.kill().unwrap();
    exit_within(&mut killed, PATIENCE);
    assert_eq!(data.build_number(), Some(1), "it had come to its end before it was killed");
    assert_eq!(data.tables(), before);
    // On PostgreSQL nobody knows that it was killed until its lease has run out.
    let (interrupted, done) = until("the build should be known to be interrupted", PATIENCE, || {
        Some(data.projection()).filter(|(line, _)| line["state"].as_str().unwrap().contains("interrupted at"))
    });
    assert_eq!((&interrupted["lag"], done.code), (&json!(0), 0), "{interrupted}");
    assert!(interrupted["state"].as_str().unwrap().starts_with("caught up"), "{interrupted}");

    as_usual(&data);
    let told = data.run(["rebuild", "deals"]).succeed().stderr;
    let at = told.lines().find(|line| line.contains("building goes on")).unwrap_or_else(|| panic!("{told}"));
    assert!(!at.contains("position=0"), "{at}");
    assert_eq!(data.build_number(), Some(2));
    assert_eq!(data.tables(), before, "a build that was interrupted comes to other rows");
    assert_eq!(data.build_position(), None);
    assert_eq!(data.projection().0["state"], "caught up");
}

#[test]
fn the_first_build_of_a_server_that_is_killed_is_gone_on_with_by_the_next() {
    let data = company(Data::fresh());
    slowly(&data);
    let server = Server::start(&data, &[]);
    data.built_to(20);
    server.kill9();
    assert!(data.build_position().is_some(), "it had come to its end before it was killed");
    as_usual(&data);
    let server = Server::start(&data, &[]).ready();
    let of_server = server.answers();
    assert!(server.stop().contains("building goes on"));
    data.run(["rebuild"]).succeed();
    let server = Server::start(&data, &[]);
    assert_eq!(server.answers(), of_server);
    server.stop();
}

#[test]
fn questions_wait_for_a_server_that_makes_its_read_models() {
    let data = company(Data::fresh());
    data.set(
        "[limits]\nprojection_batch_events_max = 1\nprojection_build_events_max = 1\nmin_position_wait_ms = 60000\n",
    );
    let server = Server::start(&data, &[]);
    let head = server.head();
    for path in ["/v1/board", "/v1/customers", &format!("/v1/deals?min_position={head}")] {
        server.get(path).expect(200);
    }
    server.stop();
}

/// Asks again and again, and sees that no answer is older than one before it or half of one: after the company's own
/// events, each event is a deal.
fn ask(client: &Client, founded: u64, stop: &AtomicBool) -> u64 {
    let (mut answers, mut last) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let answer = client.get("/v1/deals?limit=500").expect(200);
        let position: u64 = answer.header("dealog-position").unwrap().parse().unwrap();
        assert!(position >= last, "position {position} after {last}");
        assert_eq!(answer.body["deals"].as_array().unwrap().len() as u64, position - founded, "at {position}");
        last = position;
        answers += 1;
    }
    answers
}

#[test]
fn a_server_under_load_answers_as_if_nothing_was_while_its_read_models_are_made_anew_beside_it() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]);
    let founded = server.head();
    for index in 0..50 {
        server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
    }
    // The rebuild alone is slow: it is another process with settings of its own.
    let rebuild = || data.run(["rebuild"]).env("DEALOG_LIMITS__PROJECTION_BUILD_EVENTS_MAX", "1").succeed();

    let stop = AtomicBool::new(false);
    let (asked, sent) = thread::scope(|scope| {
        let clients = [(); 2].map(|()| server.client());
        let asking = clients.map(|client| {
            let stop = &stop;
            scope.spawn(move || ask(&client, founded, stop))
        });
        let writer = server.client();
        let done = &stop;
        let writing = scope.spawn(move || {
            let mut sent = 0;
            // All that there are fit into one answer.
            while !done.load(Ordering::Relaxed) && sent < 400 {
                let created = writer.post("/v1/deals", &deal("One more", &json!({}))).expect(201);
                let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
                writer.get(&path).expect(200);
                sent += 1;
            }
            sent
        });
        // Also where one of the others has failed, they all must end.
        let rebuilt = thread::scope(|scope| scope.spawn(|| (0..3).for_each(|_| drop(rebuild()))).join());
        stop.store(true, Ordering::Relaxed);
        rebuilt.unwrap();
        let asked: Vec<u64> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
        (asked, writing.join().unwrap())
    });
    assert!(asked.iter().all(|answers| *answers > 10) && sent > 10, "{asked:?} {sent}: too few to tell anything");
    assert_eq!(data.build_number(), Some(4));

    // The worker of the server has gone on with the new tables.
    let server = server.ready();
    let head = server.head();
    let pipeline = server.get(&format!("/v1/pipeline?min_position={head}")).expect(200).body;
    assert_eq!(pipeline["total"]["deals"], head - founded);
    server.stop();
    let followed = data.tables();
    data.run(["rebuild"]).succeed();
    assert_eq!(data.tables(), followed, "the server's worker folded other rows into the new tables");
}

#[test]
fn what_is_being_built_is_not_built_a_second_time_beside_it() {
    let data = company(Data::fresh());
    data.run(["rebuild"]).succeed();
    slowly(&data);
    let mut first = data.rebuilding();
    data.built_to(1);
    // The build cannot end as long as somebody else writes.
    let mut other = Database::views(&data);
    other.hold();
    let told = data.run(["rebuild", "deals"]).fail();
    assert!(told.contains("another process") && told.contains("dealog projections"), "{told}");
    let state = data.projection().0["state"].as_str().unwrap().to_owned();
    assert!(state.contains("building version") && state.contains('%'), "{state}");
    other.let_go();
    assert!(exit_within(&mut first, PATIENCE).success());
    assert_eq!(data.build_number(), Some(2));
}
