//! What was written is what is read, and nobody rewrites it.

use dealog_events::{Actor, Cause, Position, UserId, Version};
use dealog_store::{Append, NewEvent, StoreError};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::backend::{Backend, all, append, append_many, at, deal, event};

pub(crate) async fn every_field_comes_back_as_it_was_given<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let id = Uuid::now_v7;
    for actor in [Actor::User(UserId(id())), Actor::Service(id()), Actor::Rule(id()), Actor::Import(id()), Actor::Local]
    {
        for causation_id in [None, Some(id())] {
            let events = vec![
                event("{\"n\":1}"),
                NewEvent { event_type: "deal.stage_moved", schema: u16::MAX, occurred_at: at(1), data: "{}".into() },
            ];
            let cause = Cause { actor, correlation_id: id(), causation_id };
            let given = Append { cause, now: at(9), events, ..append(deal(), 0) };
            let told = store.append(given.clone()).await.unwrap();
            let found = store.read_stream(given.stream, Version::ZERO, 10).await.unwrap();
            assert_eq!(found.len(), 2);
            for (index, (found, event)) in found.iter().zip(&given.events).enumerate() {
                assert_eq!(found.position.0, told.position.0 - 1 + index as u64);
                assert_eq!(found.version.0, 1 + index as u64);
                assert_eq!(found.stream, given.stream);
                assert_eq!((found.event_type.as_str(), found.schema), (event.event_type, event.schema));
                assert_eq!((found.occurred_at, found.recorded_at), (event.occurred_at, at(9)));
                assert_eq!((found.command_id, found.cause), (given.command_id, cause));
                assert_eq!(*found.data, *event.data);
            }
        }
    }
}

pub(crate) async fn event_ids_follow_from_the_command<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let given = append_many(deal(), 0, 3);
    store.append(given.clone()).await.unwrap();
    let ids: Vec<_> = all(&*store).await.iter().map(|event| event.event_id).collect();
    assert_eq!(ids, [0, 1, 2].map(|index| given.command_id.event_id(index)));
}

pub(crate) async fn data_is_kept_to_the_byte<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let texts = [
        r"{}",
        r#"{ "b" : 1.50 , "a": 1e2, "a": -0.0 }"#,
        "{\r\n\t\"spaces\":  true\n}",
        r#"{"escapes":"\u0000 \u00e9 \ud83d\ude00 \ud800 \" \\ \/ \b\f\n\r\t"}"#,
        "{\"unicode\":\"Ünïcödé, 東京, עברית, \u{200d}\u{feff}\u{2028}\u{e000}\u{10ffff}\u{7f}\"}",
        r#"{"emoji":"👩‍👩‍👧‍👦🏳️‍🌈😀"}"#,
        r#"{"sql":"'); DROP TABLE events; --","json":"],[[\"x\",null]"}"#,
        r#"{"number":123456789012345678901234567890.000000000000000000001}"#,
    ];
    let appends = texts.map(|data| Append { events: vec![event(data), event(data)], ..append(deal(), 0) });
    for told in join_all(appends.map(|a| store.append(a))).await {
        told.unwrap();
    }
    let found: Vec<_> = all(&*store).await.into_iter().map(|event| event.data.to_string()).collect();
    assert_eq!(found, texts.into_iter().flat_map(|text| [text, text]).collect::<Vec<_>>());
}

pub(crate) async fn the_largest_event_is_kept_to_the_byte<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let data = format!("{{\"a\":\"{}\"}}", r#"é\n😀\""#.repeat(6_552));
    let data = format!("{}{}}}", data.trim_end_matches('}'), " ".repeat(64 * 1024 - data.len()));
    assert_eq!(data.len(), 64 * 1024);
    let given = Append { events: vec![event("{}"), event(&data), event("{\"z\":1}")], ..append(deal(), 0) };
    store.append(given).await.unwrap();
    let found: Vec<_> = all(&*store).await.into_iter().map(|event| event.data.to_string()).collect();
    assert!(found == ["{}", &data, "{\"z\":1}"]);
}

pub(crate) async fn many_of_the_largest_commands_fit_in_one_queue<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let data = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024 - 8));
    let large = || Append { events: vec![event(&data); 100], ..append(deal(), 0) };
    for told in join_all([(); 4].map(|()| store.append(large()))).await {
        told.unwrap();
    }
    assert_eq!(store.head().await.unwrap().position, Position(400));
    assert_eq!(store.read(Position(399), 1, &[]).await.unwrap()[0].data.to_string(), data);
}

async fn refused<B: Backend>(attempts: &[&'static str]) {
    let place = B::new().await;
    let store = place.open().await;
    store.append(append_many(deal(), 0, 3)).await.unwrap();
    let (before, head) = (all(&*store).await, store.head().await.unwrap());
    for sql in attempts {
        assert!(place.sql(sql).await.is_err(), "{sql}");
    }
    assert_eq!((all(&*store).await, store.head().await.unwrap()), (before, head));
    store.append(append(deal(), 0)).await.unwrap();
}

pub(crate) async fn the_database_refuses_to_alter_an_event<B: Backend>() {
    refused::<B>(&[
        "UPDATE events SET data = '{}' WHERE position = 2",
        "UPDATE events SET occurred_at = occurred_at + 1",
        "INSERT INTO events SELECT * FROM events WHERE position = 2",
    ])
    .await;
}

pub(crate) async fn the_database_refuses_to_delete_an_event<B: Backend>() {
    refused::<B>(&["DELETE FROM events WHERE position = 3", "DELETE FROM events", "DELETE FROM streams"]).await;
}

pub(crate) async fn the_database_refuses_to_forget_a_command<B: Backend>() {
    refused::<B>(&["DELETE FROM commands", "UPDATE commands SET position = 1"]).await;
}

pub(crate) async fn the_database_refuses_to_move_the_head_back<B: Backend>() {
    refused::<B>(&[
        "UPDATE head SET position = 2",
        "UPDATE head SET recorded_at = recorded_at - 1, position = position + 1",
        "UPDATE head SET log_id = (SELECT event_id FROM events WHERE position = 1), position = position + 1",
        "DELETE FROM head",
        "UPDATE streams SET version = version - 1",
    ])
    .await;
}

async fn damaged<B: Backend>(sql: &'static str) -> StoreError {
    let place = B::new().await;
    let store = place.open().await;
    store.append(append_many(deal(), 0, 3)).await.unwrap();
    place.sql(B::UNPROTECT).await.unwrap();
    place.sql(sql).await.unwrap();
    store.read(Position::ZERO, 10, &[]).await.unwrap_err()
}

pub(crate) async fn a_gap_is_reported_as_damage<B: Backend>() {
    let found = damaged::<B>("DELETE FROM events WHERE position = 2").await;
    assert!(matches!(found, StoreError::Damaged { position: Position(3), .. }), "{found}");
}

pub(crate) async fn a_row_that_cannot_be_read_is_reported_as_damage<B: Backend>() {
    for sql in [
        "UPDATE events SET stream = 'nobody' WHERE position = 2",
        "UPDATE events SET actor = 'nobody' WHERE position = 2",
        "UPDATE events SET occurred_at = 9223372036854775807 WHERE position = 2",
    ] {
        let found = damaged::<B>(sql).await;
        assert!(matches!(found, StoreError::Damaged { position: Position(2), .. }), "{sql}: {found}");
    }
}
