//! Deals as they are now, one or many.

use chrono::NaiveDate;
use dealog_events::{
    CampaignId, Currency, CustomerId, DealId, Fields, Money, PipelineId, Position, Probability, Slug, Timestamp,
    UserId, Version, pipeline::ForecastCategory,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, any::AnyRow};
use utoipa::ToSchema;

use super::{
    Filter, Views,
    page::{Found, ListPage, page},
    snapshot::damaged,
    sql::Sql,
    stored::{json, parse, time, version, word},
};
use crate::{
    ProjectionError,
    deals::tables::{DealRow, SpanRow, status},
    table::Row,
};

/// Whether a deal is open, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DealStatus {
    /// Neither won nor lost.
    Open,
    /// Sold.
    Won,
    /// Not sold.
    Lost,
}

/// A deal as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Deal)]
pub struct Deal {
    /// Its id.
    pub id: DealId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// The position of its last event.
    pub position: Position,
    /// What is sold, in a line.
    pub title: String,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it is in, or was closed from.
    pub stage: Slug,
    /// Whether it is open, or how it ended.
    pub status: DealStatus,
    /// To whom.
    pub customer: Option<CustomerId>,
    /// Who is responsible.
    pub owner: Option<UserId>,
    /// For how much.
    pub amount: Option<Money>,
    /// By when, a local day.
    pub expected_close: Option<NaiveDate>,
    /// The chance set by hand; without one its stage's counts.
    pub probability: Option<Probability>,
    /// The forecast category set by hand; without one its stage's counts.
    pub forecast_category: Option<ForecastCategory>,
    /// Where it came from.
    pub source: Option<String>,
    /// The campaign that brought it.
    pub campaign: Option<CampaignId>,
    /// The company's own fields.
    #[schema(value_type = Object)]
    pub fields: Fields,
    /// Won: the contract.
    pub contract: Option<String>,
    /// Lost: the reason.
    pub loss_reason: Option<Slug>,
    /// Lost: whether it counts in figures.
    pub loss_counted: Option<bool>,
    /// Lost: who won it instead.
    pub competitor: Option<String>,
    /// Lost: the deal it repeats.
    pub duplicate_of: Option<DealId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last event occurred.
    pub updated_at: Timestamp,
    /// When it entered its stage.
    pub entered_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

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
    /// By what they are now.
    pub filter: Filter,
    /// Only these.
    pub status: Option<DealStatus>,
    /// Only in this stage.
    pub stage: Option<Slug>,
    /// Which page.
    pub page: ListPage,
}

/// A deal's two rows, joined.
struct DealAndSpan(DealRow, SpanRow);

impl<'r> FromRow<'r, AnyRow> for DealAndSpan {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self(DealRow::from_row(row)?, SpanRow::from_row(row)?))
    }
}

impl Views {
    /// A deal as it is now; none if there is none.
    pub async fn deal(&self, id: DealId, now: Timestamp) -> Result<Found<Deal>, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let mut sql = select_deals();
        sql.push(" WHERE r.deal = ").text(id.to_string());
        let rows: Vec<DealAndSpan> = sql.fetch_all(&mut snapshot.db).await?;
        let item = rows.into_iter().next().map(deal).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }

    /// A page of deals as they are now.
    pub async fn deals(&self, query: &DealQuery, now: Timestamp) -> Result<DealList, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let mut sql = select_deals();
        sql.push(" WHERE r.created_position < ").integer(query.page.after.unwrap_or(i64::MAX));
        query.filter.push_present(&mut sql, "s", snapshot.at, snapshot.zone);
        if let Some(stage) = &query.stage {
            sql.push(" AND s.stage = ").text(stage.to_string());
        }
        match query.status {
            Some(DealStatus::Open) => drop(sql.push(" AND s.status = ").text(status::OPEN)),
            Some(DealStatus::Won) => drop(sql.push(" AND s.status = ").text(status::WON)),
            Some(DealStatus::Lost) => {
                sql.push(" AND s.status IN (").text(status::LOST).push(", ").text(status::EXCLUDED).push(")");
            }
            None => {}
        }
        sql.push(" ORDER BY r.created_position DESC LIMIT ").integer(i64::from(query.page.limit) + 1);
        let rows: Vec<DealAndSpan> = sql.fetch_all(&mut snapshot.db).await?;
        let (rows, next) = page(rows, query.page.limit, |row| row.0.created_position);
        let deals = rows.into_iter().map(deal).collect::<Result<_, _>>()?;
        Ok(DealList { position: snapshot.position, deals, next })
    }
}

fn select_deals() -> Sql {
    let of = |alias: &str, columns: &[(&str, &str)], except: &[&str]| {
        let wanted = columns.iter().filter(|(name, _)| !except.contains(name));
        wanted.map(|(name, _)| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
    };
    let mut sql = Sql::default();
    // Both rows have these; the deal's are the ones meant.
    let shared = ["deal", "position", "created_at"];
    sql.push(&format!(
        "SELECT {}, {} FROM deals r JOIN spans s ON s.position = r.span",
        of("r", DealRow::COLUMNS, &[]),
        of("s", SpanRow::COLUMNS, &shared)
    ));
    sql
}

fn deal(DealAndSpan(row, span): DealAndSpan) -> Result<Deal, ProjectionError> {
    let amount = span.amount.zip(span.currency).map(|(minor, currency)| {
        let currency: Currency = parse(&currency)?;
        Money::from_minor(minor, currency).map_err(|error| damaged(&error))
    });
    let probability = span.probability.map(|basis_points| {
        let basis_points = u16::try_from(basis_points).map_err(|error| damaged(&error))?;
        Probability::from_basis_points(basis_points).map_err(|error| damaged(&error))
    });
    let (status, loss_counted) = match span.status.as_str() {
        status::OPEN => (DealStatus::Open, None),
        status::WON => (DealStatus::Won, None),
        status::LOST => (DealStatus::Lost, Some(true)),
        _ => (DealStatus::Lost, Some(false)),
    };
    Ok(Deal {
        id: parse(&row.deal)?,
        version: version(row.version),
        position: Position(row.position.cast_unsigned()),
        title: row.title,
        pipeline: parse(&span.pipeline)?,
        stage: parse(&span.stage)?,
        status,
        customer: span.customer.as_deref().map(parse).transpose()?,
        owner: span.owner.as_deref().map(parse).transpose()?,
        amount: amount.transpose()?,
        expected_close: span.expected_close.as_deref().map(parse).transpose()?,
        probability: probability.transpose()?,
        forecast_category: span.forecast_category.as_deref().map(word).transpose()?,
        source: span.source,
        campaign: span.campaign.as_deref().map(parse).transpose()?,
        fields: json(&row.fields)?,
        contract: row.contract,
        loss_reason: row.loss_reason.as_deref().map(parse).transpose()?,
        loss_counted,
        competitor: row.competitor,
        duplicate_of: row.duplicate_of.as_deref().map(parse).transpose()?,
        created_at: time(row.created_at)?,
        updated_at: time(row.updated_at)?,
        entered_at: time(span.entered_at)?,
        closed_at: span.closed_at.map(time).transpose()?,
    })
}
