//! The models in SQL: what lists, cards and boards are answered from.
//!
//! Each model is a folder: its tables, its fold, and its queries side by side. To add one, write its folder, and add a line to
//! [`all`].
//!
//! **Rows keep history.** Every event of a thing's stream ends one row and begins the next (`history.rs`). A row says from when
//! and up to when it held in the business (`valid_from`, `valid_to`: microseconds, `occurred_at`), and with which event it
//! began and ended (`began`, `ended`: positions). So what something was like at an instant, and what was known of it at a
//! position, are conditions on rows ([`Seeing`]): they can be combined, they cost the same, and nothing is replayed.
//!
//! What depends on two streams (the name of an owner, the chance of a stage, who is in a team) is joined by the query and never
//! stored with a deal. So no row depends on the order in which events of different streams come.

#[macro_use]
mod history;

pub mod company;
pub mod customers;
pub mod deals;
mod page;
mod seeing;
mod snapshot;
mod statement;
mod stored;

use dealog_events::{Envelope, Position};

pub use page::{Found, ListPage, Named};
pub use seeing::Seeing;

use crate::{Database, Projection, ProjectionError, runtime::positions_of};
use snapshot::snapshot;

/// A line names a model: its folder, and its type.
macro_rules! models {
    ($($folder:ident::$model:ident;)+) => {
        /// All models, in the order in which a batch writes them.
        pub fn all() -> Vec<Box<dyn Projection>> {
            vec![$(Box::<$folder::$model>::default()),+]
        }

        /// Their names and versions.
        pub const MODELS: &[Model] = &[$($folder::MODEL),+];
    };
}

models! {
    company::Company;
    customers::Customers;
    deals::Deals;
}

/// A model by its name, in the version that this program folds, which is the only one that its queries understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// As in checkpoints.
    pub name: &'static str,
    /// Of its tables and its fold.
    pub version: i64,
}

/// The read side of the models: lists and cards.
#[derive(Debug, Clone)]
pub struct Lists {
    database: Database,
    least: Position,
}

impl Lists {
    /// Answers from `database`.
    pub fn new(database: Database) -> Self {
        Self { database, least: Position::ZERO }
    }

    /// The same, but refuses with [`ProjectionError::Behind`] what would speak of an earlier position.
    ///
    /// The models may have been there a moment ago and not be there now: their database may have crashed since, and found itself
    /// with what it had written down before.
    #[must_use]
    pub fn at_least(self, position: Position) -> Self {
        Self { least: position, ..self }
    }

    /// The database that is asked.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The position that the models go on from; zero while there are none. A model that has stopped may be behind, and a query that
    /// joins it fails.
    pub async fn position(&self) -> Result<Position, ProjectionError> {
        Ok(self.positions().await?.into_iter().flatten().max().unwrap_or_default())
    }

    /// Whether there are tables of every model.
    pub async fn are_made(&self) -> Result<bool, ProjectionError> {
        Ok(self.positions().await?.iter().all(Option::is_some))
    }

    /// Where each model stands; none where it has no tables that this program understands.
    async fn positions(&self) -> Result<Vec<Option<Position>>, ProjectionError> {
        // Those who wait for a position ask often: this is one statement and no transaction.
        let models: Vec<_> = MODELS.iter().map(|model| (model.name, model.version)).collect();
        positions_of(&mut *self.database.acquire().await?, &models).await
    }

    async fn snapshot(&self, models: &[Model], seeing: &Seeing) -> Result<snapshot::Snapshot<'_>, ProjectionError> {
        let snapshot = snapshot(&self.database, self.least, models).await?;
        // An answer speaks of what was known, if that is what was asked about.
        let position = seeing.known.map_or(snapshot.position, |known| known.min(snapshot.position));
        Ok(snapshot::Snapshot { position, ..snapshot })
    }
}

/// The text of a column that holds JSON.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, ProjectionError> {
    serde_json::to_string(value).map_err(|error| ProjectionError::Database(sqlx::Error::Encode(error.into())))
}

fn unapplicable(envelope: &Envelope, reason: &str) -> ProjectionError {
    ProjectionError::Unapplicable { position: envelope.position, reason: reason.to_owned() }
}
