//! Whether a file can be believed, asked before anything is read from it or written to it.
//!
//! [`fit`] is asked each time a log is opened, and takes no longer for a long log than for a short one: the header, the schema
//! word for word, the head, and the last events with their rows in other tables and indexes. Reads check the events before those
//! when they read them, and so does the scrub of a server (`scrub.rs`). Two kinds of files are checked whole first: those of an earlier
//! version, which are about to be rewritten, and those in which damage was found before, which would otherwise be appended to until it
//! is found again.
//!
//! [`thorough`] is there for `dealog check`: it looks at all of SQLite's structure, compares the indexes with their tables and
//! decodes every event.
//!
//! Both go by a connection that cannot write, so that a file which is refused stays as it was found. What neither can
//! find is a change that leaves a row well formed, such as another letter in a text within an event's data.

use std::{
    io,
    path::{Path, PathBuf},
};

use dealog_events::{Envelope, Position};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{read, schema, scrub};
use crate::{
    Head, StoreError,
    history::{self, Last, PAGE},
    trouble::is_corrupt,
    trust::mark,
};

/// How much of a log is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The schema, the head and the last events; all of a log of an earlier version, in one pass over each table.
    End,
    /// All of it, with the indexes against their tables.
    Thorough,
    /// The same, and each event by itself.
    Every,
}

/// How many events are the end of a log.
const END_EVENTS: u64 = 100;

/// What must hold of the head and of the settings that SQLite keeps in the file's header.
const END: &[&str] = &[
    ONE_HEAD,
    "SELECT 'the header', 'it is not what the file of a log has' FROM pragma_encoding, pragma_auto_vacuum
     WHERE encoding <> 'UTF-8' OR auto_vacuum <> 0",
    "SELECT 'position ' || (min(position, last) + 1), 'the head says ' || position || ', and the last event is at ' || last
     FROM head, (SELECT coalesce(max(position), 0) AS last FROM events) WHERE last <> position",
    LAST_RECORDED,
];

const ONE_HEAD: &str =
    "SELECT 'the head', 'it must be one row, and there are ' || count(*) FROM head HAVING count(*) <> 1";

const LAST_RECORDED: &str = "SELECT 'position ' || position, 'it was recorded at another instant than the head says'
     FROM head JOIN events USING (position) WHERE events.recorded_at <> head.recorded_at";

/// What must hold of every log. Each names the first place where it does not, and says why; nothing where it does.
const INVARIANTS: &[&str] = &[
    ONE_HEAD,
    // Dense: as many as the last one's number, and that is the head's. Where one is missing is asked only if it is so.
    "SELECT 'position ' || (SELECT min(position) + 1 FROM (SELECT 0 AS position UNION ALL SELECT position FROM events) AS e
            WHERE position >= head.position OR NOT EXISTS (SELECT 1 FROM events WHERE events.position = e.position + 1)),
        'the head says ' || head.position || ', and there are ' || events || ' events up to position ' || last
     FROM head, (SELECT count(*) AS events, coalesce(max(position), 0) AS last FROM events)
     WHERE events <> head.position OR last <> head.position",
    LAST_RECORDED,
    "SELECT 'position ' || position, 'its type, actor or data is not what is ever written'
     FROM events
     WHERE NOT json_valid(data) OR unicode(data) <> unicode('{') OR substr(data, -1) <> '}' OR type NOT GLOB '[a-z]*.[a-z]*'
        OR (actor <> 'local' AND actor NOT GLOB '[a-z]*:????????-????-????-????-????????????')
     ORDER BY position LIMIT 1",
    // Positions are dense, so one up to the head is that of an event; and each event has one command.
    "SELECT 'the commands', 'they brought ' || coalesce(sum(events), 0) || ' events up to position ' ||
        coalesce(max(position), 0) || ', and the head says ' || (SELECT position FROM head)
     FROM commands
     HAVING coalesce(sum(events), 0) <> (SELECT position FROM head) OR coalesce(max(position), 0) <> (SELECT position FROM head)",
];

