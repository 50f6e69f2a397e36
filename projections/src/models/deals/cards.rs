//! What is written on cards: a deal's row, with names that belong to others.

use std::collections::HashMap;

use dealog_events::DealId;
use sqlx::{FromRow, any::AnyRow};

use super::{
    MODEL,
    card::{Deal, deal},
    tables::DealRow,
};
use crate::{
    ProjectionError,
    models::{Lists, Seeing, company, customers, json, statement::Statement},
};

/// A deal with the names of those that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDeal {
    /// The deal.
    pub deal: Deal,
    /// What the customer is called.
    pub customer_name: Option<String>,
    /// What the owner is called.
    pub owner_name: Option<String>,
}

/// The rows of a deal are found by its place in lists, which its live row names.
const CARDS: &str = "
    SELECT d.*, c.name AS customer_name, u.name AS owner_name
    FROM deals live JOIN deals d ON d.created_position = live.created_position AND :in_force
    LEFT JOIN customers c ON c.customer = d.customer AND :customer_in_force
    LEFT JOIN users u ON u.user_id = d.owner AND :user_in_force
    WHERE live.ended = :forever AND live.deal IN (:deals)";

struct CardRow {
    deal: DealRow,
    customer_name: Option<String>,
    owner_name: Option<String>,
}

impl<'r> FromRow<'r, AnyRow> for CardRow {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        Ok(Self {
            deal: DealRow::from_row(row)?,
            customer_name: row.try_get("customer_name")?,
            owner_name: row.try_get("owner_name")?,
        })
    }
}

impl Lists {
    /// What is written on the cards of these deals, of those that there are.
    pub async fn cards(&self, ids: &[DealId], seeing: &Seeing) -> Result<HashMap<DealId, CardDeal>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL, company::MODEL, customers::MODEL], seeing).await?;
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let items = self.database().dialect().items(":ids", "TEXT");
        let cards = Statement::new(CARDS)
            .part("in_force", seeing.in_force("d"))
            .part("customer_in_force", seeing.in_force("c"))
            .part("user_in_force", seeing.in_force("u"))
            .part("deals", Statement::new(&items).value("ids", json(&ids)?));
        let rows: Vec<CardRow> = cards.fetch_all(&mut snapshot.db).await?;
        let card = |CardRow { deal: row, customer_name, owner_name }| {
            let deal = deal(row)?;
            Ok((deal.id, CardDeal { deal, customer_name, owner_name }))
        };
        rows.into_iter().map(card).collect()
    }
}
