//! One deal: as it is, as it was, as it was known, or at a version of its stream.

use chrono::NaiveDate;
use dealog_events::{
    CampaignId, CustomerId, DealId, Fields, Money, PipelineId, Position, Probability, Slug, Timestamp, UserId, Version,
    pipeline::ForecastCategory,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    MODEL,
    tables::{DealRow, status},
};
use crate::{
    ProjectionError,
    models::{
        Found, Lists, Seeing,
        statement::Statement,
        stored::{json, maybe, money, parse, probability, time, version, word},
    },
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

/// A deal.
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
    /// When it was closed in the business.
    pub closed_at: Option<Timestamp>,
    /// Closed: the user whom figures credit with the closing, even if someone else owns the deal now.
    pub credited_to: Option<UserId>,
}

/// A deal at a version of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DealAtVersion {
    /// The deal; none where there is no such deal, or no such version of it.
    pub found: Found<Deal>,
    /// The last version of its stream; zero where there is no such deal.
    pub last: Version,
}

const NOW: &str = "SELECT d.* FROM deals d WHERE d.deal = :deal AND d.ended = :forever";

/// The rows of a deal are found by its place in lists, which its live row names.
const THEN: &str = "SELECT d.* FROM deals live CROSS JOIN deals d WHERE live.deal = :deal AND live.ended = :forever AND \
                    d.created_position = live.created_position AND :in_force";

const AT_VERSION: &str =
    "SELECT d.* FROM deals d WHERE d.created_position = :created_position AND d.version = :version";

impl Lists {
    /// A deal; none if there is none.
    pub async fn deal(&self, id: DealId, seeing: &Seeing) -> Result<Found<Deal>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let statement = if seeing.is_now() {
            Statement::new(NOW)
        } else {
            Statement::new(THEN).part("in_force", seeing.in_force("d"))
        };
        let row = statement.value("deal", id.to_string()).fetch_one(&mut snapshot.db).await?;
        Ok(Found { position: snapshot.position, item: row.map(deal).transpose()? })
    }

    /// A deal at a version of its stream.
    pub async fn deal_at_version(&self, id: DealId, wanted: Version) -> Result<DealAtVersion, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], &Seeing::default()).await?;
        let live = Statement::new(NOW).value("deal", id.to_string());
        let live: Option<DealRow> = live.fetch_one(&mut snapshot.db).await?;
        let last = live.as_ref().map_or(Version::ZERO, |live| version(live.version));
        let row = match live {
            Some(live) if wanted < last => {
                let at_version = Statement::new(AT_VERSION)
                    .value("created_position", live.created_position)
                    .value("version", wanted.0.cast_signed());
                at_version.fetch_one(&mut snapshot.db).await?
            }
            live => live.filter(|_| wanted == last),
        };
        let item = row.map(deal).transpose()?;
        Ok(DealAtVersion { found: Found { position: snapshot.position, item }, last })
    }
}

/// Every column is named: a new one must be shown, or said to be for others.
pub(super) fn deal(row: DealRow) -> Result<Deal, ProjectionError> {
    let DealRow {
        began,
        valid_from,
        deal,
        version: of_stream,
        pipeline,
        stage,
        status,
        entered_at,
        created_at,
        closed_at,
        customer,
        owner,
        source,
        campaign,
        amount,
        currency,
        probability: of_deal,
        forecast_category,
        expected_close,
        title,
        fields,
        contract,
        loss_reason,
        competitor,
        duplicate_of,
        credited_to,
        // Where the row stands in lists and in its history.
        created_position: _,
        ended: _,
        valid_to: _,
    } = row;
    let (status, loss_counted) = match status.as_str() {
        status::OPEN => (DealStatus::Open, None),
        status::WON => (DealStatus::Won, None),
        status::LOST => (DealStatus::Lost, Some(true)),
        _ => (DealStatus::Lost, Some(false)),
    };
    Ok(Deal {
        id: parse(&deal)?,
        version: version(of_stream),
        position: Position(began.cast_unsigned()),
        title,
        pipeline: parse(&pipeline)?,
        stage: parse(&stage)?,
        status,
        customer: maybe(customer.as_deref())?,
        owner: maybe(owner.as_deref())?,
        amount: money(amount, currency.as_deref())?,
        expected_close: maybe(expected_close.as_deref())?,
        probability: of_deal.map(probability).transpose()?,
        forecast_category: forecast_category.as_deref().map(word).transpose()?,
        source,
        campaign: maybe(campaign.as_deref())?,
        fields: json(&fields)?,
        contract,
        loss_reason: maybe(loss_reason.as_deref())?,
        loss_counted,
        competitor,
        duplicate_of: maybe(duplicate_of.as_deref())?,
        created_at: time(created_at)?,
        updated_at: time(valid_from)?,
        entered_at: time(entered_at)?,
        closed_at: closed_at.map(time).transpose()?,
        credited_to: maybe(credited_to.as_deref())?,
    })
}
