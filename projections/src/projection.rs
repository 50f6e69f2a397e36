//! What makes a read model.

use async_trait::async_trait;
use dealog_events::{Category, Envelope, Event};
use sqlx::AnyConnection;

use crate::{Dialect, ProjectionError};

/// A read model: its tables and the fold that fills them.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Its name, as in its checkpoint.
    fn name(&self) -> &'static str;

    /// Raised whenever its tables or its fold change: the tables of a version before are made anew.
    fn version(&self) -> i64;

    /// The names of its tables.
    fn tables(&self) -> Vec<&'static str>;

    /// The statements that make its tables, with the indexes that the fold itself looks things up by.
    fn schema(&self, dialect: Dialect) -> Vec<String>;

    /// The statements that make the indexes for queries, where these are missing. A build makes them last, when all rows are there.
    fn indexes(&self) -> Vec<String>;

    /// The kinds of streams whose events it folds, where these are few among all: then its tables are made without a look at the
    /// others. Those of all if there are none.
    fn reads(&self) -> &'static [Category] {
        &[]
    }

    /// Applies events, which follow those applied before without a gap in what it reads, within the transaction that `db` is in.
    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError>;

    /// Forgets what it keeps in memory: the tables may have changed by other hands.
    fn forget(&mut self);
}

/// Events with what they say.
pub(crate) type Decoded = Vec<(Envelope, Event)>;

pub(crate) fn decoded(events: Vec<Envelope>) -> Result<Decoded, ProjectionError> {
    let decode = |envelope: Envelope| match envelope.event() {
        Ok(event) => Ok((envelope, event)),
        Err(source) => Err(ProjectionError::Unreadable { position: envelope.position, source }),
    };
    events.into_iter().map(decode).collect()
}
