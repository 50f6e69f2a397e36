//! Several servers on one database: commands on all of them, one history, and each answers for what another accepted.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use dealog_tests::{Client, Data, PATIENCE, Server, deal, until, workload::FOUNDING};
use serde_json::json;

const NODES: usize = 3;
/// Changes of one deal that each node is sent.
const CHANGES: usize = 30;
/// Well below the 200 ms after which a server looks by itself.
const WOKEN: Duration = Duration::from_millis(100);

/// Servers that are started at the same time.
pub(crate) fn nodes(data: &Data) -> Vec<Server> {
    thread::scope(|scope| {
        let starting: Vec<_> = (0..NODES).map(|_| scope.spawn(|| Server::start(data, &[]))).collect();
        starting.into_iter().map(|node| node.join().unwrap()).collect()
    })
}

/// They all end well.
pub(crate) fn stop(nodes: Vec<Server>) {
    for node in nodes {
        node.stop();
    }
}

/// Every server tells the same log, without a gap, and the same of all deals.
pub(crate) fn agree(nodes: &[Server]) {
    let log = nodes[0].events();
    assert!(log.iter().enumerate().all(|(index, event)| event["position"] == index + 1), "the log has a gap");
    let deals = |node: &Server| node.get(&format!("/v1/deals?limit=500&min_position={}", log.len())).expect(200).text;
    let told = deals(&nodes[0]);
    for node in &nodes[1..] {
        assert!(node.events() == log, "another log on another node");
        assert_eq!(deals(node), told);
    }
}

#[test]
fn nodes_that_begin_at_the_same_time_found_one_company() {
    let data = Data::on_postgres();
    let nodes = nodes(&data);
    assert_eq!(nodes[0].events().len(), FOUNDING);
    agree(&nodes);
    stop(nodes);
}

/// Gives a deal a title, and again where the others were faster too often; the version that this made.
fn rename(node: &Client, deal: &str, title: &str) -> (u64, u64) {
    until("a title should be given", PATIENCE, || {
        let answer = node.patch(&format!("/v1/deals/{deal}"), &json!({"title": title}));
        (answer.status == 200).then(|| (answer.body["version"].as_u64().unwrap(), answer.position()))
    })
}

#[test]
fn commands_on_the_same_deal_from_all_nodes_make_one_history() {
    let data = Data::on_postgres();
    let nodes = nodes(&data);
    let deal = nodes[0].post("/v1/deals", &deal("Everybody's", &json!({}))).expect(201).id();
    let told: BTreeSet<(u64, u64, String)> = thread::scope(|scope| {
        let changing = (0..NODES).map(|number| {
            let (here, there) = (nodes[number].client(), nodes[(number + 1) % NODES].client());
            let deal = &deal;
            scope.spawn(move || {
                let change = |index: usize| {
                    let title = format!("Title {number}:{index}");
                    let (version, position) = rename(&here, deal, &title);
                    // Another node, asked for what this one has accepted, knows it or what came after.
                    let seen = there.get(&format!("/v1/deals/{deal}?min_position={position}")).expect(200);
                    let etag: u64 = seen.header("etag").unwrap().trim_matches('"').parse().unwrap();
                    assert!(etag > version || (etag == version && seen.body["title"] == title), "{}", seen.text);
                    (version, position, title)
                };
                (0..CHANGES).map(change).collect::<Vec<_>>()
            })
        });
        let changing: Vec<_> = changing.collect();
        changing.into_iter().flat_map(|node| node.join().unwrap()).collect()
    });
    // In the order of versions they are in the order of the log, and all that there is.
    let history: Vec<_> = nodes[1]
        .events()
        .into_iter()
        .skip(FOUNDING + 1)
        .map(|event| {
            let number = |name: &str| event[name].as_u64().unwrap();
            (number("version"), number("position"), event["data"]["to"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    assert_eq!(history, told.into_iter().collect::<Vec<_>>());
    assert_eq!(history.len(), NODES * CHANGES);
    agree(&nodes);
    stop(nodes);
}

#[test]
fn an_event_is_delivered_by_a_node_that_did_not_append_it_as_soon_as_it_is_notified() {
    let data = Data::on_postgres();
    let [here, there] = [Server::start(&data, &[]), Server::start(&data, &[])];
    let mut stream = here.subscribe("");
    stream.expect("position");
    let mut took: Vec<Duration> = (0..41)
        .map(|index| {
            let created = there.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
            let committed = Instant::now();
            assert_eq!(stream.expect("deal.created").id, Some(created.position()));
            committed.elapsed()
        })
        .collect();
    took.sort_unstable();
    // One delivery may be late on a busy machine. Without notifications all of them would be.
    assert!(took[took.len() / 2] < WOKEN, "{took:?}");
}

#[test]
fn a_node_whose_listener_fails_hears_of_the_others_again() {
    let data = Data::on_postgres();
    let there = Server::start(&data, &[]);
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("FAILPOINTS", "listener=1*panic(planted)->off");
    let here = Server::of(command);
    let restarted = "dealog_task_restarts_total{task=\"listener\"} 1";
    until("the listener should be started again", PATIENCE, || {
        here.get("/metrics").expect(200).text.contains(restarted).then_some(())
    });
    let mut stream = here.subscribe("");
    stream.expect("position");
    let created = there.post("/v1/deals", &deal("Heard of", &json!({}))).expect(201);
    assert_eq!(stream.expect("deal.created").id, Some(created.position()));
    drop(stream);
    stop(vec![here, there]);
}
