//! Teams with their members: a list, and one of them.

use std::collections::HashMap;

use dealog_events::{TeamId, UserId, Version};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    MODEL,
    tables::{MemberRow, TeamRow},
};
use crate::{
    ProjectionError,
    models::{
        Found, ListPage, Lists, Named, Seeing,
        page::page,
        statement::Statement,
        stored::{parse, version},
    },
};

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Team)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// What it is called.
    pub name: String,
    /// Who is in it.
    pub members: Vec<UserId>,
}

const PAGE: &str = "SELECT t.* FROM teams t WHERE :in_force AND t.created_position < :before ORDER BY t.created_position \
                    DESC LIMIT :limit";

const MEMBERS: &str = "SELECT m.* FROM members m WHERE :in_force ORDER BY m.began";

const ONE: &str = "SELECT t.* FROM teams t WHERE t.team = :team AND :in_force";

const MEMBERS_OF_ONE: &str = "SELECT m.* FROM members m WHERE m.team = :team AND :in_force ORDER BY m.began";

impl Lists {
    /// A page of teams, the newest first.
    pub async fn teams(&self, of: ListPage, seeing: &Seeing) -> Result<Named<Team>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let statement = Statement::new(PAGE)
            .part("in_force", seeing.in_force("t"))
            .value("before", of.before())
            .value("limit", of.rows());
        let rows: Vec<TeamRow> = statement.fetch_all(&mut snapshot.db).await?;
        let (rows, next) = page(rows, of.limit, |row| row.created_position);
        let members = Statement::new(MEMBERS).part("in_force", seeing.in_force("m"));
        let mut of_teams: HashMap<String, Vec<MemberRow>> = HashMap::new();
        for member in members.fetch_all::<MemberRow>(&mut snapshot.db).await? {
            of_teams.entry(member.team.clone()).or_default().push(member);
        }
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let members = of_teams.remove(&row.team).unwrap_or_default();
            items.push(team(row, &members)?);
        }
        Ok(Named { position: snapshot.position, items, next })
    }

    /// A team.
    pub async fn team(&self, id: TeamId, seeing: &Seeing) -> Result<Found<Team>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let one =
            |text, alias| Statement::new(text).value("team", id.to_string()).part("in_force", seeing.in_force(alias));
        let Some(row) = one(ONE, "t").fetch_one(&mut snapshot.db).await? else {
            return Ok(Found { position: snapshot.position, item: None });
        };
        let members: Vec<MemberRow> = one(MEMBERS_OF_ONE, "m").fetch_all(&mut snapshot.db).await?;
        Ok(Found { position: snapshot.position, item: Some(team(row, &members)?) })
    }
}

fn team(row: TeamRow, members: &[MemberRow]) -> Result<Team, ProjectionError> {
    let members = members.iter().map(|member| parse(&member.user_id)).collect::<Result<_, _>>()?;
    Ok(Team { id: parse(&row.team)?, version: version(row.version), name: row.name, members })
}
