//! The board: open deals by stage, in pages.

use chrono::NaiveDate;
use dealog_events::{Currency, CustomerId, DealId, Money, PipelineId, Probability, Slug, Timestamp, UserId, Version};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Scope, Views,
    page::page,
    snapshot::{Snapshot, damaged},
    stages::{PipelineAt, push_stages},
    stored::{parse, time},
};
use crate::{
    ProjectionError,
    deals::tables::{FOREVER, StageRow, status},
    figures::{Days, Seen},
};

/// The board of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    /// What it speaks of.
    #[serde(flatten)]
    pub seen: Seen,
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Its stages in order.
    pub columns: Vec<BoardColumn>,
}

/// The open deals of a stage, longest in it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    /// Which stage.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// How many there are, beyond this page too.
    pub deals: i64,
    /// This page of them.
    pub cards: Vec<Card>,
    /// What to send as `after`, with `stage`, for the next page; null on the last.
    pub next: Option<i64>,
}

/// A deal on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Card {
    /// The deal.
    pub deal: DealId,
    /// The version of its stream now: its `ETag`.
    pub version: Version,
    /// What is sold, in a line.
    pub title: String,
    /// To whom.
    pub customer: Option<CustomerId>,
    /// What the customer is called.
    pub customer_name: Option<String>,
    /// Who is responsible.
    pub owner: Option<UserId>,
    /// What the owner is called.
    pub owner_name: Option<String>,
    /// For how much.
    pub amount: Option<Money>,
    /// The chance that counts: the deal's own, else its stage's.
    pub probability: Probability,
    /// By when.
    pub expected_close: Option<NaiveDate>,
    /// When it entered the stage.
    pub entered_at: Timestamp,
    /// Days since then.
    pub age_days: Option<Days>,
    /// Whether that is longer than the stage allows.
    pub stale: bool,
    /// Whether the expected close lies before the local day.
    pub overdue: bool,
}

/// Which part of the board.
#[derive(Debug, Clone, Default)]
pub struct BoardPage {
    /// Cards of each column, at most.
    pub limit: u32,
    /// Only this column.
    pub stage: Option<Slug>,
    /// Behind the card that this `next` named; goes with `stage`.
    pub after: Option<i64>,
}

/// Deal, version, title, customer, its name, owner, their name, amount, currency, chance, expected close, entered, stale
/// limit, the card's place in its column.
type CardRow = (
    String,
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<String>,
    i64,
    Option<String>,
    i64,
    i64,
    i64,
);

impl Views {
    /// The board of the filter's pipeline; without one, of the oldest pipeline.
    pub async fn board(&self, scope: &Scope, page: &BoardPage) -> Result<Board, ProjectionError> {
        let mut snapshot = self.snapshot(scope).await?;
        let pipelines = snapshot.pipelines(&scope.filter).await?;
        let Some(pipeline) = pipelines.first() else {
            let message = "there is no pipeline yet: define one with POST /v1/pipelines".into();
            return Err(ProjectionError::Query { field: "pipeline", message });
        };
        let mut stages: Vec<&StageRow> = pipeline.stages.iter().collect();
        if let Some(wanted) = &page.stage {
            stages.retain(|stage| stage.stage == wanted.as_str());
            if stages.is_empty() {
                let message = format!("`{wanted}` is not a stage of the pipeline {}", pipeline.name);
                return Err(ProjectionError::Query { field: "stage", message });
            }
        }
        let mut columns = Vec::with_capacity(stages.len());
        for stage in stages {
            columns.push(snapshot.column(scope, pipeline, stage, page).await?);
        }
        Ok(Board { seen: snapshot.seen(), pipeline: parse(&pipeline.id)?, name: pipeline.name.clone(), columns })
    }
}

impl Snapshot<'_> {
    async fn column(
        &mut self,
        scope: &Scope,
        pipeline: &PipelineAt,
        stage: &StageRow,
        wanted: &BoardPage,
    ) -> Result<BoardColumn, ProjectionError> {
        let mut filter = scope.filter.clone();
        filter.pipeline = Some(parse(&pipeline.id)?);
        let mut sql = self.deals(&[status::OPEN], &filter);
        sql.push(" SELECT COUNT(*) FROM d WHERE d.stage = ").text(stage.stage.clone());
        let deals = sql.fetch_all::<(i64,)>(&mut self.db).await?.first().map_or(0, |row| row.0);

        let mut sql = self.deals(&[status::OPEN], &filter);
        push_stages(&mut sql, std::slice::from_ref(pipeline));
        // A place that is the same on every page, whatever the order in which the log has events of one instant.
        sql.push(
            ", c AS (SELECT d.*, r.title, r.version, ROW_NUMBER() OVER (ORDER BY d.entered_at, d.created_at, d.deal) AS \
             place FROM d JOIN deals r ON r.deal = d.deal WHERE d.stage = ",
        );
        sql.text(stage.stage.clone());
        sql.push(
            ") SELECT c.deal, c.version, c.title, c.customer, k.name, c.owner, u.name, c.amount, c.currency, \
             COALESCE(c.probability, st.probability), c.expected_close, c.entered_at, st.stale_micros, c.place FROM c \
             JOIN st ON st.pipeline = c.pipeline AND st.stage = c.stage LEFT JOIN customers k ON k.customer = c.customer \
             AND k.valid_to = ",
        );
        sql.integer(FOREVER).push(" LEFT JOIN users u ON u.user_id = c.owner AND u.valid_to = ").integer(FOREVER);
        sql.push(" WHERE c.place > ").integer(wanted.after.unwrap_or(0)).push(" ORDER BY c.place LIMIT ");
        sql.integer(i64::from(wanted.limit) + 1);
        let rows: Vec<CardRow> = sql.fetch_all(&mut self.db).await?;
        let (rows, next) = page(rows, wanted.limit, |row| row.13);
        let cards = rows.into_iter().map(|row| self.card(row)).collect::<Result<_, _>>()?;
        Ok(BoardColumn { stage: parse(&stage.stage)?, name: stage.name.clone(), deals, cards, next })
    }

    fn card(&self, row: CardRow) -> Result<Card, ProjectionError> {
        let (deal, version, title, customer, customer_name, owner, owner_name, minor, currency, ..) = row;
        let (.., chance, expected_close, entered_at, stale_micros, _) = row;
        let amount = minor.zip(currency).map(|(minor, currency)| {
            let currency: Currency = parse(&currency)?;
            Money::from_minor(minor, currency).map_err(|error| damaged(&error))
        });
        let expected_close: Option<NaiveDate> = expected_close.as_deref().map(parse).transpose()?;
        let age_micros = self.at.micros() - entered_at;
        let chance = u16::try_from(chance).map_err(|error| damaged(&error))?;
        Ok(Card {
            deal: parse(&deal)?,
            version: Version(version.cast_unsigned()),
            title,
            customer: customer.as_deref().map(parse).transpose()?,
            customer_name,
            owner: owner.as_deref().map(parse).transpose()?,
            owner_name,
            amount: amount.transpose()?,
            probability: Probability::from_basis_points(chance).map_err(|error| damaged(&error))?,
            expected_close,
            entered_at: time(entered_at)?,
            age_days: Days::mean(age_micros.into(), 1),
            stale: age_micros > stale_micros,
            overdue: expected_close.is_some_and(|day| day < self.today()),
        })
    }
}
