//! Read models held against their log.

use std::sync::Arc;

use dealog_projections::{ProjectionError, Verified, deals::Deals, verify};
use dealog_store::EventStore;

use crate::{
    dice::Dice,
    memory::MemoryStore,
    model::{On, TestDatabase, on_both, worker},
    random,
};

on_both!(
    read_models_that_were_folded_are_what_their_log_says,
    a_row_that_was_altered_added_or_taken_away_is_found,
    read_models_that_are_behind_are_held_against_what_they_have_seen,
    read_models_of_another_log_are_refused_and_missing_ones_are_told,
);

async fn verified(store: &Arc<MemoryStore>, test: &TestDatabase) -> Result<Verified, ProjectionError> {
    let store: Arc<dyn EventStore> = store.clone();
    verify(&store, &test.database, Box::<Deals>::default(), |_, _| ()).await
}

async fn story(seed: u64) -> Arc<MemoryStore> {
    MemoryStore::holding(random::story(&mut Dice::new(seed)).await.log())
}

async fn read_models_that_were_folded_are_what_their_log_says(on: On) {
    let (store, test) = (story(31).await, TestDatabase::new(on).await);
    worker(store.clone(), &test.database, 7).await.unwrap().catch_up().await.unwrap();
    let end = store.head().await.unwrap().position;
    assert_eq!(verified(&store, &test).await.unwrap(), Verified::Equal(end));
}

async fn a_row_that_was_altered_added_or_taken_away_is_found(on: On) {
    for (sql, table, there) in [
        ("UPDATE deals SET title = title || '.' WHERE deal = (SELECT MAX(deal) FROM deals)", "deals", true),
        ("UPDATE spans SET amount = 7 WHERE position = (SELECT MAX(position) FROM spans)", "spans", true),
        ("DELETE FROM visits WHERE position = (SELECT MAX(position) FROM visits)", "visits", false),
        ("INSERT INTO members VALUES (9223372036854775807, 't', 'u', 1, 2)", "members", true),
    ] {
        let (store, test) = (story(32).await, TestDatabase::new(on).await);
        worker(store.clone(), &test.database, 100).await.unwrap();
        test.execute(sql).await;
        let Verified::Differs { table: differing, found, expected, .. } = verified(&store, &test).await.unwrap() else {
            panic!("{sql} is not found");
        };
        assert_eq!((differing, found.is_some()), (table, there), "{sql}");
        assert_ne!(found, expected, "{sql}");
    }
}

async fn read_models_that_are_behind_are_held_against_what_they_have_seen(on: On) {
    let log = random::story(&mut Dice::new(33)).await.log();
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log[..log.len() / 2].to_vec());
    worker(store.clone(), &test.database, 100).await.unwrap();
    let seen = store.head().await.unwrap().position;
    store.extend(&log[log.len() / 2..]);
    assert_eq!(verified(&store, &test).await.unwrap(), Verified::Equal(seen));
}

async fn read_models_of_another_log_are_refused_and_missing_ones_are_told(on: On) {
    let (store, test) = (story(34).await, TestDatabase::new(on).await);
    assert_eq!(verified(&store, &test).await.unwrap(), Verified::NotMade);
    worker(store.clone(), &test.database, 100).await.unwrap();
    let other = MemoryStore::with_id(uuid::Uuid::now_v7(), Vec::new());
    let refused = verified(&other, &test).await.unwrap_err();
    assert!(matches!(refused, ProjectionError::OtherLog { .. }), "{refused}");
}
