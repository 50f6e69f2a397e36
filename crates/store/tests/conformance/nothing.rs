//! Commands that found nothing to do.

use dealog_events::{CommandId, Version};
use dealog_store::{Append, AppendError, Appended, Fingerprint, Limits};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::backend::{Backend, append, append_many, deal, gap_free};

fn nothing(stream: dealog_events::StreamId, expected: u64) -> Append {
    append_many(stream, expected, 0)
}

pub(crate) async fn a_command_that_changed_nothing_gets_its_first_outcome<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    store.append(append(stream, 0)).await.unwrap();
    store.append(append(deal(), 0)).await.unwrap();
    let command = nothing(stream, 1);
    let first = store.append(command.clone()).await.unwrap();
    assert_eq!((first.version.0, first.position.0, first.events, first.replayed), (1, 2, 0, false));

    // The stream has grown, and the command would do something by now.
    store.append(append(stream, 1)).await.unwrap();
    let later = Append { expected: Version(2), ..append(stream, 2) };
    let again = Append { command_id: command.command_id, ..later };
    assert_eq!(store.append(again.clone()).await.unwrap(), Appended { replayed: true, ..first });
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.append(again).await.unwrap(), Appended { replayed: true, ..first });
    let [found] = store.remembered(&[command.command_id]).await.unwrap().try_into().unwrap();
    assert_eq!((found.fingerprint, found.outcome), (command.fingerprint, Appended { replayed: true, ..first }));

    let other = Append { fingerprint: Fingerprint([2; 32]), ..command };
    let refused = store.append(other).await.unwrap_err();
    assert!(matches!(refused, AppendError::FingerprintMismatch(_)), "{refused}");
    assert_eq!(gap_free(&*store).await, 3);
    place.place().check(Limits::default(), |_, _| Ok(())).await.unwrap();
}

pub(crate) async fn that_there_is_nothing_to_do_is_checked_like_any_append<B: Backend>() {
    let place = B::new().await;
    let (store, stream, read) = (place.open().await, deal(), deal());
    store.append(append_many(stream, 0, 2)).await.unwrap();
    let stale = nothing(stream, 1);
    let refused = store.append(stale.clone()).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { found: Version(2), .. }), "{refused}");
    let of_another = Append { unchanged: vec![(read, Version(1))], ..nothing(stream, 2) };
    let refused = store.append(of_another.clone()).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { stream, .. } if stream == read), "{refused}");
    // Neither has an outcome, so both may still do something.
    let ids = [stale.command_id, of_another.command_id];
    assert!(store.remembered(&ids).await.unwrap().is_empty());
    store.append(Append { command_id: stale.command_id, ..append(stream, 2) }).await.unwrap();
    assert_eq!(gap_free(&*store).await, 3);
}

pub(crate) async fn commands_that_change_nothing_share_a_commit_with_others<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    let needless = nothing(stream, 1);
    // Queued before the store's task can run: one batch.
    let batch = [append(stream, 0), needless.clone(), append(stream, 1), needless.clone(), nothing(stream, 1)];
    let told = join_all(batch.map(|append| store.append(append))).await;
    let first = *told[1].as_ref().unwrap();
    assert_eq!((first.version.0, first.position.0, first.events), (1, 1, 0));
    assert!(matches!(told[2], Ok(Appended { version: Version(2), .. })));
    assert_eq!(*told[3].as_ref().unwrap(), Appended { replayed: true, ..first });
    assert!(matches!(told[4], Err(AppendError::Conflict { found: Version(2), .. })));
    assert_eq!(gap_free(&*store).await, 2);
    let head = store.head().await.unwrap();
    let late = Append { now: head.recorded_at.saturating_add_micros(1), ..nothing(stream, 2) };
    store.append(late).await.unwrap();
    assert_eq!(store.head().await.unwrap(), head, "nothing was appended");
}

pub(crate) async fn a_stream_at_its_limit_can_still_be_told_to_change_nothing<B: Backend>() {
    let place = B::new().await;
    let stream = deal();
    let store = place.open().await;
    store.append(append_many(stream, 0, 3)).await.unwrap();
    store.close().await;
    let store = place.open_with(Limits { stream_events_max: 2, ..Limits::default() }).await;
    assert_eq!(store.append(nothing(stream, 3)).await.unwrap().events, 0);
}

pub(crate) async fn commands_that_changed_nothing_are_kept_as_long_as_they_must_be<B: Backend>() {
    let place = B::new().await;
    let (store, stream) = (place.open().await, deal());
    place.sql(B::CHANGED_NOTHING_25_HOURS_AGO).await.unwrap();
    let old = [1, 2, 3].map(|number| CommandId(Uuid::from_u128(number)));
    let kept = async || store.remembered(&old).await.unwrap().len();

    let longer = place.open_with(Limits { unchanged_commands_hours_min: 26, ..Limits::default() }).await;
    longer.append(nothing(stream, 0)).await.unwrap();
    assert_eq!(kept().await, 3);
    // As many as are added, and a few more: a table that has grown for long is no load for one command.
    store.append(nothing(stream, 0)).await.unwrap();
    assert_eq!(kept().await, 1);
    let last = nothing(stream, 0);
    store.append(last.clone()).await.unwrap();
    assert_eq!(kept().await, 0);

    // Less than a day is not to be had.
    let shorter = place.open_with(Limits { unchanged_commands_hours_min: 1, ..Limits::default() }).await;
    for _ in 0..3 {
        shorter.append(nothing(stream, 0)).await.unwrap();
    }
    assert_eq!(store.remembered(&[last.command_id]).await.unwrap().len(), 1);
    for forget in ["DELETE FROM unchanged_commands", "UPDATE unchanged_commands SET version = 7"] {
        assert!(place.sql(forget).await.is_err(), "{forget}");
    }
    assert_eq!(store.remembered(&[last.command_id]).await.unwrap().len(), 1);
}
