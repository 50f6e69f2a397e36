//! Customers: a list, and one of them.

use dealog_events::{CustomerId, Fields, Version};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MODEL, tables::CustomerRow};
use crate::{
    ProjectionError,
    models::{
        Found, ListPage, Lists, Named, Seeing,
        page::page,
        statement::Statement,
        stored::{json, parse, version},
    },
};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// What it is.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// The trade it is in.
    pub sector: Option<String>,
    /// The company's own fields.
    #[schema(value_type = Object)]
    pub fields: Fields,
}

const PAGE: &str = "SELECT c.* FROM customers c WHERE :in_force AND c.created_position < :before ORDER BY \
                    c.created_position DESC LIMIT :limit";

const ONE: &str = "SELECT c.* FROM customers c WHERE c.customer = :customer AND :in_force";

impl Lists {
    /// A page of customers, the newest first.
    pub async fn customers(&self, of: ListPage, seeing: &Seeing) -> Result<Named<Customer>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let statement = Statement::new(PAGE)
            .part("in_force", seeing.in_force("c"))
            .value("before", of.before())
            .value("limit", of.rows());
        let rows: Vec<CustomerRow> = statement.fetch_all(&mut snapshot.db).await?;
        let (rows, next) = page(rows, of.limit, |row| row.created_position);
        let items = rows.into_iter().map(customer).collect::<Result<_, _>>()?;
        Ok(Named { position: snapshot.position, items, next })
    }

    /// A customer.
    pub async fn customer(&self, id: CustomerId, seeing: &Seeing) -> Result<Found<Customer>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let statement = Statement::new(ONE).value("customer", id.to_string()).part("in_force", seeing.in_force("c"));
        let item = statement.fetch_one(&mut snapshot.db).await?.map(customer).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }
}

fn customer(row: CustomerRow) -> Result<Customer, ProjectionError> {
    Ok(Customer {
        id: parse(&row.customer)?,
        version: version(row.version),
        kind: row.kind,
        name: row.name,
        sector: row.sector,
        fields: json(&row.fields)?,
    })
}
