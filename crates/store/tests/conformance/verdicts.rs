//! Which appends are accepted, and what the others are told.

use dealog_events::Version;
use dealog_store::{Append, AppendError, Appended, Fingerprint, Limits};
use futures_util::future::join_all;

use crate::backend::{Backend, all, append, append_many, at, deal, event, gap_free};

pub(crate) async fn a_stream_grows_from_the_version_that_was_expected<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    let first = store.append(append(stream, 0)).await.unwrap();
    assert_eq!((first.version.0, first.position.0, first.events, first.replayed), (1, 1, 1, false));
    let second = store.append(append_many(stream, 1, 3)).await.unwrap();
    assert_eq!((second.version.0, second.position.0, second.events), (4, 4, 3));
    let other = store.append(append(deal(), 0)).await.unwrap();
    assert_eq!((other.version.0, other.position.0), (1, 5));
}

pub(crate) async fn an_append_to_a_version_that_has_passed_is_a_conflict<B: Backend>() {
    let place = B::new().await;
    let (store, grown) = (place.open().await, deal());
    store.append(append_many(grown, 0, 2)).await.unwrap();
    for wrong in [0, 1, 3, u64::MAX] {
        let refused = store.append(append(grown, wrong)).await.unwrap_err();
        let AppendError::Conflict { stream, expected, found } = refused else { panic!("{refused}") };
        assert_eq!((stream, expected, found), (grown, Version(wrong), Version(2)));
    }
    let refused = store.append(append(deal(), 1)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { found: Version(0), .. }), "{refused}");
    assert_eq!(gap_free(&*store).await, 2);
}

pub(crate) async fn a_stream_that_was_read_must_be_unchanged<B: Backend>() {
    let place = B::new().await;
    let (store, read, absent) = (place.open().await, deal(), deal());
    store.append(append_many(read, 0, 2)).await.unwrap();
    let reading = |version, none| Append {
        unchanged: vec![(absent, Version(none)), (read, Version(version))],
        ..append(deal(), 0)
    };
    store.append(reading(2, 0)).await.unwrap();
    let refused = store.append(reading(1, 0)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { stream, found: Version(2), .. } if stream == read), "{refused}");
    let refused = store.append(reading(2, 1)).await.unwrap_err();
    assert!(
        matches!(refused, AppendError::Conflict { stream, found: Version(0), .. } if stream == absent),
        "{refused}"
    );
    assert_eq!(gap_free(&*store).await, 3);
}

pub(crate) async fn an_append_sees_what_the_ones_before_it_in_its_batch_did<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    let stale = Append { unchanged: vec![(stream, Version(1))], ..append(deal(), 0) };
    let fresh = Append { unchanged: vec![(stream, Version(2))], ..append(deal(), 0) };
    // Queued before the store's task can run: one batch.
    let batch = [append(stream, 0), append(stream, 1), append(stream, 1), stale, fresh].map(|a| store.append(a));
    let told = join_all(batch).await;
    assert!(matches!(told[0], Ok(Appended { version: Version(1), .. })));
    assert!(matches!(told[1], Ok(Appended { version: Version(2), .. })));
    assert!(matches!(told[2], Err(AppendError::Conflict { found: Version(2), .. })));
    assert!(matches!(told[3], Err(AppendError::Conflict { found: Version(2), .. })));
    assert!(matches!(told[4], Ok(Appended { version: Version(1), .. })));
    assert_eq!(gap_free(&*store).await, 3);
}

pub(crate) async fn a_conflict_does_not_harm_its_neighbours_in_the_batch<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let told = join_all([0, 7, 0].map(|expected| store.append(append(deal(), expected)))).await;
    assert!(matches!(told[0], Ok(Appended { position, .. }) if position.0 == 1));
    assert!(matches!(told[1], Err(AppendError::Conflict { .. })));
    assert!(matches!(told[2], Ok(Appended { position, .. }) if position.0 == 2));
}

pub(crate) async fn a_rejected_append_leaves_no_gap<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    for expected in [0, 1, 0, 5, 0] {
        let _ = store.append(append_many(deal(), expected, 2)).await;
    }
    assert_eq!(gap_free(&*store).await, 6);
}

pub(crate) async fn a_command_sent_again_gets_its_first_outcome<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    let command = append_many(stream, 0, 2);
    let first = store.append(command.clone()).await.unwrap();
    store.append(append(stream, 2)).await.unwrap();
    let again = store.append(command).await.unwrap();
    assert_eq!(again, Appended { replayed: true, ..first });
    assert_eq!(gap_free(&*store).await, 3);
}

pub(crate) async fn a_command_sent_twice_in_one_batch_is_appended_once<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let command = append(deal(), 0);
    let other = Append { fingerprint: Fingerprint([2; 32]), ..command.clone() };
    let told = join_all([command.clone(), command, other].map(|a| store.append(a))).await;
    let first = *told[0].as_ref().unwrap();
    assert!(!first.replayed);
    assert_eq!(*told[1].as_ref().unwrap(), Appended { replayed: true, ..first });
    assert!(matches!(told[2], Err(AppendError::FingerprintMismatch(_))));
    assert_eq!(gap_free(&*store).await, 1);
}

