//! Read models held against their log.

use std::sync::Arc;

use dealog_projections::{ProjectionError, Verified, models, verify};
use dealog_store::EventStore;

use crate::{
    databases::{On, TestDatabase, on_both, worker_of_all},
    dice::Dice,
    memory::MemoryStore,
    story,
};

on_both!(
    read_models_that_were_folded_are_what_their_log_says,
    a_row_that_was_altered_added_or_taken_away_is_found,
    read_models_that_are_behind_are_held_against_what_they_have_seen,
    read_models_of_another_log_are_refused_and_missing_ones_are_told,
);

async fn verified(store: &Arc<MemoryStore>, test: &TestDatabase) -> Result<Verified, ProjectionError> {
    let store: Arc<dyn EventStore> = store.clone();
    let mut verified = Verified::NotMade;
    for model in models::all() {
        verified = verify(&store, &test.database, model, |_, _| ()).await?;
        if !matches!(verified, Verified::Equal(_)) {
            break;
        }
    }
    Ok(verified)
}

async fn story(seed: u64) -> Arc<MemoryStore> {
    MemoryStore::holding(story::story(&mut Dice::new(seed)).await.log())
}

async fn read_models_that_were_folded_are_what_their_log_says(on: On) {
    let (store, test) = (story(31).await, TestDatabase::new(on).await);
    worker_of_all(store.clone(), &test.database, 7).await.catch_up().await.unwrap();
    let end = store.head().await.unwrap().position;
    assert_eq!(verified(&store, &test).await.unwrap(), Verified::Equal(end));
}

async fn a_row_that_was_altered_added_or_taken_away_is_found(on: On) {
    for (sql, table, there) in [
        ("UPDATE deals SET title = title || '.' WHERE began = (SELECT MIN(began) FROM deals)", "deals", true),
        ("UPDATE deals SET amount = 7 WHERE began = (SELECT MAX(began) FROM deals)", "deals", true),
        ("DELETE FROM customers WHERE began = (SELECT MAX(began) FROM customers)", "customers", false),
        ("INSERT INTO members VALUES (9223372036854775807, 1, 2, 3, 't', 'u')", "members", true),
    ] {
        let (store, test) = (story(32).await, TestDatabase::new(on).await);
        worker_of_all(store.clone(), &test.database, 100).await;
        test.execute(sql).await;
        let Verified::Differs { table: differing, found, expected, .. } = verified(&store, &test).await.unwrap() else {
            panic!("{sql} is not found");
        };
        assert_eq!((differing, found.is_some()), (table, there), "{sql}");
        assert_ne!(found, expected, "{sql}");
    }
}

async fn read_models_that_are_behind_are_held_against_what_they_have_seen(on: On) {
    let log = story::story(&mut Dice::new(33)).await.log();
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log[..log.len() / 2].to_vec());
    worker_of_all(store.clone(), &test.database, 100).await;
    let seen = store.head().await.unwrap().position;
    store.extend(&log[log.len() / 2..]);
    assert_eq!(verified(&store, &test).await.unwrap(), Verified::Equal(seen));
}

async fn read_models_of_another_log_are_refused_and_missing_ones_are_told(on: On) {
    let (store, test) = (story(34).await, TestDatabase::new(on).await);
    assert_eq!(verified(&store, &test).await.unwrap(), Verified::NotMade);
    worker_of_all(store.clone(), &test.database, 100).await;
    let other = MemoryStore::with_id(uuid::Uuid::now_v7(), Vec::new());
    let refused = verified(&other, &test).await.unwrap_err();
    assert!(matches!(refused, ProjectionError::OtherLog { .. }), "{refused}");
}
