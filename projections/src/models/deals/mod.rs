//! The model `deals`: what every deal is and ever was, one row from each event to the next.

mod card;
mod cards;
mod filter;
mod fold;
mod list;
mod tables;

use async_trait::async_trait;
use dealog_events::{Envelope, Event};
use sqlx::AnyConnection;

use super::{Model, history::Live};
use crate::{Dialect, Projection, ProjectionError};

pub use card::{Deal, DealAtVersion, DealStatus};
pub use cards::CardDeal;
pub use filter::Filter;
pub use list::{DealList, DealQuery};

/// Its name and version.
pub const MODEL: Model = Model { name: "deals", version: 5 };

/// The model. Its memory holds the live rows of the open deals that it saw last.
#[derive(Default)]
pub struct Deals {
    live: Live<tables::DealRow>,
}

#[async_trait]
impl Projection for Deals {
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

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        let of_deals = events.iter().filter_map(|(envelope, event)| match event {
            Event::Deal(event) => Some((envelope, event)),
            _ => None,
        });
        self.live.apply(db, &of_deals.collect::<Vec<_>>()).await
    }

    fn forget(&mut self) {
        self.live = Live::default();
    }
}
