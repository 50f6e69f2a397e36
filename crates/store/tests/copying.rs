//! A log brought from one database to another and back: nothing of it is lost or altered on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use dealog_events::{Actor, Cause, CommandId, DealId, Position, StreamId, Timestamp, Version};
use dealog_store::{Append, CopyError, Fingerprint, Limits, Log, NewEvent, Place, Token, compare, copy};
use dealog_test_postgres::Fresh;
use futures_util::future::join_all;
use uuid::Uuid;

/// A file, a database, and a file.
struct Places {
    folder: tempfile::TempDir,
    database: Fresh,
}

impl Places {
    async fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Fresh::new().await }
    }

    fn file(&self, name: &str) -> Place {
        Place::Sqlite(self.folder.path().join(name))
    }

    fn postgres(&self) -> Place {
        Place::Postgres(self.database.url().into())
    }
}

async fn open(place: &Place) -> Arc<dyn Log> {
    place.open(Limits::default()).await.unwrap()
}

async fn open_as(place: &Place, log: &Arc<dyn Log>) -> Arc<dyn Log> {
    place.open_as(log.head().await.unwrap().log_id, Limits::default()).await.unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

/// The `number`th command of a stream, with so many events.
fn append(stream: StreamId, expected: u64, events: usize) -> Append {
    let event = |n: usize| NewEvent {
        event_type: "deal.noted",
        schema: 1,
        occurred_at: at(i64::try_from(n).unwrap() - 5),
        data: format!("{{ \"text\" : \"é{n} 😀 \\u0000\", \"n\":1.50 }}"),
    };
    Append {
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([7; 32]),
        cause: Cause {
            actor: Actor::Service(Uuid::now_v7()),
            correlation_id: Uuid::now_v7(),
            causation_id: events.is_multiple_of(2).then(Uuid::now_v7),
        },
        now: at(1_000),
        stream,
        expected: Version(expected),
        unchanged: vec![],
        events: (0..events).map(event).collect(),
    }
}

fn deal() -> StreamId {
    StreamId::Deal(DealId(Uuid::now_v7()))
}

/// A log that does not fit into one piece, whose pieces end in the middle of commands.
async fn filled(place: &Place) -> (Arc<dyn Log>, Append) {
    let log = open(place).await;
    let first = append(deal(), 0, 3);
    log.append(first.clone()).await.unwrap();
    for told in join_all((0..120).map(|_| log.append(append(deal(), 0, 97)))).await {
        told.unwrap();
    }
    for (name, revoked) in [("kept", false), ("revoked", true)] {
        let id = Uuid::now_v7();
        let token = Token {
            id,
            secret_hash: [9; 32],
            actor: Actor::Local,
            name: name.into(),
            permissions: vec!["log".into()],
            created_at: at(5),
            expires_at: Some(at(50)),
            revoked_at: None,
            created_by: Some("local:olga".into()),
            revoked_by: None,
        };
        log.add_token(&token).await.unwrap();
        if revoked {
            log.revoke_token(id, at(7), Some("local:boris")).await.unwrap();
        }
    }
    (log, first)
}

#[tokio::test]
async fn a_log_copied_to_another_database_and_back_is_the_same_log() {
    let places = Places::new().await;
    let (log, first) = filled(&places.file("log.db")).await;
    let there = open_as(&places.postgres(), &log).await;
    let end = copy(&*log, &*there, |_| ()).await.unwrap();
    compare(&*log, &*there, end, |_| ()).await.unwrap();
    let back = open_as(&places.file("back.db"), &log).await;
    assert_eq!(copy(&*there, &*back, |_| ()).await.unwrap(), end);
    compare(&*log, &*back, end, |_| ()).await.unwrap();

    for copied in [&there, &back] {
        assert_eq!(copied.head().await.unwrap(), log.head().await.unwrap());
        assert_eq!(copied.tokens().await.unwrap(), log.tokens().await.unwrap());
        // Or none of the tokens would be taken for one.
        assert_eq!(copied.token_key().await.unwrap(), log.token_key().await.unwrap());
        let [expected, found] = [&log, copied].map(|log| log.read(Position::ZERO, 10_000, &[]));
        assert_eq!(found.await.unwrap(), expected.await.unwrap());
        // It goes on as the one that it was copied from would: retries are recognised, streams end where they ended.
        let told = copied.append(first.clone()).await.unwrap();
        assert_eq!((told.position, told.version, told.replayed), (Position(3), Version(3), true));
        let mut next = append(first.stream, 3, 1);
        next.events[0].occurred_at = at(9);
        let told = copied.append(next).await.unwrap();
        assert_eq!(told.position, end.next());
    }
    for place in [places.postgres(), places.file("back.db")] {
        place.check(Limits::default(), |_, _| Ok(())).await.unwrap();
    }
}

#[tokio::test]
async fn pages_that_are_shorter_than_a_command_are_copied_too() {
    let places = Places::new().await;
    let short = Limits { page_bytes_max: 1, ..Limits::default() };
    let log = places.file("log.db").open(short).await.unwrap();
    for events in [3, 1, 100] {
        log.append(append(deal(), 0, events)).await.unwrap();
    }
    let there = places.postgres().open_as(log.head().await.unwrap().log_id, short).await.unwrap();
    assert_eq!(copy(&*log, &*there, |_| ()).await.unwrap(), Position(104));
    compare(&*log, &*there, Position(104), |_| ()).await.unwrap();
}

#[tokio::test]
async fn what_was_interrupted_or_has_grown_is_gone_on_with() {
    let places = Places::new().await;
    let (log, _) = filled(&places.file("log.db")).await;
    let there = open_as(&places.postgres(), &log).await;
    // Dropped as soon as one piece is there, as by a kill.
    let (seen, mut stop) = tokio::sync::watch::channel(Position::ZERO);
    tokio::select! {
        biased;
        _ = stop.changed() => {}
        _ = copy(&*log, &*there, |position| { seen.send_replace(position); }) => {}
    }
    let reached = there.head().await.unwrap().position;
    assert!(reached > Position::ZERO && reached < log.head().await.unwrap().position, "{reached}");

    log.append(append(deal(), 0, 5)).await.unwrap();
    let end = copy(&*log, &*there, |position| assert!(position > reached)).await.unwrap();
    assert_eq!(end, log.head().await.unwrap().position);
    compare(&*log, &*there, end, |_| ()).await.unwrap();
}

#[tokio::test]
async fn a_target_with_something_else_in_it_is_refused_and_left_as_it_was() {
    let places = Places::new().await;
    let (log, _) = filled(&places.file("log.db")).await;
    let other = open(&places.postgres()).await;
    let refused = copy(&*log, &*other, |_| ()).await.unwrap_err();
    assert!(matches!(refused, CopyError::OtherLog { .. }), "{refused}");
    assert_eq!(other.head().await.unwrap().position, Position::ZERO);

    let twin = open_as(&places.file("twin.db"), &log).await;
    twin.append(append(deal(), 0, 1)).await.unwrap();
    let refused = copy(&*log, &*twin, |_| ()).await.unwrap_err();
    assert!(matches!(refused, CopyError::Differs(Position(1))), "{refused}");
    assert_eq!(twin.head().await.unwrap().position, Position(1));
}

#[tokio::test]
async fn a_difference_is_found_wherever_it_is() {
    let places = Places::new().await;
    let (log, _) = filled(&places.file("log.db")).await;
    let there = open_as(&places.postgres(), &log).await;
    let end = copy(&*log, &*there, |_| ()).await.unwrap();
    for (alter, position) in [
        ("UPDATE log.events SET data = replace(data, '1.50', '1.5') WHERE position = 7000", Some(7_000)),
        ("UPDATE log.events SET data = replace(data, '1.5 ', '1.50 ') WHERE position = 7000", None),
        ("UPDATE log.commands SET fingerprint = decode(repeat('00', 32), 'hex') WHERE position = 3", Some(1)),
    ] {
        let unprotected = format!(
            "ALTER TABLE log.events DISABLE TRIGGER ALL; ALTER TABLE log.commands DISABLE TRIGGER ALL; {alter}"
        );
        places.database.execute(&unprotected).await.unwrap();
        match (compare(&*log, &*there, end, |_| ()).await, position) {
            (Err(CopyError::Differs(at)), Some(position)) => assert_eq!(at.0, position, "{alter}"),
            (outcome, position) => assert!(outcome.is_ok() && position.is_none(), "{alter}: {outcome:?}"),
        }
    }
}
