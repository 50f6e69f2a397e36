//! Histories: rows that each stand from one event of a stream to the next, and the fold that keeps them.
//!
//! A model says what the first event of a stream makes of an empty row, and what each later event changes in it ([`Fold`]). All
//! else is the same for all: finding live rows, ending them, and writing what a batch did with as few statements as possible.

use std::collections::{HashMap, HashSet};

use dealog_events::{Envelope, StreamId};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow, any::AnyRow};

use super::{stored::damaged, unapplicable};
use crate::{
    Dialect, ProjectionError,
    table::{Row, find, upsert},
};

/// The end of what has not ended.
pub(super) const FOREVER: i64 = i64::MAX;
/// The last instant and the last position that can be asked about: what has not ended goes on after them.
pub(super) const END: i64 = FOREVER - 1;
/// When the first definition of anything began: before it there was no other.
pub(super) const SINCE_EVER: i64 = i64::MIN;

/// Rows kept in memory between batches, each up to a few kilobytes.
const LIVE_ROWS_MAX: usize = 20_000;
/// Events that are folded while the database writes what those before them ended.
const EVENTS_AT_ONCE: usize = 1_000;

/// Declares a table of histories: where each row stands in its history, whose it is, and its own columns.
macro_rules! history {
    ($(#[$meta:meta])* $table:literal of $of:ident, $name:ident { $($(#[$column_meta:meta])* $column:ident: $type:ty),+ $(,)? }) => {
        table!(
            $(#[$meta])*
            #[derive(Default)]
            $table("began") $name {
                /// The position of the event that began it.
                began: i64,
                /// The position of the event that ended it.
                ended: i64,
                /// When it began in the business.
                valid_from: i64,
                /// When it ended there: it held up to, and not including, this instant.
                valid_to: i64,
                /// The id in the name of its stream.
                $of: String,
                /// The version of its stream that began it.
                version: i64,
                /// The position of the first event of its stream: lists are in this order.
                created_position: i64,
                $($(#[$column_meta])* $column: $type),+
            }
        );

        impl $crate::models::history::History for $name {
            const OF: &'static str = stringify!($of);
            fn place(&mut self) -> $crate::models::history::Place<'_> {
                $crate::models::history::Place {
                    of: &mut self.$of,
                    began: &mut self.began,
                    ended: &mut self.ended,
                    valid_from: &mut self.valid_from,
                    valid_to: &mut self.valid_to,
                    version: &mut self.version,
                    created_position: &mut self.created_position,
                }
            }
            fn of(&self) -> &str {
                &self.$of
            }
            fn began(&self) -> i64 {
                self.began
            }
            fn version(&self) -> i64 {
                self.version
            }
        }
    };
}

/// A row of a history.
pub(super) trait History: Row + for<'r> FromRow<'r, AnyRow> + Clone + Default + Send + Sync + Unpin {
    /// The column that says whose history it is.
    const OF: &'static str;
    fn of(&self) -> &str;
    fn began(&self) -> i64;
    fn version(&self) -> i64;
    fn place(&mut self) -> Place<'_>;
}

/// Where a row stands in its history.
pub(super) struct Place<'a> {
    pub(super) of: &'a mut String,
    pub(super) began: &'a mut i64,
    pub(super) ended: &'a mut i64,
    pub(super) valid_from: &'a mut i64,
    pub(super) valid_to: &'a mut i64,
    pub(super) version: &'a mut i64,
    pub(super) created_position: &'a mut i64,
}

/// What events make of a row. Its place in the history is not their business.
pub(super) trait Fold: History {
    /// The events of its streams.
    type Event: Sync;

    /// Whether the first row counts before its event, too, as a definition does.
    const SINCE_EVER: bool;

    /// The first event of a stream fills an empty row.
    fn begin(&mut self, envelope: &Envelope, event: &Self::Event) -> Result<(), ProjectionError>;

    /// A later one changes it.
    fn change(&mut self, envelope: &Envelope, event: &Self::Event) -> Result<(), ProjectionError>;

    /// Whether it is unlikely to change again, and need not stay in memory.
    fn rests(&self) -> bool {
        false
    }
}

/// The live rows that were folded last.
pub(super) struct Live<R> {
    rows: HashMap<StreamId, R>,
}

impl<R> Default for Live<R> {
    fn default() -> Self {
        Self { rows: HashMap::new() }
    }
}

impl<R: Fold> Live<R> {
    /// Folds a batch in memory, and writes what it changed by thousands of rows a statement: what has ended while more is
    /// folded, the rest at the end.
    pub(super) async fn apply(
        &mut self,
        db: &mut AnyConnection,
        events: &[(&Envelope, &R::Event)],
    ) -> Result<(), ProjectionError> {
        let Some((first, _)) = events.first() else { return Ok(()) };
        let first = position(first);
        self.load(db, events).await?;
        let (mut touched, mut ended) = (HashSet::new(), Ended::default());
        for events in events.chunks(EVENTS_AT_ONCE) {
            // What has ended does not change again: the database writes it while the next events are folded.
            let folded = async { self.fold(events, first, &mut touched) };
            let (written, folded) = tokio::join!(biased; ended.write(db, Vec::new()), folded);
            written?;
            ended = folded?;
        }
        let live = touched.iter().filter_map(|stream| self.rows.get(stream)).collect();
        ended.write(db, live).await?;
        for stream in touched {
            if self.rows.get(&stream).is_some_and(R::rests) {
                self.rows.remove(&stream);
            }
        }
        Ok(())
    }

    /// Brings the live rows of a batch into memory.
    async fn load(&mut self, db: &mut AnyConnection, events: &[(&Envelope, &R::Event)]) -> Result<(), ProjectionError> {
        if self.rows.len() > LIVE_ROWS_MAX {
            self.rows.clear();
        }
        let (mut begun, mut missing) = (HashSet::new(), HashMap::new());
        for (envelope, _) in events {
            let stream = envelope.stream;
            if is_first(envelope) {
                begun.insert(stream);
            } else if !begun.contains(&stream) && !self.rows.contains_key(&stream) {
                missing.insert(key(stream), stream);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = missing.keys().map(String::as_str).collect();
        for row in find::<R, _>(db, &format!("ended = {FOREVER} AND {}", R::OF), &keys).await? {
            let stream = missing.get(row.of()).ok_or_else(|| damaged(&format!("{}: {}", R::TABLE, row.of())))?;
            self.rows.insert(*stream, row);
        }
        Ok(())
    }

    /// Folds events whose live rows are in memory. Rows that began before `first` are in the database.
    fn fold(
        &mut self,
        events: &[(&Envelope, &R::Event)],
        first: i64,
        touched: &mut HashSet<StreamId>,
    ) -> Result<Ended<R>, ProjectionError> {
        let mut ended = Ended::default();
        for (envelope, event) in events {
            let stream = envelope.stream;
            if is_first(envelope) {
                let row = begin::<R>(envelope, event)?;
                if self.rows.insert(stream, row).is_some() {
                    return Err(unapplicable(envelope, "its stream began before"));
                }
            } else {
                let row = self.rows.get_mut(&stream);
                let row = row.ok_or_else(|| unapplicable(envelope, "its stream has not begun"))?;
                if row.version() + 1 != version(envelope) {
                    return Err(unapplicable(envelope, &format!("its stream is at version {}", row.version())));
                }
                ended.end(row, envelope, first);
                row.change(envelope, event)?;
            }
            touched.insert(stream);
        }
        Ok(ended)
    }
}

/// The first row of a stream.
fn begin<R: Fold>(envelope: &Envelope, event: &R::Event) -> Result<R, ProjectionError> {
    let mut row = R::default();
    let place = row.place();
    *place.of = key(envelope.stream);
    *place.began = position(envelope);
    *place.ended = FOREVER;
    *place.valid_from = if R::SINCE_EVER { SINCE_EVER } else { envelope.occurred_at.micros() };
    *place.valid_to = FOREVER;
    *place.version = version(envelope);
    *place.created_position = position(envelope);
    row.begin(envelope, event)?;
    Ok(row)
}

/// What events ended, to be written.
struct Ended<R> {
    /// Rows that have both begun and ended since the last batch.
    rows: Vec<R>,
    /// The ends of rows that the database has.
    ends: Vec<End>,
}

/// Which row, when it ended, and by which event.
type End = (i64, i64, i64);

impl<R> Default for Ended<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), ends: Vec::new() }
    }
}

