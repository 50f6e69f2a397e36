//! A server that is killed under load: what it acknowledged is there, and nothing is there twice.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use dealog_tests::{Client, Data, Server, until};

use dealog_tests::workload::{FOUNDING, Sent, check_log, views, work};

const CLIENTS: usize = 20;
/// The server is killed after so many answers, and so often.
const ANSWERS: usize = 80;
const KILLS: usize = 8;

#[test]
fn after_each_kill_under_load_every_acknowledged_command_is_there_once() {
    let data = Data::fresh();
    let mut sent = Vec::new();
    for kill in 0..KILLS {
        sent.extend(work_until_killed(&data, kill));
        let server = Server::start(&data, &[]);
        check_log(&server.events(), &sent);
        // What had no answer is sent again, and is done once whether or not it was done before.
        for command in sent.iter_mut().filter(|command| command.acknowledged.is_none()) {
            command.send(&server);
            assert!(command.acknowledged.is_some(), "{:?}", command.refused);
        }
        sent.iter().rev().step_by(7).take(50).for_each(|command| command.is_remembered(&server));
        let events = server.events();
        check_log(&events, &sent);
        assert_eq!(events.len(), FOUNDING + sent.len(), "one event for each command");
        server.kill9();
    }

    let server = Server::start(&data, &[]);
    let before = views(&server);
    server.stop();
    data.run(["check"]).succeed();
    data.run(["rebuild"]).succeed();
    let server = Server::start(&data, &[]);
    assert_eq!(views(&server), before, "the read models are not what a rebuild makes");
    server.stop();
}

/// Many clients at once, each of which is left with one command without an answer.
fn work_until_killed(data: &Data, kill: usize) -> Vec<Sent> {
    let server = Server::start(data, &["--log", "warn,dealog=info"]);
    let answers = AtomicUsize::new(0);
    let sent: Mutex<Vec<Sent>> = Mutex::new(Vec::new());
    let clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            let (answers, sent) = (&answers, &sent);
            scope.spawn(move || {
                let mine = work(client, &format!("{kill}:{index}"), answers);
                sent.lock().unwrap().extend(mine);
            });
        }
        until("the clients should have answers", Duration::from_mins(1), || {
            (answers.load(Ordering::Relaxed) >= ANSWERS).then_some(())
        });
        if kill == 0 {
            // A log that is written to is not taken for a damaged one.
            data.run(["check"]).succeed();
        }
        server.kill9();
    });
    let sent = sent.into_inner().unwrap();
    assert!(sent.iter().all(|command| command.refused.is_none()), "a command was refused");
    let unanswered = sent.iter().filter(|command| command.acknowledged.is_none()).count();
    assert_eq!(unanswered, CLIENTS, "each client was left with one command without an answer");
    sent
}
