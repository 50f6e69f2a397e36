//! Several nodes on one log.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dealog_events::{Position, Timestamp};
use dealog_store::EventStore as _;
use dealog_test_postgres::Fresh;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{PATIENCE, append, open};

/// Ends all connections to the database but the one that says so.
pub(crate) const END_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid \
                       <> pg_backend_pid()";

#[tokio::test]
async fn a_node_is_woken_by_what_another_appends() {
    let fresh = Fresh::new().await;
    let (here, there) = (open(fresh.url()).await.unwrap(), open(fresh.url()).await.unwrap());
    let mut watch = there.watch();
    for position in 1..=20 {
        here.append(append()).await.unwrap();
        // It polls nothing, so only a notification can have told it.
        timeout(PATIENCE, watch.wait_for(|heard| heard.0 == position)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_node_whose_connections_are_ended_goes_on() {
    let fresh = Fresh::new().await;
    let (here, there) = (open(fresh.url()).await.unwrap(), open(fresh.url()).await.unwrap());
    here.append(append()).await.unwrap();
    for round in 0..3 {
        fresh.execute(END_ALL).await.unwrap();
        // Nothing had been sent that could be in doubt: another connection is opened, and nobody is told of it.
        let told = here.append(append()).await.unwrap();
        assert_eq!((told.position.0, told.replayed), (2 + round, false));
    }
    let mut watch = there.watch();
    timeout(PATIENCE, watch.wait_for(|heard| heard.0 == 4)).await.unwrap().unwrap();
    assert_eq!(there.read(Position::ZERO, 10, &[]).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_many_nodes_share_one_order_while_their_connections_are_ended() {
    let fresh = Fresh::new().await;
    let stores = join_all((0..3).map(|_| open(fresh.url()))).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for round in 0..40 {
        let appends: Vec<_> = (0..12).map(|_| append()).collect();
        let waiting: Vec<_> =
            appends.iter().enumerate().map(|(at, append)| stores[at % 3].append(append.clone())).collect();
        if round % 2 == 0 {
            fresh.execute(END_ALL).await.unwrap();
        }
        for (append, outcome) in appends.into_iter().zip(join_all(waiting).await) {
            match outcome {
                Ok(told) => acknowledged.push((told.position, append.command_id)),
                Err(_) => refused += 1,
            }
        }
    }
    let found = crate::commands(&stores[0]).await;
    assert_eq!(stores[0].head().await.unwrap().position.0, found.len() as u64);
    for (position, command) in &acknowledged {
        assert_eq!(found[usize::try_from(position.0).unwrap() - 1], *command);
    }
    assert!(acknowledged.len() > 100, "{refused} were refused");
    assert_eq!(found.len(), acknowledged.len(), "an append that was refused is there");
}

#[tokio::test]
async fn a_log_whose_time_is_far_ahead_goes_on_from_there() {
    let fresh = Fresh::new().await;
    let store = open(fresh.url()).await.unwrap();
    let days = Duration::from_hours(3 * 24);
    let ahead = (SystemTime::now() + days).duration_since(UNIX_EPOCH).unwrap().as_micros();
    let ahead = Timestamp::from_micros(ahead.try_into().unwrap()).unwrap();
    store.append(append()).await.unwrap();
    // As it came in while the clock of the database was ahead, too.
    let late = format!(
        "ALTER TABLE log.events DISABLE TRIGGER events_follow;
         INSERT INTO log.events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor, command_id,
             correlation_id, causation_id, data)
         SELECT 2, gen_random_uuid(), 'settings', 1, type, 1, {ahead}, {ahead}, actor, gen_random_uuid(), correlation_id, NULL, data
         FROM log.events;
         INSERT INTO log.streams VALUES ('settings', 1, {ahead});
         ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_follow",
        ahead = ahead.micros()
    );
    fresh.execute(&late).await.unwrap();
    store.append(append()).await.unwrap();
    assert_eq!(store.head().await.unwrap().recorded_at, ahead);
    store.close().await;
}
