//! What a row of the log must be to be believed, on either database.
//!
//! Rows are decoded as they arrive, by column number and borrowed from the row wherever the envelope does not keep them.
//! What was checked when it was written is checked again: a row that no append can have written is reported as damage with
//! its position, and so is a gap.

use std::collections::{BTreeSet, HashMap};

use dealog_events::{Cause, CommandId, Envelope, Position, StreamId, Timestamp, Version};
use futures_util::{Stream, TryStreamExt as _};
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    Appended, Fingerprint, Head, Remembered, StoreError, Token,
    history::Last,
    judge::{StreamEnd, is_type_name},
};

type Unfit = Box<dyn std::error::Error + Send + Sync>;

/// The types that the columns of a log have.
pub(crate) trait Columns {
    fn integer(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn optional_integer(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: usize) -> Result<&str, sqlx::Error>;
    fn string(&self, column: usize) -> Result<String, sqlx::Error>;
    fn optional_string(&self, column: usize) -> Result<Option<String>, sqlx::Error>;
    fn bytes(&self, column: usize) -> Result<&[u8], sqlx::Error>;
    fn id(&self, column: usize) -> Result<Uuid, sqlx::Error>;
    fn optional_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error>;
}

macro_rules! columns_of {
    ($($row:ty),+) => {
        $(impl Columns for $row {
            fn integer(&self, column: usize) -> Result<i64, sqlx::Error> {
                self.try_get(column)
            }
            fn optional_integer(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(column)
            }
            fn text(&self, column: usize) -> Result<&str, sqlx::Error> {
                self.try_get(column)
            }
            fn string(&self, column: usize) -> Result<String, sqlx::Error> {
                self.try_get(column)
            }
            fn optional_string(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
                self.try_get(column)
            }
            fn bytes(&self, column: usize) -> Result<&[u8], sqlx::Error> {
                self.try_get(column)
            }
            fn id(&self, column: usize) -> Result<Uuid, sqlx::Error> {
                self.try_get(column)
            }
            fn optional_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error> {
                self.try_get(column)
            }
        })+
    };
}

columns_of!(SqliteRow, PgRow);

/// The columns of a row from this one on: what stands there is decoded as if it stood alone.
pub(crate) struct Behind<'a, R>(pub(crate) &'a R, pub(crate) usize);

impl<R: Columns> Columns for Behind<'_, R> {
    fn integer(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.0.integer(self.1 + column)
    }
    fn optional_integer(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        self.0.optional_integer(self.1 + column)
    }
    fn text(&self, column: usize) -> Result<&str, sqlx::Error> {
        self.0.text(self.1 + column)
    }
    fn string(&self, column: usize) -> Result<String, sqlx::Error> {
        self.0.string(self.1 + column)
    }
    fn optional_string(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
        self.0.optional_string(self.1 + column)
    }
    fn bytes(&self, column: usize) -> Result<&[u8], sqlx::Error> {
        self.0.bytes(self.1 + column)
    }
    fn id(&self, column: usize) -> Result<Uuid, sqlx::Error> {
        self.0.id(self.1 + column)
    }
    fn optional_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error> {
        self.0.optional_id(self.1 + column)
    }
}

/// The columns of an event, and of what else is read, in the order in which they are decoded here.
macro_rules! select {
    (events $from:literal) => {
        concat!(
            "SELECT position, event_id, stream, version, type, CAST(schema AS BIGINT), occurred_at, recorded_at, actor, \
             command_id, correlation_id, causation_id, data FROM ",
            $from
        )
    };
    (head $from:literal) => {
        concat!("SELECT log_id, position, recorded_at FROM ", $from)
    };
    (commands $from:literal) => {
        concat!("SELECT position, command_id, fingerprint, stream, version, CAST(events AS BIGINT) FROM ", $from)
    };
    (unchanged_commands $from:literal) => {
        concat!("SELECT position, command_id, fingerprint, stream, version, CAST(0 AS BIGINT) FROM ", $from)
    };
    (streams $from:literal) => {
        concat!("SELECT stream, version, occurred_at FROM ", $from)
    };
    (tokens $from:literal) => {
        concat!(
            "SELECT token_id, secret_hash, actor, name, permissions, created_at, expires_at, revoked_at, \
             created_by, revoked_by FROM ",
            $from
        )
    };
}
pub(crate) use select;

