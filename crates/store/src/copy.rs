//! A log brought from one place to another, to the byte: the same identity, positions, times, commands and tokens. Commands
//! that changed nothing are left behind: each is remembered for a day only, where it was decided.
//!
//! It goes in pieces that end where a command ends, each in one transaction with its head, so that what was interrupted is
//! gone on with, and what has been appended since comes along when it is copied again. At the end both are read once more
//! and compared.

use dealog_events::{Envelope, Position};

use crate::{Log, Remembered, StoreError, TokenError};

/// Events of a piece, at most.
const PIECE_EVENTS: usize = 5_000;

/// Why a log was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is something else where it should go.
    #[error("the target holds another log ({found}, not {expected}): choose an empty one")]
    OtherLog {
        /// What was to be copied.
        expected: uuid::Uuid,
        /// What is there.
        found: uuid::Uuid,
    },
    /// The target is not the beginning of the source.
    #[error("the target is not the beginning of the source: they differ at position {0}. It was appended to by itself")]
    Differs(Position),
    /// A log could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token could not be kept.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Copies what `to` lacks of `from`, up to the end of it as it is found. `told` hears of the position reached. Gives that end.
pub async fn copy(from: &dyn Log, to: &dyn Log, told: impl Fn(Position)) -> Result<Position, CopyError> {
    let (source, mut reached) = (from.head().await?, to.head().await?);
    if source.log_id != reached.log_id {
        return Err(CopyError::OtherLog { expected: source.log_id, found: reached.log_id });
    }
    if reached.position > source.position || !agree(from, to, reached.position).await? {
        return Err(CopyError::Differs(reached.position.min(source.position)));
    }
    while reached.position < source.position {
        let (events, commands) = piece(from, reached.position, source.position).await?;
        let Some(last) = events.last() else { break };
        reached.position = last.position;
        to.append_copied(&events, &commands).await?;
        told(reached.position);
    }
    tokens(from, to).await?;
    Ok(reached.position)
}

/// Reads both up to `end` and compares them, events and commands to the byte.
pub async fn compare(from: &dyn Log, to: &dyn Log, end: Position, told: impl Fn(Position)) -> Result<(), CopyError> {
    let mut reached = Position::ZERO;
    while reached < end {
        let (expected, found) = (piece(from, reached, end).await?, piece(to, reached, end).await?);
        if expected != found {
            let differs = expected.0.iter().zip(&found.0).find(|(expected, found)| expected != found);
            return Err(CopyError::Differs(differs.map_or(reached.next(), |(event, _)| event.position)));
        }
        let Some(last) = expected.0.last() else { return Err(CopyError::Differs(reached.next())) };
        reached = last.position;
        told(reached);
    }
    Ok(())
}

/// The events behind a position, up to `end` or to the last one that ends a command, and these commands in their order.
async fn piece(log: &dyn Log, after: Position, end: Position) -> Result<(Vec<Envelope>, Vec<Remembered>), StoreError> {
    let (mut events, mut last) = (Vec::new(), after);
    loop {
        let page = log.read(last, PIECE_EVENTS, &[]).await?;
        let more = page.into_iter().take_while(|event| event.position <= end);
        let before = events.len();
        events.extend(more);
        last = events.last().map_or(after, |last: &Envelope| last.position);
        let mut ids: Vec<_> = events.iter().map(|event| event.command_id).collect();
        ids.dedup();
        let mut commands = log.remembered(&ids).await?;
        commands.sort_unstable_by_key(|command| command.outcome.position);
        commands.retain(|command| command.outcome.position <= last);
        // A page ends by bytes, too, and may be less than a command.
        if let Some(command) = commands.last() {
            events.retain(|event| event.position <= command.outcome.position);
            return Ok((events, commands));
        }
        if events.len() == before {
            return Ok((Vec::new(), commands));
        }
    }
}

/// Whether both have the same event here.
async fn agree(from: &dyn Log, to: &dyn Log, position: Position) -> Result<bool, StoreError> {
    let before = Position(position.0.saturating_sub(1));
    let (expected, found) = (from.read(before, 1, &[]).await?, to.read(before, 1, &[]).await?);
    Ok(position == Position::ZERO || expected == found)
}

async fn tokens(from: &dyn Log, to: &dyn Log) -> Result<(), CopyError> {
    let key = from.token_key().await?;
    if to.token_key().await? != key {
        to.take_token_key(key).await?;
    }
    for token in from.tokens().await? {
        if to.token(token.id).await?.is_none() {
            to.add_token(&token).await?;
        }
        if let Some(at) = token.revoked_at {
            to.revoke_token(token.id, at, token.revoked_by.as_deref()).await?;
        }
    }
    Ok(())
}
