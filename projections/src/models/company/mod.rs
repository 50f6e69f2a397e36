//! The model `company`: what a company defines for itself. Pipelines with their stages, users, teams with their members, and
//! the settings.

mod fold;
mod pipelines;
mod settings;
mod tables;
mod teams;
mod users;

use async_trait::async_trait;
use dealog_events::{Category, Envelope, Event};
use sqlx::AnyConnection;

use super::Model;
use crate::{Dialect, Projection, ProjectionError};

pub use pipelines::{Pipeline, PipelineStage};
pub use settings::Settings;
pub use teams::Team;
pub use users::User;

/// Its name and version.
pub const MODEL: Model = Model { name: "company", version: 2 };

/// The model.
#[derive(Default)]
pub struct Company {
    live: fold::Live,
}

#[async_trait]
impl Projection for Company {
    fn name(&self) -> &'static str {
        MODEL.name
    }

    fn version(&self) -> i64 {
        MODEL.version
    }

    fn tables(&self) -> Vec<&'static str> {
        tables::NAMES.to_vec()
    }

    fn schema(&self, dialect: Dialect) -> Vec<String> {
        tables::schema(dialect)
    }

    fn indexes(&self) -> Vec<String> {
        // There are few rows of each: those that the fold needs do.
        Vec::new()
    }

    fn reads(&self) -> &'static [Category] {
        &[Category::Pipeline, Category::User, Category::Team, Category::Settings]
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        self.live.apply(db, events).await
    }

    fn forget(&mut self) {
        self.live = fold::Live::default();
    }
}
