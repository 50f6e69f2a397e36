//! Users: a list, and one of them.

use dealog_events::{UserId, Version, user::Roles};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MODEL, tables::UserRow};
use crate::{
    ProjectionError,
    models::{
        Found, ListPage, Lists, Named, Seeing,
        page::page,
        statement::Statement,
        stored::{json, parse, version},
    },
};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = User)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The version of their stream: its `ETag`.
    pub version: Version,
    /// What they are called.
    pub name: String,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// What they may do.
    pub roles: Roles,
    /// Whether they may do anything.
    pub active: bool,
}

const PAGE: &str = "SELECT u.* FROM users u WHERE :in_force AND u.created_position < :before ORDER BY u.created_position \
                    DESC LIMIT :limit";

const ONE: &str = "SELECT u.* FROM users u WHERE u.user_id = :user AND :in_force";

impl Lists {
    /// A page of users, the newest first.
    pub async fn users(&self, of: ListPage, seeing: &Seeing) -> Result<Named<User>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let statement = Statement::new(PAGE)
            .part("in_force", seeing.in_force("u"))
            .value("before", of.before())
            .value("limit", of.rows());
        let rows: Vec<UserRow> = statement.fetch_all(&mut snapshot.db).await?;
        let (rows, next) = page(rows, of.limit, |row| row.created_position);
        let items = rows.into_iter().map(user).collect::<Result<_, _>>()?;
        Ok(Named { position: snapshot.position, items, next })
    }

    /// A user.
    pub async fn user(&self, id: UserId, seeing: &Seeing) -> Result<Found<User>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let statement = Statement::new(ONE).value("user", id.to_string()).part("in_force", seeing.in_force("u"));
        let item = statement.fetch_one(&mut snapshot.db).await?.map(user).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }
}

fn user(row: UserRow) -> Result<User, ProjectionError> {
    Ok(User {
        id: parse(&row.user_id)?,
        version: version(row.version),
        name: row.name,
        email: row.email,
        roles: json(&row.roles)?,
        active: row.active == 1,
    })
}
