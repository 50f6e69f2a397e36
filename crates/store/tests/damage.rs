//! A damaged log is refused with the place of the damage and left as it is, or opened and not appended to once the damage is
//! found; a sound one never is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dealog_events::{Actor, Cause, CommandId, DealId, Envelope, Position, StreamId, Timestamp, Version};
use dealog_store::{
    Append, AppendError, EventStore as _, Fingerprint, Limits, Log as _, NewEvent, Remembered, StoreError,
    TokenStore as _, Unable, sqlite::SqliteStore,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use uuid::Uuid;

const STREAMS: u64 = 60;
const PAGE_BYTES: usize = 4_096;

/// The first append to a stream, or one that follows `version`: two events, one of which goes beyond a page.
fn append(stream: StreamId, version: u64) -> Append {
    let occurred_at = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(version).unwrap()).unwrap();
    let event = |data: String| NewEvent { event_type: "deal.noted", schema: 1, occurred_at, data };
    Append {
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([1; 32]),
        cause: Cause { actor: Actor::Local, correlation_id: Uuid::now_v7(), causation_id: None },
        now: occurred_at,
        stream,
        expected: Version(version),
        unchanged: vec![],
        events: vec![event(r#"{"note":"short"}"#.into()), event(format!(r#"{{"note":"{}"}}"#, "long ".repeat(1_000)))],
    }
}

fn deal() -> StreamId {
    StreamId::Deal(DealId(Uuid::now_v7()))
}

/// How long a test waits for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    let limits = Limits { scrub_events_per_second: u32::MAX, ..Limits::default() };
    SqliteStore::open(path, limits).await
}

/// Whether a pass of the scrub comes to its end, as it does where nothing is damaged.
async fn is_scrubbed(store: &SqliteStore) -> bool {
    let mut scrubbed = store.scrub(Arc::new(|| Timestamp::MIN)).await;
    let ended = scrubbed.wait_for(|scrubbed| scrubbed.ended_at.is_some());
    tokio::time::timeout(PATIENCE, ended).await.expect("the scrub comes to nothing").is_ok()
}

/// Damage was found: nothing is appended, now or by the next to open the file, which stays as it is.
async fn is_given_up(store: SqliteStore, path: &Path) {
    let place = store.can_append().await.unwrap_err();
    assert!(matches!(place, Unable::Damaged(_)), "{place}");
    let refused = store.append(append(deal(), 0)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Damaged(_)), "{refused}");
    let refused = store.append_copied(&[], &[]).await;
    assert!(refused.is_ok(), "nothing is nothing");
    store.close().await;
    let mark = path.with_file_name(format!("{}-damaged", path.file_name().unwrap().to_str().unwrap()));
    assert!(mark.exists(), "nobody will know");
}

/// Sees that damage is found by opening the log or by the scrub.
async fn is_found(path: &Path) {
    let before = fs::read(path).unwrap();
    if let Ok(store) = open(path).await {
        assert!(!is_scrubbed(&store).await, "nobody finds it");
        is_given_up(store, path).await;
        let refused = open(path).await.err().unwrap_or_else(|| panic!("the log was opened again"));
        assert!(matches!(refused, StoreError::DamagedFile { .. }), "{refused}");
    }
    assert!(fs::read(path).unwrap() == before, "the file was changed");
}

/// All that a log is asked for.
#[derive(Debug, PartialEq)]
struct Contents {
    events: Vec<Envelope>,
    of_streams: Vec<Vec<Envelope>>,
    of_a_type: Vec<Envelope>,
    commands: Vec<Remembered>,
    key: [u8; 32],
    tokens: usize,
}

impl Contents {
    /// Asks for what was there.
    async fn read(store: &SqliteStore, asked: &[(StreamId, CommandId)]) -> Result<Self, StoreError> {
        let mut of_streams = Vec::new();
        for (stream, _) in asked {
            let mut events = store.read_stream(*stream, Version::ZERO, usize::MAX).await?;
            let last = events.last().map_or(Version::ZERO, |event| event.version);
            events.extend(store.read_stream(*stream, last, usize::MAX).await?);
            of_streams.push(events);
        }
        let ids: Vec<_> = asked.iter().map(|(_, command)| *command).collect();
        let mut commands = store.remembered(&ids).await?;
        commands.sort_by_key(|command| command.command_id);
        Ok(Self {
            events: store.read(Position::ZERO, usize::MAX, &[]).await?,
            of_streams,
            of_a_type: store.read(Position::ZERO, usize::MAX, &["deal.noted".into()]).await?,
            commands,
            key: store.token_key().await?,
            tokens: store.tokens().await?.len(),
        })
    }

