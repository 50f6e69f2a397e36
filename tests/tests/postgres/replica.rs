//! The server of a log is lost with all it had, and its replica takes its place.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use dealog_test_postgres::Postgres;
use dealog_tests::{
    Data, Database, PATIENCE, Server, deal, until,
    workload::{Sent, check_log, work},
};
use serde_json::json;

const CLIENTS: usize = 4;
const ANSWERS: usize = 100;

/// The number that a server of PostgreSQL answers with.
fn ask(server: &Postgres, question: &str) -> Option<i64> {
    Database::at(&server.url()).number(question)
}

/// Waits until the replica has all that has been committed by now.
fn catch_up(primary: &Postgres, replica: &Postgres) {
    let written = ask(primary, "SELECT (pg_current_wal_lsn() - '0/0')::bigint");
    until("the replica should catch up", PATIENCE, || {
        let replayed = ask(replica, "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint");
        (replayed >= written).then_some(())
    });
}

/// From now on a commit waits until the replica has it on its disk too.
fn wait_for_replicas(primary: &Postgres) {
    let mut database = Database::at(&primary.url());
    database.run("ALTER SYSTEM SET synchronous_standby_names = '*'");
    database.run("SELECT pg_reload_conf()");
    until("the replica should be waited for", PATIENCE, || {
        let waited_for = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        (ask(primary, waited_for) == Some(1)).then_some(())
    });
}

/// Commands are carried out until the primary is killed, which is once `wait` is over. The replica, promoted, holds a sound log
/// and goes on with it. Of the commands that were acknowledged, those are given that are not in it, and where the log ended when
/// `wait` began.
fn fail_over(prepare: fn(&Postgres), wait: fn(&Postgres, &Postgres)) -> (Vec<Sent>, u64) {
    let primary = Postgres::start();
    let replica = primary.replica();
    prepare(&primary);
    let database = primary.fresh();
    let url = database.url_at(&replica);
    let data = Data::within(database);
    let server = Server::start(&data, &[]);
    let answers = AtomicUsize::new(0);
    let (mut sent, begun) = thread::scope(|scope| {
        // Were it not gone when this fails, the clients would go on for ever.
        let primary = primary;
        let client = |number| {
            let (client, answers) = (server.client(), &answers);
            scope.spawn(move || work(&client, &format!("client {number}"), answers))
        };
        let working: Vec<_> = (0..CLIENTS).map(client).collect();
        until("commands should be carried out", PATIENCE, || {
            (answers.load(Ordering::Relaxed) >= ANSWERS).then_some(())
        });
        let begun = server.head();
        wait(&primary, &replica);
        primary.kill();
        let sent: Vec<Sent> = working.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (sent, begun)
    });
    server.kill9();

    assert_eq!(ask(&replica, "SELECT pg_promote()::int::bigint"), Some(1));
    let told = data.run(["check", "--database", &url]).succeed().stdout;
    assert!(told.contains("no damage found") && told.contains("The read models match the log"), "{told}");
    let again = Server::start(&data, &["--database", &url]).ready();
    let events = again.events();
    let head = events.len() as u64;
    let lost = sent.extract_if(.., |command| command.position() > Some(head)).collect();
    check_log(&events, &sent);
    for command in sent.iter().filter(|command| command.acknowledged.is_some()).step_by(10) {
        command.is_remembered(&again);
    }
    assert_eq!(again.post("/v1/deals", &deal("After all", &json!({}))).expect(201).position(), head + 1);
    assert_eq!(again.stop().matches("panicked").count(), 0);
    (lost, begun)
}

#[test]
fn a_replica_that_is_promoted_has_all_that_it_had_received_when_its_primary_was_killed() {
    let (lost, begun) = fail_over(|_| (), catch_up);
    // What was acknowledged in the last moment may be: nobody waited for it.
    assert!(lost.iter().all(|command| command.position() > Some(begun)), "the replica had it");
}

#[test]
fn a_replica_that_commits_wait_for_has_all_that_was_acknowledged_when_its_primary_is_killed() {
    let (lost, _) = fail_over(wait_for_replicas, |_, _| ());
    assert_eq!(lost.len(), 0, "acknowledged and lost");
}
