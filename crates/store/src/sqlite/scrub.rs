//! What the scrub looks at in a file.
//!
//! A piece is a stretch of events, with what the other tables and the indexes say of them, and as many rows of each other table
//! and index in its own order. So a pass decodes every row, reads every page of every tree from its root on, and comes by each
//! entry of an index from both sides. That tables and indexes agree, and that no event is beside the chain of its stream, is found
//! out by numbers that are added up along the way and must be those of the log as it was when the pass began: events that are
//! appended meanwhile are left out.
//!
//! SQLite looks at its pages only as a whole (`PRAGMA integrity_check`), in a snapshot that lasts for minutes in a large log. So
//! it is left to `dealog check` to find pages that are used twice or not at all, damage in free pages, and in parts of a page that
//! no row takes up. None of that is ever answered from. What the system has in memory it does not read from the disk again, for
//! neither of the two.

use dealog_events::Position;
use sqlx::{Connection as _, Encode, Sqlite, SqliteConnection, Type};

use super::{
    Readers,
    check::{self, damage},
    read, schema,
};
use crate::{
    StoreError,
    decode::{self, Columns as _, PageMax, integer, select},
    history::{Last, PAGE},
    scrub::{PIECE_EVENTS, Pieces},
};

/// What must hold of the events behind `?1` up to `?2`, which have been decoded.
const STRETCH: &[&str] = &[
    "SELECT 'position ' || events.position, 'it does not follow from the event before it in its stream'
     FROM events LEFT JOIN events AS before ON before.position = events.previous
     WHERE events.position > ?1 AND events.position <= ?2
        AND (events.version <> coalesce(before.version, 0) + 1 OR events.occurred_at < before.occurred_at
            OR (before.stream IS NOT events.stream AND events.previous IS NOT NULL))
     LIMIT 1",
    "SELECT 'stream ' || events.stream, 'its end is not its last event'
     FROM events LEFT JOIN streams USING (stream)
     WHERE events.position > ?1 AND events.position <= ?2
        AND (streams.version IS NULL OR streams.version < events.version
            OR (streams.version = events.version AND streams.occurred_at <> events.occurred_at)
            OR (streams.version = events.version) <> (streams.position = events.position))
     LIMIT 1",
    "SELECT 'position ' || events.position, 'it is not one of the events of the command that is remembered with it'
     FROM events LEFT JOIN commands USING (command_id)
     WHERE events.position > ?1 AND events.position <= ?2
        AND (commands.position IS NULL OR commands.stream <> events.stream
            OR events.position NOT BETWEEN commands.position - commands.events + 1 AND commands.position
            OR commands.version - events.version <> commands.position - events.position
            OR commands.position > (SELECT position FROM head))
     LIMIT 1",
    "SELECT 'position ' || position, 'the index of types does not lead to it'
     FROM events WHERE position > ?1 AND position <= ?2 AND NOT EXISTS (
        SELECT 1 FROM events AS told INDEXED BY events_by_type
        WHERE told.type = events.type AND told.position = events.position)
     LIMIT 1",
    "SELECT 'position ' || position, 'the index of every 256th version does not lead to it'
     FROM events WHERE position > ?1 AND position <= ?2 AND version % 256 = 0 AND NOT EXISTS (
        SELECT 1 FROM events AS told INDEXED BY events_every_256_versions
        WHERE told.stream = events.stream AND told.version = events.version AND told.version % 256 = 0
            AND told.position = events.position)
     LIMIT 1",
];