/// A number that both SQL and we can hold. What lies beyond is never reached by counting events.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn head(row: Option<impl Columns>) -> Result<Head, StoreError> {
    let decode = |row: &dyn Columns| -> Result<Head, Unfit> {
        Ok(Head {
            log_id: row.id(0)?,
            position: Position(row.optional_integer(1)?.unwrap_or_default().try_into()?),
            recorded_at: row.optional_integer(2)?.map_or(Ok(Timestamp::MIN), timestamp)?,
        })
    };
    let decoded = row.ok_or_else(|| "there is no head".into()).and_then(|row| decode(&row));
    decoded.map_err(damaged(Position::ZERO))
}

/// Where a stream ends. Should its row be damaged, that is told of the `head`.
pub(crate) fn stream_end(row: &impl Columns, head: Position) -> Result<(StreamId, StreamEnd), StoreError> {
    let decode = || end((row.text(0)?.parse()?, row.integer(1)?, row.integer(2)?));
    decode().map_err(damaged(head))
}

/// Where streams end, of a JSON array with an array for each.
pub(crate) fn stream_ends(json: &str, head: Position) -> Result<HashMap<StreamId, StreamEnd>, StoreError> {
    let decode = || serde_json::from_str::<Vec<_>>(json)?.into_iter().map(end).collect::<Result<_, Unfit>>();
    decode().map_err(damaged(head))
}

fn end((stream, last, occurred_at): (StreamId, i64, i64)) -> Result<(StreamId, StreamEnd), Unfit> {
    Ok((stream, StreamEnd { version: version(last)?, occurred_at: timestamp(occurred_at)? }))
}

