//! Writing a batch: what it changes in each model, and the checkpoint behind it, in one transaction.
//!
//! To follow the log and to build beside it are both this, over and over.

use std::panic::AssertUnwindSafe;

use dealog_events::{Cursor, Envelope, Event, Position};
use dealog_followers::{Lease, Trouble};
use dealog_store::{StoreError, failpoints, supervised::said};
use futures_util::FutureExt as _;
use sqlx::{
    AnyConnection, Executor as _,
    error::{DatabaseError, ErrorKind},
    postgres::PgDatabaseError,
};

use super::{
    checkpoint::{self, Checkpoint},
    standing,
};
use crate::{Database, Projection, ProjectionError};

/// A model that has tables of its version.
pub(super) struct Model {
    pub(super) projection: Box<dyn Projection>,
    /// What this process last knew of its checkpoint, which another may have moved since.
    pub(super) at: Checkpoint,
    /// The event that it cannot apply, and why.
    pub(super) stopped: Option<(Position, String)>,
    /// A batch was begun and has not ended well: its future may have been dropped, and what the model remembers is then ahead
    /// of its tables.
    under_way: bool,
    /// That it stopped may be written down, by this process or by one before.
    stop_kept: bool,
}

impl Model {
    pub(super) fn new(projection: Box<dyn Projection>, at: Checkpoint) -> Self {
        Self { projection, at, stopped: None, under_way: false, stop_kept: true }
    }

    /// Whether it goes on from this position.
    pub(super) fn goes_on_from(&self, position: Position) -> bool {
        self.stopped.is_none() && self.at.position == position
    }

    /// It is where others have taken it.
    pub(super) fn found(&mut self, at: Checkpoint) {
        self.projection.forget();
        (self.at, self.stop_kept) = (at, true);
    }

    /// It goes no further than before the event at this position.
    pub(super) fn stop(&mut self, position: Position, reason: String) {
        tracing::error!(projection = self.projection.name(), %position, reason, "projection stopped");
        self.projection.forget();
        (self.under_way, self.stop_kept) = (false, true);
        self.stopped = Some((position, reason));
    }

    async fn fold(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        if std::mem::replace(&mut self.under_way, true) {
            self.projection.forget();
        }
        fold(&mut *self.projection, db, events).await
    }

    /// The same, but where an event cannot be applied, the transaction is as it was before.
    async fn try_fold(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        db.execute("SAVEPOINT model").await?;
        let outcome = self.fold(db, events).await;
        match &outcome {
            Ok(()) => {}
            // On PostgreSQL, nothing else is possible after a row that was refused.
            Err(error) if error.poison().is_some() => {
                db.execute("ROLLBACK TO SAVEPOINT model").await?;
            }
            Err(_) => return outcome,
        }
        db.execute("RELEASE SAVEPOINT model").await?;
        outcome
    }
}

/// What became of a batch.
pub(super) enum Written {
    /// It is there.
    All,
    /// Nothing of it is: others have moved a checkpoint meanwhile.
    Nothing,
    /// Nothing of it is: a model that is expected has its tables, and is to be written too.
    Joined,
}