/// What must hold of the streams behind `?1` up to `?2`.
const STREAMS: &[&str] = &["SELECT 'stream ' || streams.stream, 'its versions are not those of its events'
     FROM streams LEFT JOIN events USING (position)
     WHERE streams.stream > ?1 AND streams.stream <= ?2
        AND (events.stream IS NOT streams.stream OR events.version IS NOT streams.version
            OR events.occurred_at IS NOT streams.occurred_at)
     LIMIT 1"];

/// How many events these streams had up to `?3`, and how many of these had a 256th version. What was appended since is gone back
/// on.
const STREAM_EVENTS: &str = "
    WITH RECURSIVE chain (stream, position, version, previous) AS (
        SELECT streams.stream, events.position, events.version, events.previous
        FROM streams JOIN events USING (position) WHERE streams.stream > ?1 AND streams.stream <= ?2
        UNION ALL
        SELECT chain.stream, events.position, events.version, events.previous
        FROM chain JOIN events ON events.position = chain.previous WHERE chain.position > ?3
    )
    SELECT coalesce(sum(version), 0), coalesce(sum(version / 256), 0) FROM chain WHERE position <= ?3";

/// What must hold of the commands behind `?1` up to `?2`.
const COMMANDS: &[&str] =
    &["SELECT 'position ' || commands.position, 'it is not the last event of the command that is remembered with it'
     FROM commands LEFT JOIN events USING (position)
     LEFT JOIN events AS first ON first.position = commands.position - commands.events + 1
     WHERE commands.command_id > ?1 AND commands.command_id <= ?2
        AND (events.command_id IS NOT commands.command_id OR first.command_id IS NOT commands.command_id
            OR events.stream <> commands.stream OR events.version <> commands.version)
     LIMIT 1"];

/// What must hold of the commands behind `?1` up to `?2` that changed nothing.
const UNCHANGED_COMMANDS: &[&str] = &[
    "SELECT 'the command ' || lower(hex(command_id)), 'it changed nothing at a version or position that there is not'
     FROM unchanged_commands AS found LEFT JOIN streams USING (stream)
     WHERE found.command_id > ?1 AND found.command_id <= ?2
        AND (found.version > coalesce(streams.version, 0) OR found.position > (SELECT position FROM head))
     LIMIT 1",
    "SELECT 'the command ' || lower(hex(command_id)), 'it changed nothing, and it brought events'
     FROM unchanged_commands JOIN commands USING (command_id)
     WHERE unchanged_commands.command_id > ?1 AND unchanged_commands.command_id <= ?2
     LIMIT 1",
    "SELECT 'the command ' || lower(hex(command_id)), 'the index by age does not lead to it'
     FROM unchanged_commands AS found
     WHERE command_id > ?1 AND command_id <= ?2 AND NOT EXISTS (
        SELECT 1 FROM unchanged_commands AS told INDEXED BY unchanged_commands_by_age
        WHERE told.at = found.at AND told.command_id = found.command_id)
     LIMIT 1",
];

/// The next entries of the index by age, and whether each leads to its command.
const AGES: &str = "
    SELECT told.at, told.command_id, found.at IS told.at
    FROM (SELECT at, command_id FROM unchanged_commands INDEXED BY unchanged_commands_by_age
          WHERE (at, command_id) > (?1, ?2) ORDER BY at, command_id LIMIT ?3) AS told
    LEFT JOIN unchanged_commands AS found ON found.command_id = told.command_id";

/// The next entries of a type in its index, up to `?3`: how many, and the last.
const OF_TYPE: &str = "
    SELECT count(*), max(position) FROM (
        SELECT position FROM events INDEXED BY events_by_type
        WHERE type = ?1 AND position > ?2 AND position <= ?3 ORDER BY position LIMIT ?4)";

const NEXT_TYPE: &str = "SELECT type FROM events INDEXED BY events_by_type WHERE type > ?1 ORDER BY type LIMIT 1";

const EVERY_256_VERSIONS: &str = "
    SELECT count(*) FROM events INDEXED BY events_every_256_versions WHERE version % 256 = 0 AND position <= ?1";

/// Checks the next piece of events after `last`, up to `end`, and moves `last` to the end of that piece.
pub(super) async fn stretch(
    connection: &mut SqliteConnection,
    last: &mut Last,
    end: Position,
) -> Result<(), StoreError> {
    let after = last.position;
    let left = usize::try_from(end.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
    let page = PageMax { events: left.min(PIECE_EVENTS as usize), ..PAGE };
    last.follow_all(&read::events(&mut *connection, after, page, &[]).await?)?;
    hold(connection, STRETCH, integer(after.0), integer(last.position.0)).await
}

/// Scrubs a file.
pub(super) struct Scrubbing {
    readers: Readers,
    pass: Pass,
}

impl Scrubbing {
    pub(super) fn new(readers: Readers) -> Self {
        Self { readers, pass: Pass::up_to(Position::ZERO) }
    }
}

/// A piece never has more than this power of two times its usual rows: more than can be appended during its pause.
const DOUBLINGS_MAX: u64 = 8;

/// How far a pass has come in each table and index; nothing where it has ended.
#[derive(Clone)]
struct Pass {
    end: Position,
    pieces: u64,
    last: Last,
    streams: Option<String>,
    commands: Option<Vec<u8>>,
    unchanged: Option<Vec<u8>>,
    ages: Option<(i64, Vec<u8>)>,
    types: Option<(String, i64)>,
    found: Found,
}

/// What has been counted up to the end of the pass.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Events of the streams.
    events: i64,
    /// 256th versions of the streams.
    every_256: i64,
    /// Events of the index of types.
    types: i64,
}

impl Pass {
    fn up_to(end: Position) -> Self {
        Self {
            end,
            pieces: 0,
            last: Last::behind(Position::ZERO),
            streams: Some(String::new()),
            commands: Some(Vec::new()),
            unchanged: Some(Vec::new()),
            ages: Some((i64::MIN, Vec::new())),
            types: Some((String::new(), 0)),
            found: Found::default(),
        }
    }

    /// How many rows of a table other than the events the next piece takes. These tables grow at any place of their order while
    /// the pass goes on. A pass that takes longer than the events alone need would never end if they grew as fast as it went
    /// through them, so its pieces double each time it has taken as long again.
    fn rows(&self) -> u32 {
        let needed = self.end.0 / u64::from(PIECE_EVENTS) + 1;
        PIECE_EVENTS << (self.pieces / needed).min(DOUBLINGS_MAX)
    }

    fn has_ended(&self) -> bool {
        self.last.position >= self.end
            && self.streams.is_none()
            && self.commands.is_none()
            && self.unchanged.is_none()
            && self.ages.is_none()
            && self.types.is_none()
    }
}

impl Pieces for Scrubbing {
    async fn begin(&mut self) -> Result<Position, StoreError> {
        let (_snapshot, mut connection) = self.readers.take().await?;
        let mut transaction = connection.begin().await?;
        check::has_all_objects(&mut transaction, schema::STEPS).await?;
        let head = read::head(&mut *transaction).await?;
        let key: Vec<u8> = sqlx::query_scalar("SELECT key FROM token_key").fetch_one(&mut *transaction).await?;
        decode::token_key(&key).map_err(|error| damage("the key of tokens", error.to_string()))?;
        let tokens = sqlx::query(select!(tokens "tokens")).fetch_all(&mut *transaction).await?;
        for token in &tokens {
            decode::token(token).map_err(|error| damage("the tokens", error.to_string()))?;
        }
        self.pass = Pass::up_to(head.position);
        Ok(head.position)
    }

    async fn next(&mut self) -> Result<Option<Position>, StoreError> {
        if self.pass.has_ended() {
            return Ok(None);
        }
        let mut pass = self.pass.clone();
        let (_snapshot, mut connection) = self.readers.take().await?;
        // What the connection remembers of the file says nothing of it.
        sqlx::query("PRAGMA shrink_memory").execute(&mut *connection).await?;
        let mut transaction = connection.begin().await?;
        if pass.last.position < pass.end {
            stretch(&mut transaction, &mut pass.last, pass.end).await?;
        }
        pass.streams(&mut transaction).await?;
        pass.commands(&mut transaction).await?;
        pass.unchanged(&mut transaction).await?;
        pass.ages(&mut transaction).await?;
        pass.types(&mut transaction).await?;
        if pass.has_ended() {
            pass.adds_up(&mut transaction).await?;
        }
        transaction.rollback().await?;
        pass.pieces += 1;
        self.pass = pass;
        Ok(Some(self.pass.last.position))
    }
}

impl Pass {
    async fn streams(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let Some(after) = self.streams.take() else { return Ok(()) };
        let rows = self.rows();
        let found = sqlx::query(select!(streams "streams WHERE stream > ?1 ORDER BY stream LIMIT ?2"))
            .bind(after.clone())
            .bind(rows)
            .fetch_all(&mut *connection)
            .await?;
        let mut last = after.clone();
        for row in &found {
            decode::stream_end(row, self.end)?;
            rises("the streams", &mut last, row.string(0)?)?;
        }
        if found.is_empty() {
            return Ok(());
        }
        hold(connection, STREAMS, after.clone(), last.clone()).await?;
        let (events, every_256): (i64, i64) = sqlx::query_as(STREAM_EVENTS)
            .bind(after)
            .bind(last.clone())
            .bind(integer(self.end.0))
            .fetch_one(connection)
            .await?;
        self.found.events += events;
        self.found.every_256 += every_256;
        self.streams = unless_last(&found, rows, last);
        Ok(())
    }

    async fn commands(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        const NEXT: &str = select!(commands "commands WHERE command_id > ?1 ORDER BY command_id LIMIT ?2");
        let Some(after) = self.commands.take() else { return Ok(()) };
        self.commands = remembered(connection, NEXT, COMMANDS, after, self.rows()).await?;
        Ok(())
    }

    async fn unchanged(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        const NEXT: &str =
            select!(unchanged_commands "unchanged_commands WHERE command_id > ?1 ORDER BY command_id LIMIT ?2");
        let Some(after) = self.unchanged.take() else { return Ok(()) };
        self.unchanged = remembered(connection, NEXT, UNCHANGED_COMMANDS, after, self.rows()).await?;
        Ok(())
    }

    async fn ages(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        const PLACE: &str = "the index of commands by age";
        let Some(mut last) = self.ages.take() else { return Ok(()) };
        let rows = self.rows();
        let query = sqlx::query_as(AGES).bind(last.0).bind(last.1.clone()).bind(rows);
        let found: Vec<(i64, Vec<u8>, bool)> = query.fetch_all(connection).await?;
        for (at, command, leads) in &found {
            rises(PLACE, &mut last, (*at, command.clone()))?;
            if !leads {
                return Err(damage(PLACE, "it leads to a command that is not there"));
            }
        }
        self.ages = unless_last(&found, rows, last);
        Ok(())
    }

    async fn types(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        const PLACE: &str = "the index of types";
        let Some((mut name, mut last)) = self.types.take() else { return Ok(()) };
        let query = sqlx::query_as(OF_TYPE).bind(name.clone()).bind(last).bind(integer(self.end.0)).bind(self.rows());
        let (events, position): (i64, Option<i64>) = query.fetch_one(&mut *connection).await?;
        if let Some(position) = position {
            rises(PLACE, &mut last, position)?;
            self.found.types += events;
            self.types = Some((name, last));
            return Ok(());
        }
        let next: Option<String> = sqlx::query_scalar(NEXT_TYPE).bind(name.clone()).fetch_optional(connection).await?;
        if let Some(next) = next {
            rises(PLACE, &mut name, next)?;
            self.types = Some((name, 0));
        }
        Ok(())
    }

    /// All events of the log are those of its streams and of its indexes.
    async fn adds_up(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let end = integer(self.end.0);
        let every_256: i64 = sqlx::query_scalar(EVERY_256_VERSIONS).bind(end).fetch_one(connection).await?;
        for (place, found, expected) in [
            ("the streams", self.found.events, end),
            ("the index of types", self.found.types, end),
            ("the index of every 256th version", every_256, self.found.every_256),
        ] {
            if found != expected {
                let reason = format!("up to position {end} it has {found} events, and there are {expected}");
                return Err(damage(place, reason));
            }
        }
        Ok(())
    }
}

/// Looks at the next rows of a table of commands. Gives the last of them.
async fn remembered(
    connection: &mut SqliteConnection,
    next: &'static str,
    invariants: &[&'static str],
    after: Vec<u8>,
    rows: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    let found = sqlx::query(next).bind(after.clone()).bind(rows).fetch_all(&mut *connection).await?;
    let mut last = after.clone();
    for row in &found {
        let command = decode::remembered(row)?.command_id;
        rises("the commands", &mut last, command.0.into_bytes().to_vec())?;
    }
    if found.is_empty() {
        return Ok(None);
    }
    hold(connection, invariants, after, last.clone()).await?;
    Ok(unless_last(&found, rows, last))
}

/// Where the next piece goes on. What fills no piece is the last one, or a table that grows meanwhile would have no end.
fn unless_last<R, K>(found: &[R], rows: u32, last: K) -> Option<K> {
    (found.len() >= rows as usize).then_some(last)
}

/// Moves to the next key, which must be greater: in a damaged tree it may not be, and the pass would never end.
fn rises<K: PartialOrd>(place: &'static str, last: &mut K, key: K) -> Result<(), StoreError> {
    if key <= *last {
        return Err(damage(place, "its entries are not in their order"));
    }
    *last = key;
    Ok(())
}

/// What must hold of the rows behind a key up to another.
async fn hold<K>(
    connection: &mut SqliteConnection,
    invariants: &[&'static str],
    after: K,
    last: K,
) -> Result<(), StoreError>
where
    K: Clone + Send + Type<Sqlite> + for<'q> Encode<'q, Sqlite> + 'static,
{
    for invariant in invariants {
        let query = sqlx::query_as(*invariant).bind(after.clone()).bind(last.clone());
        let broken: Option<(String, String)> = query.fetch_optional(&mut *connection).await?;
        if let Some((place, reason)) = broken {
            return Err(damage(place, reason));
        }
    }
    Ok(())
}
