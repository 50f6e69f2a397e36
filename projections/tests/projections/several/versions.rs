//! A model is built or rebuilt while the runtime follows the others.

use super::*;

on_both!(
    a_new_version_is_made_while_the_others_are_followed_and_takes_its_place_at_their_position,
    a_model_that_is_made_anew_beside_a_server_is_swapped_in_at_the_position_of_the_others,
    a_model_that_is_new_comes_to_the_others_and_no_further,
    a_new_version_that_stops_is_told_of_and_keeps_nobody,
);

async fn a_new_version_is_made_while_the_others_are_followed_and_takes_its_place_at_their_position(on: On) {
    const NEXT: &[(&str, i64)] = &[("alpha", 1), ("beta", 2)];
    let log = some_log(86).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();

    let open = watch::Sender::new(false);
    let next = Diary::boxed("beta", 2, Flaw::Waits(Position(20), open.subscribe()));
    let models: Vec<Box<dyn Projection>> = vec![Diary::boxed("alpha", 1, Flaw::None), next];
    let asking = Asking::of(&test, NEXT).await;
    let mut following = Following::of(start(&store, &test, models, 4).await);
    until("it is being built", async || {
        standing(&test, "beta").await.building.is_some_and(|build| build.under_way && build.position.0 >= 16)
    })
    .await;
    let (first, second) = rest.split_at(rest.len() / 2);
    store.extend(first);
    following
        .is("alpha should be followed meanwhile", |models| {
            models["alpha"] == Status::Following(last(first)) && models["beta"].is_catching_up()
        })
        .await;
    assert_eq!(rows(&test, "beta").await, rows_of(some, 1), "the old tables are not there any more");
    assert_eq!(joined(&test, &[("beta", 1)]).await.unwrap(), last(some));
    assert!(matches!(joined(&test, NEXT).await.unwrap_err(), ProjectionError::NotBuilt));

    // More comes while it is swapped in.
    open.send_replace(true);
    for event in second {
        store.extend(std::slice::from_ref(event));
        sleep(Duration::from_millis(1)).await;
    }
    following.reaches(last(&log)).await;
    following.stop().await;
    assert!(asking.stop().await > last(some), "nobody saw both");
    assert_eq!(rows(&test, "alpha").await, rows_of(&log, 1));
    assert_eq!(rows(&test, "beta").await, rows_of(&log, 2));
    assert_eq!((build(&test, "alpha").await, build(&test, "beta").await), (1, 2));
    assert_eq!(standing(&test, "beta").await.building, None);
}

async fn a_model_that_is_made_anew_beside_a_server_is_swapped_in_at_the_position_of_the_others(on: On) {
    let log = some_log(87).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    let mut following = Following::of(start(&store, &test, diaries(Flaw::None), 9).await);
    let asking = Asking::of(&test, BOTH).await;
    let growing = async {
        for event in rest {
            store.extend(std::slice::from_ref(event));
            sleep(Duration::from_millis(2)).await;
        }
    };
    let rebuilding = async {
        for _ in 0..3 {
            let mut worker = Worker::idle(store.clone(), test.again().await, diaries(Flaw::None), quick(5));
            worker.rebuild_one("beta").await.unwrap();
        }
    };
    tokio::join!(growing, rebuilding);
    following.reaches(last(&log)).await;
    following.stop().await;
    asking.stop().await;
    for model in ["alpha", "beta"] {
        assert_eq!(rows(&test, model).await, rows_of(&log, 1), "{model}");
    }
    assert_eq!((build(&test, "alpha").await, build(&test, "beta").await), (1, 4));
    assert_eq!(joined(&test, BOTH).await.unwrap(), last(&log));
}

async fn a_model_that_is_new_comes_to_the_others_and_no_further(on: On) {
    const ALL: &[(&str, i64)] = &[("alpha", 1), ("beta", 1), ("gamma", 1)];
    let log = some_log(88).await;
    let (some, rest) = log.split_at(log.len() / 2);
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    // Nobody follows those that are there, and the log has grown.
    store.extend(rest);
    let mut models = diaries(Flaw::None);
    models.push(Diary::boxed("gamma", 1, Flaw::None));
    let mut worker = start(&store, &test, models, 9).await;
    worker.ready().await.unwrap();
    assert_eq!(joined(&test, ALL).await.unwrap(), last(some));
    assert_eq!(worker.catch_up().await.unwrap(), last(&log));
    assert_eq!(joined(&test, ALL).await.unwrap(), last(&log));
    assert_eq!(rows(&test, "gamma").await, rows_of(&log, 1));
}

async fn a_new_version_that_stops_is_told_of_and_keeps_nobody(on: On) {
    let log = some_log(89).await;
    let (some, rest) = log.split_at(log.len() - 10);
    let poison = some[some.len() / 2].position;
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(some.to_vec());
    start(&store, &test, diaries(Flaw::None), 9).await.catch_up().await.unwrap();
    let models = |flaw| -> Vec<Box<dyn Projection>> {
        vec![Diary::boxed("alpha", 1, Flaw::None), Diary::boxed("beta", 2, flaw)]
    };
    let mut following = Following::of(start(&store, &test, models(Flaw::Refuses(poison)), 9).await);
    following.is("it should stop", |models| matches!(models["beta"], Status::Stopped { .. })).await;
    store.extend(rest);
    following.is("alpha should go on", |models| models["alpha"] == Status::Following(last(&log))).await;
    following.stop().await;
    assert_eq!(rows(&test, "beta").await, rows_of(some, 1), "the old tables are not there any more");
    let found = standing(&test, "beta").await;
    assert_eq!(found.building.unwrap().stopped.map(|stop| stop.position), Some(poison));
    let error = start(&store, &test, models(Flaw::Refuses(poison)), 9).await.catch_up().await.unwrap_err();
    assert_eq!(error.poison(), Some(poison), "{error}");
    start(&store, &test, models(Flaw::None), 9).await.catch_up().await.unwrap();
    assert_eq!(rows(&test, "beta").await, rows_of(&log, 2));
}
