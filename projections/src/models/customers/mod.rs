//! The model `customers`: to whom deals are sold.

mod cards;
mod fold;
mod tables;

use async_trait::async_trait;
use dealog_events::{Category, Envelope, Event};
use sqlx::AnyConnection;

use super::{Model, history::Live};
use crate::{Dialect, Projection, ProjectionError};

pub use cards::Customer;

/// Its name and version.
pub const MODEL: Model = Model { name: "customers", version: 1 };

/// The model.
#[derive(Default)]
pub struct Customers {
    live: Live<tables::CustomerRow>,
}

#[async_trait]
impl Projection for Customers {
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
        tables::indexes()
    }

    fn reads(&self) -> &'static [Category] {
        &[Category::Customer]
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        let of_customers = events.iter().filter_map(|(envelope, event)| match event {
            Event::Customer(event) => Some((envelope, event)),
            _ => None,
        });
        self.live.apply(db, &of_customers.collect::<Vec<_>>()).await
    }

    fn forget(&mut self) {
        self.live = Live::default();
    }
}
