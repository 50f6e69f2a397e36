//! Applying events: a batch and the checkpoint behind it in one transaction, whichever database the tables are in. To
//! follow the log and to build beside it are both this, over and over.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use dealog_events::{Envelope, Event, Position};
use dealog_store::{EventStore, StoreError, failpoints, supervised::said};
use futures_util::FutureExt as _;
use sqlx::{
    AnyConnection,
    error::{DatabaseError, ErrorKind},
    postgres::PgDatabaseError,
};
use tokio::task::JoinHandle;

use crate::{
    Checkpoint, Database, Limits, Projection, ProjectionError, checkpoint,
    lease::Lease,
    projection::{Decoded, decoded},
    standing,
};

/// A projection, the log that it is folded from, and its limits.
pub(crate) struct Applier {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) projection: Box<dyn Projection>,
    pub(crate) limits: Limits,
    /// A batch was begun and has not ended: its future may have been dropped, and what the projection remembers is then
    /// ahead of its tables.
    under_way: bool,
    /// The page behind the last one, which is read and decoded while that is folded and written: where a log is long, they
    /// take turns no more.
    ahead: Option<(Position, JoinHandle<Decoded>)>,
}

impl Applier {
    pub(crate) fn new(store: Arc<dyn EventStore>, projection: Box<dyn Projection>, limits: Limits) -> Self {
        Self { store, projection, limits, under_way: false, ahead: None }
    }

    /// Applies the events that follow `at`, at most `events_max`. False where there were none. Tables that others may have
    /// a lease of are written under it only.
    ///
    /// Where one of them cannot be applied, `events_max` is halved and nothing else happens: called again and again, this
    /// comes to apply all before that event, and then gives its error.
    pub(crate) async fn next(
        &mut self,
        database: &Database,
        lease: Option<&mut Lease>,
        at: &mut Checkpoint,
        events_max: &mut usize,
    ) -> Result<bool, ProjectionError> {
        let (tried, outcome) = match self.read(at.position, *events_max).await {
            Ok(events) => {
                let Some((last, _)) = events.last() else { return Ok(false) };
                let next = Checkpoint { position: last.position, ..at.clone() };
                // A page ends by bytes, too.
                if events.len() == *events_max || last.position < *self.store.watch().borrow() {
                    self.read_ahead(last.position, *events_max);
                }
                (events.len(), self.apply(database, lease, at, next, &events).await)
            }
            Err(error) => (*events_max, Err(error)),
        };
        self.under_way = false;
        match outcome {
            Ok(reached) => *at = reached,
            Err(error) => {
                self.projection.forget();
                if error.poison().is_none() || tried == 1 {
                    return Err(error);
                }
                *events_max = tried / 2;
            }
        }
        Ok(true)
    }

    async fn read(&mut self, after: Position, events_max: usize) -> Result<Decoded, ProjectionError> {
        if let Some((from, ahead)) = self.ahead.take()
            && from == after
            && let Ok(events) = ahead.await
            && (1..=events_max).contains(&events.len())
        {
            return Ok(events);
        }
        page(self.store.as_ref(), after, events_max).await
    }

    /// Begins to read the page behind `after`. What cannot be read now is read when its turn comes.
    pub(crate) fn read_ahead(&mut self, after: Position, events_max: usize) {
        let store = Arc::clone(&self.store);
        let events = async move { page(store.as_ref(), after, events_max).await.unwrap_or_default() };
        self.ahead = Some((after, tokio::spawn(events)));
    }

    /// Goes from one checkpoint to the next; or to where another worker has taken the tables meanwhile.
    async fn apply(
        &mut self,
        database: &Database,
        lease: Option<&mut Lease>,
        at: &Checkpoint,
        next: Checkpoint,
        events: &[(Envelope, Event)],
    ) -> Result<Checkpoint, ProjectionError> {
        if std::mem::replace(&mut self.under_way, true) {
            self.projection.forget();
        }
        let name = self.projection.name();
        let begun = Instant::now();
        let mut db = database.write().await?;
        if let Some(lease) = &lease {
            lease.renew_in(&mut db).await?;
        }
        let found = checkpoint::locked(&mut db, name).await?;
        if found.as_ref() != Some(at) {
            db.rollback().await?;
            self.projection.forget();
            let found = found.ok_or_else(|| ProjectionError::Damaged("a checkpoint is gone".into()))?;
            found.must_be_of(self.projection.version())?;
            return Ok(found);
        }
        self.fold(&mut db, events).await?;
        checkpoint::save(&mut db, name, &next).await?;
        standing::goes_on(&mut db, name, next.version).await?;
        failpoints::pass("views-before-commit")?;
        db.commit().await?;
        failpoints::pass("views-after-commit")?;
        if let Some(lease) = lease {
            lease.renewed(begun);
        }
        Ok(next)
    }

    /// The fold, in which a panic or a row that the tables refuse is an event that cannot be applied like any other.
    async fn fold(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        let position = events.first().map_or(Position::ZERO, |(first, _)| first.position);
        match AssertUnwindSafe(self.projection.apply(db, events)).catch_unwind().await {
            Ok(Err(ProjectionError::Database(error))) if refused(&error) => {
                tracing::error!(%error, %position, "the tables refuse a row");
                Err(ProjectionError::Unapplicable { position, reason: refusal(&error) })
            }
            Ok(outcome) => outcome,
            Err(panic) => {
                let reason = format!("the fold panicked: {}", said(panic.as_ref()));
                Err(ProjectionError::Unapplicable { position, reason })
            }
        }
    }
}

/// The events behind `after`, read and decoded.
async fn page(store: &dyn EventStore, after: Position, events_max: usize) -> Result<Decoded, ProjectionError> {
    decoded(store.read(after, events_max, &[]).await?)
}

impl ProjectionError {
    /// Where the event stands that stops the projection, if that is what this is about.
    pub fn poison(&self) -> Option<Position> {
        match self {
            Self::Unreadable { position, .. }
            | Self::Unapplicable { position, .. }
            | Self::Store(StoreError::Damaged { position, .. }) => Some(*position),
            _ => None,
        }
    }
}

/// Whether the database refused a value, which it would do again, rather than failed.
fn refused(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => !matches!(error.kind(), ErrorKind::Other) || is_data_exception(error.as_ref()),
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

/// What a refusal is about, without the database's words, which may repeat what is in the row.
fn refusal(error: &sqlx::Error) -> String {
    let error = error.as_database_error();
    let named = error.and_then(|error| error.constraint().or_else(|| error.table()).map(ToOwned::to_owned));
    let code = error.and_then(DatabaseError::code).map(|code| format!(", code {code}")).unwrap_or_default();
    let named = named.map(|name| format!(" by {name}")).unwrap_or_default();
    format!("the tables refuse a row of it{named}{code}; the log says more")
}

/// Class 22 of PostgreSQL: a value that its type cannot hold.
fn is_data_exception(error: &dyn DatabaseError) -> bool {
    let of_postgres = error.try_downcast_ref::<PgDatabaseError>().is_some();
    of_postgres && error.code().is_some_and(|code| code.starts_with("22"))
}