/// What must hold of the streams, which are chains from version 3 of the schema on.
const CHAINS: &[&str] = &[
    // A stream ends at its last event, and each event follows from the one before it in its stream or is the first.
    "SELECT 'stream ' || streams.stream, 'its versions are not those of its events'
     FROM streams LEFT JOIN events USING (position)
     WHERE events.stream IS NOT streams.stream OR events.version IS NOT streams.version
        OR events.occurred_at IS NOT streams.occurred_at
        OR (streams.stream NOT GLOB '[a-z]*-????????-????-????-????-????????????' AND streams.stream GLOB '*[^a-z]*')
     LIMIT 1",
    "SELECT 'position ' || events.position, 'it does not follow from the event before it in its stream'
     FROM events LEFT JOIN events AS before ON before.position = events.previous
     WHERE events.version <> coalesce(before.version, 0) + 1
        OR (before.stream IS NOT events.stream AND events.previous IS NOT NULL)
     LIMIT 1",
    // So if there are as many as the streams say, no event stands beside them.
    "SELECT 'the streams', 'they have ' || events || ' events, and the head says ' || head.position
     FROM head, (SELECT coalesce(sum(version), 0) AS events FROM streams) WHERE events <> head.position",
    "SELECT 'the streams', 'not every 256th version is in the index'
     FROM (SELECT coalesce(sum(version / 256), 0) AS versions FROM streams)
     WHERE versions <> (SELECT count(*) FROM events INDEXED BY events_every_256_versions WHERE version % 256 = 0)",
];

/// What must hold of the commands that changed nothing, since they are remembered.
const UNCHANGED_COMMANDS: &[&str] = &[
    "SELECT 'the command ' || lower(hex(command_id)), 'it changed nothing at a version or position that there is not'
     FROM head, unchanged_commands AS found LEFT JOIN streams USING (stream)
     WHERE found.version > coalesce(streams.version, 0) OR found.position > head.position
     LIMIT 1",
    "SELECT 'the command ' || lower(hex(command_id)), 'it changed nothing, and it brought events'
     FROM unchanged_commands JOIN commands USING (command_id) LIMIT 1",
    "SELECT 'the commands that changed nothing', 'their index does not tell of them'
     FROM (SELECT count(*) AS commands, total(at) AS times FROM unchanged_commands NOT INDEXED) AS found,
          (SELECT count(*) AS commands, total(at) AS times FROM unchanged_commands INDEXED BY unchanged_commands_by_age) AS told
     WHERE found.commands <> told.commands OR found.times <> told.times",
];

/// What must hold of the index by type. Positions are dense, so their sum tells whether each is in it.
const TYPES: &[&str] = &[
    "SELECT 'the events by type', 'not every event is in the index'
     FROM head, (SELECT count(*) AS events, total(position) AS positions FROM events INDEXED BY events_by_type WHERE type > '')
     WHERE events <> head.position OR positions <> 0.5 * head.position * (head.position + 1)",
];

/// What must hold besides, where there is time to look for it.
const THOROUGH_INVARIANTS: &[&str] = &[
    "SELECT 'position ' || commands.position, 'it is not the last event of the command that is remembered with it'
     FROM commands LEFT JOIN events USING (position)
     WHERE events.command_id IS NOT commands.command_id OR events.stream <> commands.stream
        OR events.version <> commands.version
     LIMIT 1",
    "SELECT 'position ' || events.position, 'it happened before the event before it in its stream'
     FROM events JOIN events AS before ON before.position = events.previous
     WHERE events.occurred_at < before.occurred_at LIMIT 1",
];

const OBJECTS: &str = "SELECT name, sql FROM sqlite_schema WHERE type <> 'view'";

/// What stands before all else in a file of SQLite's.
const HEADER_BYTES: u64 = 100;