/// Each type once, however often it is named: a statement grows with them.
pub(crate) fn distinct(types: &[String]) -> Vec<&str> {
    types.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What ends a page. At least one event always comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageMax {
    pub(crate) events: usize,
    /// Of data; the event that reaches this is the last.
    pub(crate) bytes: usize,
}

/// Events of the log from the one after `after`.
pub(crate) async fn events<R: Columns>(
    found: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    page: PageMax,
    after: Position,
) -> Result<Vec<Envelope>, StoreError> {
    let mut last = after.0;
    page_of(found, page, |event| next(&mut last, event.position.0)).await
}

/// Events of a stream from the one after `after`.
pub(crate) async fn stream<R: Columns>(
    found: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    page: PageMax,
    stream: StreamId,
    after: Version,
) -> Result<Vec<Envelope>, StoreError> {
    let (mut last, mut occurred_at) = (after.0, Timestamp::MIN);
    page_of(found, page, |event| {
        if event.stream != stream {
            return Err("it is not in the stream that leads to it".into());
        }
        if event.occurred_at < occurred_at {
            return Err("it happened before the event before it in its stream".into());
        }
        occurred_at = event.occurred_at;
        next(&mut last, event.version.0)
    })
    .await
}

/// Events of some types, with others between them.
pub(crate) async fn of_types<R: Columns>(
    found: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    page: PageMax,
    types: &[&str],
    after: Position,
) -> Result<Vec<Envelope>, StoreError> {
    let mut last = after;
    page_of(found, page, |event| {
        if event.position <= last || !types.contains(&event.event_type.as_str()) {
            return Err("it is not what the index of types leads to".into());
        }
        last = event.position;
        Ok(())
    })
    .await
}

fn next(last: &mut u64, number: u64) -> Result<(), Unfit> {
    if last.checked_add(1) != Some(number) {
        return Err(format!("{number} follows {last}").into());
    }
    *last = number;
    Ok(())
}

async fn page_of<R: Columns>(
    mut found: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    page: PageMax,
    mut believe: impl FnMut(&Envelope) -> Result<(), Unfit>,
) -> Result<Vec<Envelope>, StoreError> {
    let (mut events, mut bytes, mut last) = (Vec::new(), 0, Last::behind(Position::ZERO));
    while bytes < page.bytes
        && let Some(row) = found.try_next().await?
    {
        let event = with_position(&row, event)?;
        believe(&event).map_err(damaged(event.position))?;
        last.follow(&event)?;
        bytes += event.data.len();
        events.push(event);
    }
    Ok(events)
}

/// What is remembered of commands, of each once.
pub(crate) fn commands(
    found: impl Iterator<Item = Result<Remembered, StoreError>>,
) -> Result<HashMap<CommandId, Remembered>, StoreError> {
    let mut commands = HashMap::new();
    for command in found {
        let command = command?;
        if commands.insert(command.command_id, command).is_some() {
            return Err(damaged(command.outcome.position)("its command is remembered twice".into()));
        }
    }
    Ok(commands)
}

pub(crate) fn remembered(row: &impl Columns) -> Result<Remembered, StoreError> {
    with_position(row, |row, position| {
        Ok(Remembered {
            command_id: CommandId(row.id(1)?),
            fingerprint: Fingerprint(row.bytes(2)?.try_into()?),
            outcome: Appended {
                stream: row.text(3)?.parse()?,
                version: version(row.integer(4)?)?,
                position,
                events: row.integer(5)?.try_into()?,
                replayed: true,
                looked_up: false,
            },
        })
    })
}

pub(crate) fn token(row: &impl Columns) -> Result<Token, StoreError> {
    let decode = || -> Result<Token, Unfit> {
        let time = |micros: Option<i64>| micros.map(Timestamp::from_micros).transpose();
        Ok(Token {
            id: row.id(0)?,
            secret_hash: row.bytes(1)?.try_into()?,
            actor: row.text(2)?.parse()?,
            name: row.string(3)?,
            permissions: row.text(4)?.split_whitespace().map(ToOwned::to_owned).collect(),
            created_at: timestamp(row.integer(5)?)?,
            expires_at: time(row.optional_integer(6)?)?,
            revoked_at: time(row.optional_integer(7)?)?,
            created_by: row.optional_string(8)?,
            revoked_by: row.optional_string(9)?,
        })
    };
    decode().map_err(|error| StoreError::Schema(format!("a token cannot be read: {error}")))
}

/// The key that checks of tokens are made with.
pub(crate) fn token_key(stored: &[u8]) -> Result<[u8; 32], StoreError> {
    stored.try_into().map_err(|_| StoreError::Schema("the key of tokens does not have 32 bytes".into()))
}

/// Decodes a row whose first column is a position.
fn with_position<R: Columns, T>(row: &R, decode: impl Fn(&R, Position) -> Result<T, Unfit>) -> Result<T, StoreError> {
    let position = Position(row.integer(0)?.try_into().unwrap_or_default());
    decode(row, position).map_err(damaged(position))
}

fn event(row: &impl Columns, position: Position) -> Result<Envelope, Unfit> {
    let event_type = row.string(4)?;
    if !is_type_name(&event_type) {
        return Err("its type is not a name".into());
    }
    Ok(Envelope {
        position,
        event_id: row.id(1)?,
        stream: row.text(2)?.parse()?,
        version: version(row.integer(3)?)?,
        event_type,
        schema: row.integer(5)?.try_into()?,
        occurred_at: timestamp(row.integer(6)?)?,
        recorded_at: timestamp(row.integer(7)?)?,
        command_id: CommandId(row.id(9)?),
        cause: Cause { actor: row.text(8)?.parse()?, correlation_id: row.id(10)?, causation_id: row.optional_id(11)? },
        data: row.string(12)?.try_into().map_err(|_| "its data is not a JSON object")?,
    })
}

fn version(stored: i64) -> Result<Version, Unfit> {
    Ok(Version(stored.try_into()?))
}

fn timestamp(micros: i64) -> Result<Timestamp, Unfit> {
    Ok(Timestamp::from_micros(micros)?)
}

fn damaged(position: Position) -> impl Fn(Unfit) -> StoreError {
    move |reason| StoreError::Damaged { position, reason: reason.to_string() }
}