/// Applies events to all of `models` that go on from `from`, and moves these to `reached`, under the lease.
///
/// Nothing happens where a model of those that are `expected`, by name and version, has its tables by now.
///
/// Where one of these cannot apply an event, nothing happens; but if `stop`, that one stays where it is and stops, and the others
/// go on.
pub(super) async fn write(
    database: &Database,
    lease: &Lease,
    models: &mut [Model],
    expected: &[(&'static str, i64)],
    (from, reached): (Position, Cursor),
    events: &[(Envelope, Event)],
    stop: bool,
) -> Result<Written, ProjectionError> {
    let mut db = database.write().await?;
    let found = checkpoint::locked_under(&mut db, lease).await?;
    let mut models: Vec<_> = models.iter_mut().filter(|model| model.goes_on_from(from)).collect();
    if models.iter().any(|model| found.get(model.projection.name()) != Some(&model.at)) {
        db.rollback().await?;
        return Ok(Written::Nothing);
    }
    if expected.iter().any(|(name, version)| found.get(*name).is_some_and(|found| found.version == *version)) {
        db.rollback().await?;
        return Ok(Written::Joined);
    }
    let (mut moved, mut stopped) = (Vec::with_capacity(models.len()), Vec::new());
    for (index, model) in models.iter_mut().enumerate() {
        let outcome = if stop { model.try_fold(&mut db, events).await } else { model.fold(&mut db, events).await };
        let (name, version) = (model.projection.name(), model.at.version);
        match outcome {
            Err(error) if stop && let Some(position) = error.poison() => {
                let reason = error.to_string();
                standing::stops(&mut db, name, version, position, reason.clone()).await?;
                stopped.push((index, position, reason));
                continue;
            }
            outcome => outcome?,
        }
        if model.stop_kept {
            standing::goes_on(&mut db, name, version).await?;
        }
        moved.push(name);
    }
    if !moved.is_empty() {
        checkpoint::move_to(&mut db, &moved, reached).await?;
    }
    failpoints::pass("views-before-commit")?;
    db.commit().await?;
    failpoints::pass("views-after-commit")?;
    for (index, position, reason) in stopped {
        if let Some(model) = models.get_mut(index) {
            model.stop(position, reason);
        }
    }
    for model in models.into_iter().filter(|model| model.stopped.is_none()) {
        model.at = model.at.at(reached);
        (model.under_way, model.stop_kept) = (false, false);
    }
    Ok(Written::All)
}

/// The fold, in which a panic or a row that the tables refuse is an event that cannot be applied like any other.
pub(super) async fn fold(
    projection: &mut dyn Projection,
    db: &mut AnyConnection,
    events: &[(Envelope, Event)],
) -> Result<(), ProjectionError> {
    let position = events.first().map_or(Position::ZERO, |(first, _)| first.position);
    match AssertUnwindSafe(projection.apply(db, events)).catch_unwind().await {
        Ok(Err(ProjectionError::Database(error))) if refused(&error) => {
            tracing::error!(%error, %position, projection = projection.name(), "the tables refuse a row");
            Err(ProjectionError::Unapplicable { position, reason: refusal(&error) })
        }
        Ok(outcome) => outcome,
        Err(panic) => {
            let reason = format!("the fold panicked: {}", said(panic.as_ref()));
            Err(ProjectionError::Unapplicable { position, reason })
        }
    }
}

/// What to tell whoever follows of an error.
pub(super) fn trouble(error: &ProjectionError) -> Trouble {
    match error {
        ProjectionError::LeaseLost => Trouble::Moved,
        error if let Some(position) = error.poison() => Trouble::Poison { position, reason: error.to_string() },
        error if error.may_pass() => Trouble::Away(error.in_words()),
        error => Trouble::Ended(error.to_string()),
    }
}

impl From<Trouble> for ProjectionError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Poison { position, reason } => Self::Unapplicable { position, reason },
            Trouble::Moved => Self::LeaseLost,
            Trouble::Away(reason) => Self::Away(reason),
            Trouble::Ended(reason) => Self::Ended(reason),
        }
    }
}

impl ProjectionError {
    /// Where the event stands that stops the projection, if that is what this is about.
    pub fn poison(&self) -> Option<Position> {
        match self {
            Self::Unreadable { position, .. }
            | Self::Unapplicable { position, .. }
            | Self::ModelStopped { position, .. }
            | Self::Store(StoreError::Damaged { position, .. }) => Some(*position),
            _ => None,
        }
    }

    /// Whether it is worth while to try again what failed.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Store(_) | Self::BuildDamaged(_) | Self::WorkerFailed | Self::Away(_))
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
