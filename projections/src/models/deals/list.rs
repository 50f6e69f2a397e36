//! The list of deals.

use dealog_events::{Position, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    MODEL,
    card::{Deal, DealStatus, deal},
    filter::Filter,
    tables::DealRow,
};
use crate::{
    ProjectionError,
    models::{ListPage, Lists, Seeing, company, page::page, statement::Statement},
};

/// A page of deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DealList {
    /// The position that the list speaks of.
    pub position: Position,
    /// The deals, newest first.
    pub deals: Vec<Deal>,
    /// What to send as `after` for the next page; null on the last.
    pub next: Option<i64>,
}

/// Which deals to list.
#[derive(Debug, Clone, Default)]
pub struct DealQuery {
    /// By what they are.
    pub filter: Filter,
    /// Only these.
    pub status: Option<DealStatus>,
    /// Only in this stage.
    pub stage: Option<Slug>,
    /// Which page.
    pub page: ListPage,
}

const NOW: &str = "SELECT d.* FROM deals d WHERE d.ended = :forever AND d.created_position < :before AND :wanted ORDER BY \
                   d.created_position DESC LIMIT :limit";

/// Deals in the order of their live rows, of which each has one; and of each the row that was in force.
const THEN: &str = "
    SELECT d.* FROM deals live CROSS JOIN deals d
    WHERE live.ended = :forever AND live.created_position < :before
        AND live.created_position <= :last AND live.created_at <= :latest
        AND d.began = (SELECT past.began FROM deals past WHERE past.created_position = live.created_position AND :in_force)
        AND :wanted
    ORDER BY live.created_position DESC LIMIT :limit";

impl Lists {
    /// A page of deals.
    pub async fn deals(&self, query: &DealQuery, seeing: &Seeing) -> Result<DealList, ProjectionError> {
        let models = if query.filter.names_a_team() { &[MODEL, company::MODEL][..] } else { &[MODEL] };
        let mut snapshot = self.snapshot(models, seeing).await?;
        let statement = if seeing.is_now() {
            Statement::new(NOW)
        } else {
            Statement::new(THEN)
                .value("last", seeing.known_position())
                .value("latest", seeing.until())
                .part("in_force", seeing.in_force("past"))
        };
        let statement = statement
            .value("before", query.page.before())
            .part("wanted", query.condition(seeing))
            .value("limit", query.page.rows());
        let rows: Vec<DealRow> = statement.fetch_all(&mut snapshot.db).await?;
        let (rows, next) = page(rows, query.page.limit, |row| row.created_position);
        let deals = rows.into_iter().map(deal).collect::<Result<_, _>>()?;
        Ok(DealList { position: snapshot.position, deals, next })
    }
}

impl DealQuery {
    fn condition(&self, seeing: &Seeing) -> Statement {
        let mut condition = self.filter.condition(seeing);
        if let Some(stage) = &self.stage {
            condition = condition.and(Statement::new("d.stage = :stage").value("stage", stage.to_string()));
        }
        match self.status {
            None => condition,
            Some(DealStatus::Open) => condition.and(Statement::new("d.status = 'open'")),
            Some(DealStatus::Won) => condition.and(Statement::new("d.status = 'won'")),
            Some(DealStatus::Lost) => condition.and(Statement::new("d.status IN ('lost', 'excluded')")),
        }
    }
}
