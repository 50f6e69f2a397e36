//! The projection `deals`: where every deal stands and ever stood, and the reference data that figures need.
//!
//! History is kept as rows, so that "as of" is a query and not a replay:
//!
//! - `spans`: what a deal was like from one instant to the next. The live row has no end.
//! - `visits`: each stay of a deal in a stage, and how it ended.
//! - `deals`: what only the present deal needs.
//! - `pipelines`, `stages`, `users`, `teams`, `members`, `customers`, `settings`: each definition with the time it stood.
//! - `clock`: how late the log says it is, whatever the clock of the server that is asked says.
//!
//! Whatever depends on two streams (the order of stages, the chance of a stage, who is in a team) is joined when it is
//! asked for and never stored with a deal. So the tables do not depend on the order in which events of different streams
//! of the same instant are read, and a past figure does not move when a definition changes.

mod clock;
mod fold;
mod past;
pub mod query;
mod reference;
mod tables;

use async_trait::async_trait;
use dealog_events::{Envelope, Event};
use sqlx::AnyConnection;

use crate::{Dialect, Projection, ProjectionError};

pub use past::{Past, PastLimits};
pub use query::Views;

/// The projection. Its memory holds the live rows of the deals it saw last.
#[derive(Default)]
pub struct Deals {
    live: fold::Live,
}

#[async_trait]
impl Projection for Deals {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i64 {
        VERSION
    }

    fn tables(&self) -> Vec<&'static str> {
        tables::NAMES.to_vec()
    }

    fn schema(&self, dialect: Dialect) -> Vec<String> {
        tables::schema(dialect)
    }

    fn indexes(&self) -> Vec<String> {
        tables::indexes()
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        let (deals, others): (Vec<_>, Vec<_>) = events.iter().partition(|(_, event)| matches!(event, Event::Deal(_)));
        self.live.apply(db, &deals).await?;
        reference::apply(db, &others).await?;
        clock::apply(db, events).await
    }

    fn forget(&mut self) {
        self.live = fold::Live::default();
    }
}

/// The name of this projection.
pub const NAME: &str = "deals";

/// The version that this program folds, and the only one that its queries understand.
pub const VERSION: i64 = 3;

/// The text of a column that holds JSON.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, ProjectionError> {
    serde_json::to_string(value).map_err(|error| ProjectionError::Database(sqlx::Error::Encode(error.into())))
}

fn unapplicable(envelope: &Envelope, reason: &str) -> ProjectionError {
    ProjectionError::Unapplicable { position: envelope.position, reason: reason.to_owned() }
}