pub(crate) async fn a_command_id_used_for_something_else_is_refused<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let command = append(deal(), 0);
    store.append(command.clone()).await.unwrap();
    let other = Append { fingerprint: Fingerprint([2; 32]), ..command.clone() };
    let refused = store.append(other).await.unwrap_err();
    assert!(matches!(refused, AppendError::FingerprintMismatch(id) if id == command.command_id), "{refused}");
    assert_eq!(gap_free(&*store).await, 1);
}

pub(crate) async fn a_command_is_remembered_only_if_it_appended<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let (accepted, refused) = (append_many(deal(), 0, 2), append(deal(), 1));
    let outcome = store.append(accepted.clone()).await.unwrap();
    store.append(refused.clone()).await.unwrap_err();
    let ids = [refused.command_id, accepted.command_id];
    let [found] = store.remembered(&ids).await.unwrap().try_into().expect("one");
    assert_eq!((found.command_id, found.fingerprint), (accepted.command_id, accepted.fingerprint));
    assert_eq!(found.outcome, Appended { replayed: true, ..outcome });
    // A refusal is no outcome: the same command may succeed later.
    store.append(Append { expected: Version(0), ..refused }).await.unwrap();
    assert_eq!(store.remembered(&ids).await.unwrap().len(), 2);
    assert!(store.remembered(&[]).await.unwrap().is_empty());
}

pub(crate) async fn a_command_is_remembered_by_a_log_opened_again<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let command = append(deal(), 0);
    let first = store.append(command.clone()).await.unwrap();
    store.close().await;
    let again = place.open().await.append(command).await.unwrap();
    assert_eq!(again, Appended { replayed: true, ..first });
}

pub(crate) async fn time_does_not_run_backwards_within_a_stream<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    let events = |times: &[i64]| {
        times.iter().map(|seconds| dealog_store::NewEvent { occurred_at: at(*seconds), ..event("{}") }).collect()
    };
    store.append(Append { events: events(&[1, 1, 5]), ..append(stream, 0) }).await.unwrap();
    for backwards in [&[4][..], &[6, 5], &[5, 7, 6]] {
        let refused = store.append(Append { events: events(backwards), ..append(stream, 3) }).await.unwrap_err();
        assert!(matches!(refused, AppendError::Malformed(_)), "{refused}");
    }
    store.append(Append { events: events(&[5, 6]), ..append(stream, 3) }).await.unwrap();
    store.append(Append { events: events(&[0]), ..append(deal(), 0) }).await.unwrap();
    assert_eq!(gap_free(&*store).await, 6);
}

pub(crate) async fn data_that_is_not_a_json_object_is_malformed<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    for data in ["", "null", "[]", "{", "{}}", "{\"a\":\"\0\"}", " {}", "{} "] {
        let refused = store.append(Append { events: vec![event(data)], ..append(deal(), 0) }).await.unwrap_err();
        assert!(matches!(refused, AppendError::Malformed(_)), "{data}: {refused}");
    }
    assert!(all(&*store).await.is_empty());
}

pub(crate) async fn more_events_than_a_command_may_have_are_refused<B: Backend>() {
    let place = B::new().await;
    let store = place.open_with(Limits { append_events_max: 3, ..Limits::default() }).await;
    let refused = store.append(append_many(deal(), 0, 4)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Limit { max: 3, found: 4, .. }), "{refused}");
    store.append(append_many(deal(), 0, 3)).await.unwrap();
}

pub(crate) async fn more_bytes_than_an_event_may_have_are_refused<B: Backend>() {
    let place = B::new().await;
    let store = place.open_with(Limits { event_bytes_max: 10, ..Limits::default() }).await;
    let with = |data| Append { events: vec![event("{}"), event(data)], ..append(deal(), 0) };
    let refused = store.append(with("{\"a\":1234}-")).await.unwrap_err();
    assert!(matches!(refused, AppendError::Limit { max: 10, found: 11, .. }), "{refused}");
    store.append(with("{\"a\":1234}")).await.unwrap();
}

pub(crate) async fn a_stream_does_not_grow_beyond_its_limit<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open_with(Limits { stream_events_max: 5, ..Limits::default() }).await, deal());
    store.append(append_many(stream, 0, 4)).await.unwrap();
    let refused = store.append(append_many(stream, 4, 2)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Limit { max: 5, found: 6, .. }), "{refused}");
    store.append(append(stream, 4)).await.unwrap();
}

pub(crate) async fn a_full_queue_refuses_and_keeps_what_it_took<B: Backend>() {
    let place = B::new().await;
    let store = place.open_with(Limits { queue_length_max: 2, ..Limits::default() }).await;
    // The store's task cannot run between these calls.
    let told = join_all([(); 4].map(|()| store.append(append(deal(), 0)))).await;
    assert!(told[0].is_ok() && told[1].is_ok());
    assert!(told[2..].iter().all(|refused| matches!(refused, Err(AppendError::Overloaded))));
    store.append(append(deal(), 0)).await.unwrap();
    assert_eq!(gap_free(&*store).await, 3);
}
