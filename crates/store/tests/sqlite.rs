//! What only the SQLite back end promises: about its file, and about surviving what happens to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dealog_events::{Actor, Cause, CommandId, DealId, Position, StreamId, Timestamp, Version};
use dealog_store::{
    Append, AppendError, EventStore as _, Fingerprint, Limits, NewEvent, StoreError, TokenStore as _,
    sqlite::{JournalLimits, SqliteStore},
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;
use uuid::Uuid;

fn append() -> Append {
    let time = Timestamp::from_micros(-1).unwrap();
    Append {
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([1; 32]),
        cause: Cause { actor: Actor::Local, correlation_id: Uuid::now_v7(), causation_id: None },
        now: time,
        stream: StreamId::Deal(DealId(Uuid::now_v7())),
        expected: Version::ZERO,
        unchanged: vec![],
        events: vec![NewEvent { event_type: "deal.noted", schema: 1, occurred_at: time, data: "{}".into() }],
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    (folder, path)
}

async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Limits::default()).await
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn sql(path: &Path, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = raw(path).await;
    sqlx::raw_sql(sql).execute(&mut connection).await?;
    connection.close().await
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_and_keeps_its_log() {
    let (folder, path) = place();
    let store = open(&path).await.unwrap();
    let first = append();
    let stream = first.stream;
    store.append(first).await.unwrap();
    store.append(append()).await.unwrap();
    store.append(Append { stream, expected: Version(1), ..append() }).await.unwrap();
    let (head, events) = (store.head().await.unwrap(), store.read(Position::ZERO, 10, &[]).await.unwrap());
    let of_stream = store.read_stream(stream, Version::ZERO, 10).await.unwrap();
    assert_eq!(of_stream.len(), 2);
    store.close().await;

    let earlier = folder.path().join("earlier.db");
    let mut connection = raw(&earlier).await;
    sqlx::raw_sql(include_str!("../src/sqlite/schema.sql")).execute(&mut connection).await.unwrap();
    sqlx::query("ATTACH ?1 AS present").bind(path.to_str()).execute(&mut connection).await.unwrap();
    sqlx::raw_sql(include_str!("earlier.sql")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    let store = open(&earlier).await.unwrap();
    assert!(store.tokens().await.unwrap().is_empty());
    assert_eq!((store.head().await.unwrap(), store.read(Position::ZERO, 10, &[]).await.unwrap()), (head, events));
    assert_eq!(store.read_stream(stream, Version::ZERO, 10).await.unwrap(), of_stream);
    store.append(Append { stream, expected: Version(2), ..append() }).await.unwrap();
    assert_eq!(store.read_stream(stream, Version(2), 10).await.unwrap().len(), 1);
    store.close().await;
    SqliteStore::check(&earlier, |_, _| Ok(())).await.unwrap();
}

#[tokio::test]
async fn history_is_not_replaced_either() {
    let (_folder, path) = place();
    let store = open(&path).await.unwrap();
    store.append(append()).await.unwrap();
    let before = store.read(Position::ZERO, 10, &[]).await.unwrap();
    for attempt in [
        "INSERT OR REPLACE INTO events SELECT * FROM events",
        "INSERT OR REPLACE INTO events SELECT 2, event_id, stream, version, previous, type, schema, occurred_at, recorded_at,
            actor, command_id, correlation_id, causation_id, '{\"a\":1}' FROM events",
        "INSERT INTO events SELECT 2, event_id, stream, 3, 1, type, schema, occurred_at, recorded_at, actor, command_id,
            correlation_id, causation_id, data FROM events",
        "INSERT INTO events SELECT 2, event_id, stream, 2, NULL, type, schema, occurred_at, recorded_at, actor, command_id,
            correlation_id, causation_id, data FROM events",
        "INSERT OR REPLACE INTO commands SELECT * FROM commands",
        "INSERT OR REPLACE INTO head SELECT * FROM head",
    ] {
        assert!(sql(&path, attempt).await.is_err(), "{attempt}");
    }
    assert_eq!(store.read(Position::ZERO, 10, &[]).await.unwrap(), before);
}

#[tokio::test]
async fn people_with_a_shell_read_ids_and_times_as_text() {
    let (_folder, path) = place();
    let store = open(&path).await.unwrap();
    store.append(append()).await.unwrap();
    let mut led_to = append();
    led_to.cause.causation_id = Some(Uuid::now_v7());
    store.append(led_to).await.unwrap();
    let rows =
        sqlx::query("SELECT * FROM events_readable ORDER BY position").fetch_all(&mut raw(&path).await).await.unwrap();
    let events = store.read(Position::ZERO, 10, &[]).await.unwrap();
    assert_eq!((rows.len(), events.len()), (2, 2));
    for (row, event) in rows.iter().zip(events) {
        let text = |column: &str| row.get::<Option<String>, _>(column);
        assert_eq!(text("event_id"), Some(event.event_id.to_string()));
        assert_eq!(text("stream"), Some(event.stream.to_string()));
        assert_eq!(text("occurred_at"), Some(event.occurred_at.to_string()));
        assert_eq!(text("recorded_at"), Some(event.recorded_at.to_string()));
        assert_eq!(text("command_id"), Some(event.command_id.to_string()));
        assert_eq!(text("correlation_id"), Some(event.cause.correlation_id.to_string()));
        assert_eq!(text("causation_id"), event.cause.causation_id.map(|id| id.to_string()));
    }
}

#[tokio::test]
async fn the_write_ahead_log_stays_near_its_limit_under_overlapping_readers() {
    const BYTES_MAX: u64 = 1024 * 1024;
    const APPENDS: u64 = 300;
    let (_folder, path) = place();
    let journal = JournalLimits { wal_bytes_max: BYTES_MAX, ..JournalLimits::default() };
    let store = Arc::new(SqliteStore::open(&path, Limits { journal, ..Limits::default() }).await.unwrap());
    let mut reading = JoinSet::new();
    for _ in 0..6 {
        let store = Arc::clone(&store);
        reading.spawn(async move {
            loop {
                store.read(Position::ZERO, 100, &[]).await.unwrap();
            }
        });
    }
    let wal = path.with_file_name(format!("{}-wal", path.file_name().unwrap().to_str().unwrap()));
    let (mut largest, data) = (0, format!("{{\"note\":\"{}\"}}", "x".repeat(2_000)));
    for _ in 0..APPENDS {
        let mut large = append();
        large.events = vec![NewEvent { data: data.clone(), ..large.events[0].clone() }; 50];
        store.append(large).await.unwrap();
        largest = std::fs::metadata(&wal).unwrap().len().max(largest);
    }
    reading.shutdown().await;
    let appended = APPENDS * 50 * 2_000;
    assert!(appended > 25 * BYTES_MAX && largest > BYTES_MAX && largest < 8 * BYTES_MAX, "{largest} of {appended}");
    store.close().await;
    assert!(!wal.exists());
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let (_folder, path) = place();
    open(&path).await.unwrap().close().await;
    sql(&path, "PRAGMA user_version = 1000").await.unwrap();
    let refused = open(&path).await.unwrap_err();
    assert!(matches!(refused, StoreError::Schema(_)), "{refused}");
    assert!(refused.to_string().contains("use a newer dealog"), "{refused}");
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_as_it_was() {
    for marks in [
        "PRAGMA application_id = 7; CREATE TABLE t (a)",
        "PRAGMA user_version = 1; CREATE TABLE t (a)",
        "CREATE TABLE t (a)",
    ] {
        let (_folder, path) = place();
        sql(&path, marks).await.unwrap();
        let refused = open(&path).await.unwrap_err();
        assert!(matches!(refused, StoreError::Schema(_)), "{refused}");
        sql(&path, "DROP TABLE t").await.unwrap();
    }
    let (_folder, path) = place();
    std::fs::write(&path, "a letter of some length, longer than any header that could be mistaken").unwrap();
    let refused = open(&path).await.unwrap_err();
    assert!(matches!(refused, StoreError::DamagedFile { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_create_the_log_at_the_same_time() {
    let (_folder, path) = place();
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let path = path.clone();
        opening.spawn(async move { open(&path).await.unwrap() });
    }
    let stores = opening.join_all().await;
    let log_id = stores[0].head().await.unwrap().log_id;
    for store in &stores {
        assert_eq!(store.head().await.unwrap().log_id, log_id);
    }
}

#[tokio::test]
async fn a_failing_database_fails_the_appends_and_not_the_log() {
    let (_folder, path) = place();
    let store = open(&path).await.unwrap();
    store.append(append()).await.unwrap();
    for (breaking, mending) in [
        ("ALTER TABLE commands RENAME TO gone", "ALTER TABLE gone RENAME TO commands"),
        ("ALTER TABLE events RENAME TO gone", "ALTER TABLE gone RENAME TO events"),
    ] {
        let command = append();
        sql(&path, breaking).await.unwrap();
        let refused = store.append(command.clone()).await.unwrap_err();
        assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
        sql(&path, mending).await.unwrap();
        assert!(!store.append(command).await.unwrap().replayed);
    }
    assert_eq!(store.head().await.unwrap().position, Position(3));
}

#[tokio::test]
async fn a_closed_log_leaves_one_file() {
    let (folder, path) = place();
    let store = open(&path).await.unwrap();
    store.append(append()).await.unwrap();
    store.read(Position::ZERO, 1, &[]).await.unwrap();
    store.close().await;
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["log.db"]);
}
