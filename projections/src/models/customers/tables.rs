//! The table of the model `customers`.

use crate::{
    dialect::Dialect,
    table::{Row, create},
};

history!(
    /// A customer as it was.
    "customers" of customer, CustomerRow {
        kind: String,
        name: String,
        sector: Option<String>,
        /// JSON object.
        fields: String,
    }
);

pub(super) const NAMES: &[&str] = &[CustomerRow::TABLE];

pub(super) fn schema(dialect: Dialect) -> Vec<String> {
    vec![
        create::<CustomerRow>(dialect),
        "CREATE INDEX IF NOT EXISTS customers_customer ON customers (customer, ended)".to_owned(),
    ]
}

pub(super) fn indexes() -> Vec<String> {
    vec!["CREATE INDEX IF NOT EXISTS customers_created ON customers (created_position, ended)".to_owned()]
}