/// Refuses a file that is no log or a damaged one. A file that is not set up yet is neither.
pub(super) async fn fit(path: &Path) -> Result<(), StoreError> {
    let marked = mark(path);
    let extent = if marked.exists() { Extent::Every } else { Extent::End };
    looked_at(path, extent).await.map_err(|error| named(path, error))?;
    // The log was restored, or what was found was not in the file.
    match std::fs::remove_file(marked) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(sqlx::Error::Io(error).into()),
        _ => Ok(()),
    }
}

/// Looks at all of the log. `visit` is given the events, page after page, and the end of the log; it may refuse it too.
pub(super) async fn thorough(
    path: &Path,
    visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
) -> Result<Head, StoreError> {
    let outcome = async {
        let set_up = looked_at(path, Extent::Thorough).await?;
        if !set_up {
            return Err(StoreError::Schema("the file is not a log".into()));
        }
        decoded(path, visit).await
    };
    outcome.await.map_err(|error| named(path, error))
}

/// It looks at everything, so its statements take long, and that is nothing to warn of.
fn options(path: &Path) -> SqliteConnectOptions {
    schema::read_options(path).pragma("cache_size", schema::CACHE).disable_statement_logging()
}

/// Whether the file is set up; if so, all that must hold of so much of it does.
async fn looked_at(path: &Path, extent: Extent) -> Result<bool, StoreError> {
    let bytes = bytes(path).map_err(sqlx::Error::Io)?;
    // So short a file is an empty one to SQLite, and would be written over.
    if (1..HEADER_BYTES).contains(&bytes) {
        return Err(damage("page 1", format!("the file ends after {bytes} bytes")));
    }
    let mut connection = options(path).connect().await?;
    // One snapshot, so that another process may append meanwhile.
    let mut transaction = connection.begin().await?;
    let steps = schema::steps(&mut transaction).await?;
    if steps.is_empty() {
        return Ok(false);
    }
    match extent {
        Extent::End if steps.len() == schema::STEPS.len() => {
            is_long_enough(&mut transaction, path).await?;
            end(&mut transaction, steps).await?;
        }
        Extent::End => whole(&mut transaction, steps, "PRAGMA quick_check(1)", &[]).await?,
        Extent::Thorough | Extent::Every => {
            whole(&mut transaction, steps, "PRAGMA integrity_check(1)", THOROUGH_INVARIANTS).await?;
        }
    }
    if extent == Extent::Every && steps.len() == schema::STEPS.len() {
        events(&mut transaction, Position::ZERO).await?;
    }
    transaction.rollback().await?;
    connection.close().await?;
    Ok(true)
}

