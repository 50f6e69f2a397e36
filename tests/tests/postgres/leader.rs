//! The server that keeps the read models is killed under load: the others go on, and nothing that anybody accepted is lost.

use std::time::{Duration, Instant};

use dealog_tests::{
    Client, Data, Database, PATIENCE, Server, until,
    workload::{FOUNDING, Load, check_log, views},
};

use super::nodes::{agree, nodes, stop};

const CLIENTS: usize = 6;
/// Answers before the kill, and again after it.
const ANSWERS: usize = 100;
/// How long the read models may stand still.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// Which of these servers keeps the read models.
fn leader(data: &Data, nodes: &[Server]) -> usize {
    until("somebody should keep the read models", PATIENCE, || {
        // A host, the id of a process, and more.
        let holders = Database::views(data).texts("SELECT holder FROM leases WHERE name = 'models' AND expires_at > 0");
        let held_by = |node: &Server| holders.iter().any(|holder| holder.contains(&format!(":{}:", node.id())));
        nodes.iter().position(held_by)
    })
}

/// Waits until the read models know of an event that is appended from now on.
fn go_on(node: &Client) {
    let head = node.head();
    let later = until("commands should be carried out", PATIENCE, || Some(node.head()).filter(|later| *later > head));
    let path = format!("/v1/deals?limit=1&min_position={later}");
    until("the read models should go on", PATIENCE, || (node.get(&path).status == 200).then_some(()));
}

#[test]
fn when_the_node_that_keeps_the_read_models_is_killed_under_load_the_others_go_on_and_nothing_is_lost() {
    let data = Data::on_postgres();
    let mut nodes = nodes(&data);
    let leader = leader(&data, &nodes);
    // Each begins at another node, and goes to the next where it gets no answer.
    let clients: Vec<Vec<Client>> = (0..CLIENTS)
        .map(|number| (0..nodes.len()).map(|turn| nodes[(number + turn) % nodes.len()].client()).collect())
        .collect();
    let (stood_still, sent) = Load::beside(&clients, |load| {
        load.answered(ANSWERS);
        nodes.remove(leader).kill9();
        let killed = Instant::now();
        go_on(&nodes[0]);
        let stood_still = killed.elapsed();
        load.answered(ANSWERS);
        stood_still
    });
    assert!(stood_still < TAKE_OVER, "the read models stood still for {stood_still:?}");

    let events = nodes[1].events();
    check_log(&events, &sent);
    assert_eq!(events.len(), FOUNDING + sent.len(), "one event for each command");
    for command in sent.iter().step_by(10) {
        command.is_remembered(&nodes[1]);
    }
    agree(&nodes);

    let before = views(&nodes[0]);
    stop(nodes);
    data.run(["check"]).succeed();
    data.run(["rebuild"]).succeed();
    let again = Server::start(&data, &[]);
    assert_eq!(views(&again), before, "the read models are not what a rebuild makes");
}
