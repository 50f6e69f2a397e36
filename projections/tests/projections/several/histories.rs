//! Checkpoints, and the history that they prove.

use super::*;

on_both!(
    models_of_a_log_that_was_restored_and_went_another_way_are_refused_until_they_are_made_anew,
    checkpoints_without_a_proof_are_gone_on_from,
);

async fn models_of_a_log_that_was_restored_and_went_another_way_are_refused_until_they_are_made_anew(on: On) {
    let log = some_log(92).await;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(log.clone());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    let mut following = Following::of(start(&store, &test, diaries(Flaw::None), 9).await);
    following.reaches(last(&log)).await;
    following.stop().await;

    // It was restored with half of its events, and others have been appended since.
    let mut other = log.clone();
    for event in &mut other[log.len() / 2..] {
        event.event_id = uuid::Uuid::now_v7();
        event.event_id = uuid::Uuid::from_u128(!event.event_id.as_u128());
    }
    let restored = MemoryStore::holding(other.clone());
    let refused = Worker::start(restored.clone(), test.again().await, diaries(Flaw::None), quick(9)).await;
    let error = refused.err().unwrap();
    assert!(matches!(error, ProjectionError::OtherEvent { .. }), "{error}");
    let [seen, found] = [&log, &other].map(|log| dealog_events::Cursor::at(log.last().unwrap()).to_string());
    let told = error.to_string();
    assert!(told.contains(&seen) && told.contains(&found) && told.contains("dealog rebuild"), "{told}");

    let mut worker = Worker::idle(restored.clone(), test.again().await, diaries(Flaw::None), quick(9));
    worker.rebuild().await.unwrap();
    worker.catch_up().await.unwrap();
    let found = standing(&test, "beta").await.tables.unwrap();
    assert_eq!(found.cursor(), dealog_events::Cursor::at(other.last().unwrap()));
    start(&restored, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    assert_eq!(joined(&test, BOTH).await.unwrap(), last(&log));
}

async fn checkpoints_without_a_proof_are_gone_on_from(on: On) {
    let log = some_log(93).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    test.execute("UPDATE checkpoints SET proof = NULL WHERE projection = 'alpha'").await;
    store.extend(rest);
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log, 1), "{model}");
        let found = standing(&test, model).await.tables.unwrap();
        assert_eq!(found.cursor(), dealog_events::Cursor::at(log.last().unwrap()));
    }
}