fn bytes(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

/// The file has all its pages. As long as there is a journal, some of them may be there only.
async fn is_long_enough(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    if bytes(&schema::journal(path)).is_ok_and(|journal| journal > 0) {
        return Ok(());
    }
    let (pages, page_bytes): (u32, u32) =
        sqlx::query_as("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
            .fetch_one(connection)
            .await?;
    let (found, expected) = (bytes(path).map_err(sqlx::Error::Io)?, u64::from(pages) * u64::from(page_bytes));
    if found < expected {
        let page = found / u64::from(page_bytes.max(1)) + 1;
        return Err(damage(format!("page {page}"), format!("the file ends after {found} of {expected} bytes")));
    }
    Ok(())
}

/// Looks at the end of a log of this version.
async fn end(connection: &mut SqliteConnection, steps: &[&'static str]) -> Result<(), StoreError> {
    has_all_objects(connection, steps).await?;
    hold(connection, END).await?;
    let head = read::head(&mut *connection).await?.position;
    events(connection, Position(head.0.saturating_sub(END_EVENTS))).await
}

/// Looks at each event behind a position, and at what other tables and indexes say of it.
async fn events(connection: &mut SqliteConnection, after: Position) -> Result<(), StoreError> {
    let head = read::head(&mut *connection).await?.position;
    let mut last = Last::behind(after);
    while last.position < head {
        scrub::stretch(connection, &mut last, head).await?;
    }
    Ok(())
}

/// Looks at all of a log, by SQLite's own look at its pages and what must hold besides.
async fn whole(
    connection: &mut SqliteConnection,
    steps: &[&'static str],
    pages: &'static str,
    besides: &[&'static str],
) -> Result<(), StoreError> {
    let told: String = sqlx::query_scalar(pages).fetch_one(&mut *connection).await?;
    if told != "ok" {
        return Err(damage("its pages", told.replace('\n', " ")));
    }
    has_all_objects(connection, steps).await?;
    hold(connection, INVARIANTS).await?;
    if steps.len() >= schema::CHAINS_SINCE {
        hold(connection, CHAINS).await?;
        hold(connection, besides).await?;
    }
    if steps.len() >= schema::UNCHANGED_COMMANDS_SINCE {
        hold(connection, UNCHANGED_COMMANDS).await?;
    }
    if steps.len() >= schema::TYPES_SINCE {
        hold(connection, TYPES).await?;
    }
    Ok(())
}

/// Refuses a file whose streams, just made chains, are damaged.
pub(super) async fn chains(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    hold(connection, CHAINS).await.map_err(|error| named(path, error))
}

async fn hold(connection: &mut SqliteConnection, invariants: &[&'static str]) -> Result<(), StoreError> {
    for invariant in invariants {
        let broken: Option<(String, String)> = sqlx::query_as(*invariant).fetch_optional(&mut *connection).await?;
        if let Some((place, reason)) = broken {
            return Err(damage(place, reason));
        }
    }
    Ok(())
}

/// The tables, indexes and triggers that these steps make are all there, word for word. There may be more.
pub(super) async fn has_all_objects(
    connection: &mut SqliteConnection,
    steps: &[&'static str],
) -> Result<(), StoreError> {
    type Object = (String, Option<String>);
    let mut new = SqliteConnection::connect("sqlite::memory:").await?;
    for step in steps {
        sqlx::raw_sql(*step).execute(&mut new).await?;
    }
    let found: Vec<Object> = sqlx::query_as(OBJECTS).fetch_all(connection).await?;
    let expected: Vec<Object> = sqlx::query_as(OBJECTS).fetch_all(&mut new).await?;
    match expected.iter().find(|object| !found.contains(object)) {
        Some((name, _)) => Err(damage("the schema", format!("`{name}` is missing or was altered"))),
        None => Ok(()),
    }
}

/// Decodes every event, and sees that each follows from the one before.
async fn decoded(
    path: &Path,
    visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
) -> Result<Head, StoreError> {
    let mut connection = options(path).connect().await?;
    let head = read::head(&mut connection).await?;
    history::follow(head, async |after| read::events(&mut connection, after, PAGE, &[]).await, visit).await?;
    connection.close().await?;
    Ok(head)
}

/// Damage in a file that is named later.
pub(super) fn damage(place: impl Into<String>, reason: impl Into<String>) -> StoreError {
    StoreError::DamagedFile { file: PathBuf::new(), place: place.into(), reason: reason.into() }
}

/// The same error, naming the file. What SQLite cannot read at all is damage too.
fn named(path: &Path, error: StoreError) -> StoreError {
    let file = path.to_owned();
    match error {
        StoreError::DamagedFile { place, reason, .. } => StoreError::DamagedFile { file, place, reason },
        StoreError::Damaged { position, reason } => {
            StoreError::DamagedFile { file, place: format!("position {position}"), reason }
        }
        StoreError::Database(error) if is_corrupt(&error) => {
            StoreError::DamagedFile { file, place: "its pages".into(), reason: error.to_string() }
        }
        StoreError::Schema(reason) => StoreError::Schema(format!("{}: {reason}", path.display())),
        error => error,
    }
}