impl<R: History> Ended<R> {
    /// Ends a row, and begins the next in its place.
    fn end(&mut self, row: &mut R, envelope: &Envelope, first: i64) {
        let (position, at) = (position(envelope), envelope.occurred_at.micros());
        if row.began() < first {
            self.ends.push((row.began(), at, position));
        } else {
            let mut before = row.clone();
            let place = before.place();
            (*place.valid_to, *place.ended) = (at, position);
            self.rows.push(before);
        }
        let place = row.place();
        *place.began = position;
        *place.valid_from = at;
        *place.version = version(envelope);
    }

    /// Writes all that has ended, and then the live rows: a thing never has two of them.
    async fn write(self, db: &mut AnyConnection, live: Vec<&R>) -> Result<(), ProjectionError> {
        end::<R>(db, &self.ends).await?;
        let mut rows = live;
        rows.extend(&self.rows);
        // In the order of the table: new rows go to its end.
        rows.sort_unstable_by_key(|row| row.began());
        Ok(upsert(db, rows).await?)
    }
}

/// Ends rows that the database has, without writing them anew.
async fn end<R: Row>(db: &mut AnyConnection, ends: &[End]) -> Result<(), sqlx::Error> {
    if ends.is_empty() {
        return Ok(());
    }
    let dialect = Dialect::of(db);
    let field = |index| dialect.field(index, "BIGINT");
    let sql = format!(
        "UPDATE {} SET valid_to = {}, ended = {} FROM {} WHERE began = {}",
        R::TABLE,
        field(1),
        field(2),
        dialect.rows(),
        field(0)
    );
    let json = serde_json::to_string(ends).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(AssertSqlSafe(sql)).bind(json).execute(db).await?;
    Ok(())
}

/// What a stream is called in the tables: its id, or its name where it is the only one of its kind.
pub(super) fn key(stream: StreamId) -> String {
    stream.id().map_or_else(|| stream.to_string(), |id| id.to_string())
}

pub(super) fn position(envelope: &Envelope) -> i64 {
    envelope.position.0.cast_signed()
}

fn version(envelope: &Envelope) -> i64 {
    envelope.version.0.cast_signed()
}

fn is_first(envelope: &Envelope) -> bool {
    envelope.version.0 == 1
}