    /// What is here and not there, if anything is.
    fn has_besides(&self, sound: &Self) -> Option<&'static str> {
        let mut streams = self.of_streams.iter().zip(&sound.of_streams);
        [
            ("events", self.events == sound.events),
            ("a key", self.key == sound.key),
            ("streams", streams.all(|(found, sound)| found.is_empty() || found == sound)),
            ("events of a type", self.of_a_type.iter().all(|event| sound.of_a_type.contains(event))),
            ("commands", self.commands.iter().all(|command| sound.commands.contains(command))),
        ]
        .into_iter()
        .find_map(|(what, holds)| (!holds).then_some(what))
    }
}

/// A log of 240 events in 60 streams, and of commands that changed nothing, closed in good order.
async fn log() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log.db");
    let store = open(&path).await.unwrap();
    for _ in 0..STREAMS {
        let stream = deal();
        store.append(append(stream, 0)).await.unwrap();
        store.append(append(stream, 2)).await.unwrap();
        store.append(Append { events: vec![], ..append(stream, 4) }).await.unwrap();
    }
    store.close().await;
    (folder, path)
}

/// What is done with damage that both ways of looking must find.
async fn refused(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let error = open(path).await.err().unwrap_or_else(|| panic!("the log was opened"));
    let told = error.to_string();
    assert!(matches!(error, StoreError::DamagedFile { .. } | StoreError::Schema(_)), "{error:?}");
    assert!(told.contains(path.to_str().unwrap()), "the file is not named: {told}");
    assert!(fs::read(path).unwrap() == before, "the file was changed: {told}");
    assert!(thorough(path).await.is_err(), "only opening finds it: {told}");
    told
}

async fn thorough(path: &Path) -> Result<u64, StoreError> {
    SqliteStore::check(path, |_, _| Ok(())).await.map(|head| head.position.0)
}

/// Runs statements with all triggers out of the way, which are then put back.
async fn behind_the_triggers(path: &Path, sql: &str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let triggers = sqlx::query(triggers).fetch_all(&mut connection).await.unwrap();
    for trigger in &triggers {
        let drop = format!("DROP TRIGGER {}", trigger.get::<&str, _>(0));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    for trigger in &triggers {
        let create = trigger.get::<String, _>(1);
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_sound_log_is_opened_and_has_no_damage() {
    let (folder, path) = log().await;
    assert_eq!(thorough(&path).await.unwrap(), 4 * STREAMS);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the check leaves files behind");
    open(&path).await.unwrap().close().await;
    let empty = folder.path().join("empty.db");
    open(&empty).await.unwrap().close().await;
    assert_eq!(thorough(&empty).await.unwrap(), 0);
    open(&empty).await.unwrap();
}

#[tokio::test]
async fn a_page_of_garbage_is_found_wherever_it_is() {
    let (folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.db");
    let store = open(&path).await.unwrap();
    let events = store.read(Position::ZERO, usize::MAX, &[]).await.unwrap();
    let asked: Vec<_> = events.iter().map(|event| (event.stream, event.command_id)).collect();
    let contents = Contents::read(&store, &asked).await.unwrap();
    store.close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let free: u32 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    // Numbers that look like noise, the same each time.
    let mut noise = 1_u64;
    let mut garbage = || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(noise >> 56).unwrap()
    };
    assert!(sound.len() / PAGE_BYTES > 100, "the log has few pages");
    let (mut refused, mut scrubbed, mut harmless) = (0, 0, 0);
    for page in 0..sound.len() / PAGE_BYTES {
        let place = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
        for fill in ["garbage", "zeros", "its neighbour"] {
            let mut bytes = sound.clone();
            let neighbour = if page == 0 { 1 } else { page - 1 } * PAGE_BYTES;
            match fill {
                "garbage" => bytes[place.clone()].fill_with(&mut garbage),
                "zeros" => bytes[place.clone()].fill(0),
                _ => bytes.copy_within(neighbour..neighbour + PAGE_BYTES, place.start),
            }
            if bytes == sound {
                continue;
            }
            fs::write(&damaged, &bytes).unwrap();
            match open(&damaged).await {
                Err(error) => {
                    assert!(matches!(error, StoreError::DamagedFile { .. } | StoreError::Schema(_)), "{error:?}");
                    refused += 1;
                }
                Ok(store) => {
                    let what = format!("page {} with {fill} in it", page + 1);
                    match Contents::read(&store, &asked).await {
                        Err(StoreError::Schema(_)) => {}
                        Err(error) => assert!(error.is_damage(), "{what}: {error}"),
                        // A page that another stands in for is sound by itself: what is not on it is not found.
                        Ok(found) if fill == "its neighbour" => {
                            assert_eq!(found.has_besides(&contents), None, "{what}");
                        }
                        Ok(found) => assert!(found == contents, "{what}: it is answered from"),
                    }
                    if is_scrubbed(&store).await {
                        harmless += 1;
                        store.close().await;
                    } else {
                        scrubbed += 1;
                        is_given_up(store, &damaged).await;
                        fs::remove_file(folder.path().join("damaged.db-damaged")).unwrap();
                    }
                }
            }
            assert!(fs::read(&damaged).unwrap() == bytes, "the file was changed");
        }
    }
    assert!(refused > 30 && scrubbed > 100, "{refused} were refused, {scrubbed} found");
    assert!(harmless <= 3 * free, "{harmless} were not found, and {free} pages are free");
}

#[tokio::test]
async fn a_header_of_garbage_is_found() {
    let (_folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    // The magic text, the page size, the payload fractions, the version, the mark of the program.
    for field in [0..16, 16..18, 21..24, 60..64, 68..72, 0..100] {
        for fill in [0x00, 0x55, 0xff] {
            let mut bytes = sound.clone();
            bytes[field.clone()].fill(fill);
            fs::write(&path, &bytes).unwrap();
            refused(&path).await;
        }
    }
}

#[tokio::test]
async fn a_log_cut_short_is_found() {
    let (_folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    let pages = sound.len() / PAGE_BYTES;
    for bytes in [1, 99, 100, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, pages / 2 * PAGE_BYTES, sound.len() - 1] {
        fs::write(&path, &sound[..bytes]).unwrap();
        refused(&path).await;
    }
    for pages in 1..pages {
        fs::write(&path, &sound[..pages * PAGE_BYTES]).unwrap();
        assert!(open(&path).await.is_err(), "a log of its first {pages} pages was opened");
    }
}

#[tokio::test]
async fn what_was_changed_with_sql_is_found_at_its_place() {
    let (_folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    for (sql, place) in [
        ("DELETE FROM events WHERE position = 1", "position 1:"),
        ("DELETE FROM events WHERE position = 117", "position 117:"),
        ("DELETE FROM events WHERE position = 240", "position 240:"),
        ("DELETE FROM events WHERE position BETWEEN 100 AND 109", "position 100:"),
        ("DELETE FROM events", "position 1:"),
        ("UPDATE events SET position = 250 WHERE position = 240", "position 240:"),
        (
            "INSERT INTO events SELECT 241, event_id, stream, 99, previous, type, schema, occurred_at, recorded_at, actor,
            command_id, correlation_id, causation_id, data FROM events WHERE position = 240",
            "position 241:",
        ),
        ("UPDATE head SET position = 239", "position 240:"),
        ("UPDATE head SET position = 1000", "position 241:"),
        ("UPDATE head SET recorded_at = recorded_at + 1", "position 240:"),
        ("DELETE FROM head", "the head:"),
        ("UPDATE events SET data = '{\"note\":' WHERE position = 17", "position 17:"),
        ("UPDATE events SET data = '[]' WHERE position = 17", "position 17:"),
        ("UPDATE events SET data = '' WHERE position = 17", "position 17:"),
        ("UPDATE events SET data = data || ' ' WHERE position = 17", "position 17:"),
        ("UPDATE events SET type = 'noted' WHERE position = 17", "position 17:"),
        ("UPDATE events SET actor = 'somebody' WHERE position = 17", "position 17:"),
        ("UPDATE events SET stream = 'deal-1' WHERE position = 17", "position 18:"),
        ("UPDATE events SET version = 9 WHERE position = 17", "position 17:"),
        ("UPDATE events SET previous = NULL WHERE position = 18", "position 18:"),
        ("UPDATE events SET previous = previous - 1 WHERE position = 20", "position 20:"),
        ("UPDATE events SET version = 1, previous = NULL WHERE position = 239", "position 240:"),
        ("UPDATE events SET occurred_at = 0 WHERE version = 4 AND position = 20", "stream deal-"),
        ("UPDATE streams SET version = 5 WHERE stream = (SELECT min(stream) FROM streams)", "stream deal-"),
        ("UPDATE streams SET position = 1 WHERE stream = (SELECT min(stream) FROM streams)", "stream deal-"),
        ("DELETE FROM streams WHERE stream = (SELECT max(stream) FROM streams)", "the streams:"),
        ("INSERT INTO streams VALUES ('deal-0192f3a4-5b6c-7d8e-9f00-112233445566', 1, 1, 240)", "stream deal-0192f3a4"),
        ("DELETE FROM commands WHERE position = 20", "the commands:"),
        ("UPDATE commands SET position = 1000 WHERE position = 20", "the commands:"),
        ("UPDATE commands SET events = 3 WHERE position = 20", "the commands:"),
        ("UPDATE unchanged_commands SET position = 241 WHERE position = 240", "the command "),
        ("UPDATE unchanged_commands SET version = 5 WHERE position = 240", "the command "),
        (
            "UPDATE unchanged_commands SET command_id = (SELECT min(command_id) FROM commands) WHERE position = 240",
            "the command ",
        ),
    ] {
        fs::write(&path, &sound).unwrap();
        behind_the_triggers(&path, sql).await;
        let told = thorough(&path).await.unwrap_err().to_string();
        assert!(told.contains(&format!("is damaged: {place}")), "{sql}: {told}");
        assert!(told.contains("Put a copy of it in its place"), "{sql}: {told}");
        is_found(&path).await;
    }
}

#[tokio::test]
async fn a_schema_with_something_missing_or_altered_is_found() {
    let (_folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    for (sql, object) in [
        ("DROP TRIGGER events_are_not_altered", "events_are_not_altered"),
        (
            "DROP TRIGGER head_only_grows; CREATE TRIGGER head_only_grows BEFORE UPDATE ON head BEGIN SELECT 1; END",
            "head_only_grows",
        ),
        ("ALTER TABLE commands ADD COLUMN more TEXT", "commands"),
        ("ALTER TABLE streams RENAME TO gone", "streams"),
    ] {
        fs::write(&path, &sound).unwrap();
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let told = refused(&path).await;
        assert!(told.contains(&format!("`{object}` is missing or was altered")), "{sql}: {told}");
    }
}

#[tokio::test]
async fn an_event_that_no_append_has_written_is_found() {
    let (_folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    for (sql, reason) in [
        ("UPDATE events SET actor = 'user:0192f3a4-5b6c-7d8e-9f00-11223344556g' WHERE position = 17", "UUID"),
        ("UPDATE events SET recorded_at = 0 WHERE position = 17", "recorded before"),
        ("UPDATE events SET event_id = randomblob(16) WHERE position = 17", "its id"),
        ("UPDATE commands SET version = 1 WHERE position = 18", "of the command"),
        ("UPDATE events SET occurred_at = 1 WHERE position = 18", "it happened before"),
    ] {
        fs::write(&path, &sound).unwrap();
        behind_the_triggers(&path, sql).await;
        let told = thorough(&path).await.unwrap_err().to_string();
        assert!(told.contains("is damaged: position 1") && told.contains(reason), "{sql}: {told}");
        is_found(&path).await;
    }
}

#[tokio::test]
async fn a_log_that_was_put_back_is_opened_and_appended_to() {
    let (folder, path) = log().await;
    let sound = fs::read(&path).unwrap();
    behind_the_triggers(&path, "DELETE FROM events WHERE position = 7").await;
    is_found(&path).await;
    assert!(folder.path().join("log.db-damaged").exists());
    fs::write(&path, &sound).unwrap();
    let store = open(&path).await.unwrap();
    assert!(!folder.path().join("log.db-damaged").exists());
    assert!(is_scrubbed(&store).await);
    store.append(append(deal(), 0)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_read_that_finds_damage_ends_appending() {
    let (_folder, path) = log().await;
    behind_the_triggers(&path, "UPDATE events SET data = '[]' WHERE position = 17").await;
    let store = open(&path).await.unwrap();
    store.append(append(deal(), 0)).await.unwrap();
    let found = store.read(Position(10), 10, &[]).await.unwrap_err();
    assert!(matches!(found, StoreError::Damaged { position: Position(17), .. }), "{found}");
    assert_eq!(store.read(Position(20), 10, &[]).await.unwrap().len(), 10, "what is sound can be read");
    assert_eq!(store.can_append().await, Err(Unable::Damaged("position 17".into())));
    is_given_up(store, &path).await;
}

#[tokio::test]
async fn the_end_of_the_log_and_of_a_stream_is_missed_when_it_is_read() {
    let (_folder, path) = log().await;
    let store = open(&path).await.unwrap();
    let last = store.read(Position(239), 1, &[]).await.unwrap().remove(0);
    behind_the_triggers(&path, "DELETE FROM events WHERE position = 240").await;
    let found = store.read_stream(last.stream, Version(3), 10).await.unwrap_err();
    assert!(matches!(found, StoreError::DamagedFile { .. }), "{found}");
    let found = store.read(Position(239), 10, &[]).await.unwrap_err();
    assert!(matches!(found, StoreError::Damaged { position: Position(240), .. }), "{found}");
    is_given_up(store, &path).await;
}

#[tokio::test]
async fn a_pass_over_a_log_that_grows_faster_ends_and_finds_it_sound() {
    let (_folder, path) = log().await;
    let long = deal();
    let limits = Limits { scrub_events_per_second: 1_000, ..Limits::default() };
    let store = SqliteStore::open(&path, limits).await.unwrap();
    for version in 0..300 {
        store.append(append(long, 2 * version)).await.unwrap();
    }
    let mut scrubbed = store.scrub(Arc::new(|| Timestamp::MIN)).await;
    let mut version = 600;
    let pass = async {
        while scrubbed.borrow().ended_at.is_none() {
            store.append(append(long, version)).await.unwrap();
            version += 2;
            let others = (0..100).map(|_| store.append(append(deal(), 0)));
            futures_util::future::try_join_all(others).await.unwrap();
            assert_eq!(store.can_append().await, Ok(()));
        }
    };
    tokio::time::timeout(Duration::from_mins(2), pass).await.expect("the pass runs after what is appended");
    assert!(version > 620, "it did not grow");
    let end = scrubbed.borrow_and_update().end;
    assert!(end >= Position(4 * STREAMS + 600) && scrubbed.borrow().position == end);
    store.close().await;
}

#[tokio::test]
async fn a_log_that_is_in_use_is_sound() {
    let (folder, path) = log().await;
    let store = open(&path).await.unwrap();
    let stream = deal();
    for version in 0..50 {
        store.append(append(stream, 2 * version)).await.unwrap();
        if version % 10 == 0 {
            assert!(folder.path().join("log.db-wal").metadata().unwrap().len() > 0, "the log is not in use");
            open(&path).await.unwrap().close().await;
            assert_eq!(thorough(&path).await.unwrap(), 4 * STREAMS + 2 * version + 2);
        }
    }
    // As it is found after a crash: copied while it is open, with what is not yet in the file itself beside it.
    let copy = folder.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::copy(folder.path().join("log.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    assert_eq!(open(&copy).await.unwrap().head().await.unwrap(), store.head().await.unwrap());
}
