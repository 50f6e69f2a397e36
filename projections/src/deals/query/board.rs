//! The board: open deals by stage, in pages.

use std::{fmt, str::FromStr};

use chrono::NaiveDate;
use dealog_events::{Currency, CustomerId, DealId, Money, PipelineId, Probability, Slug, Timestamp, UserId, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{PartialSchema, ToSchema};

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
    pub next: Option<BoardCursor>,
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
    pub after: Option<BoardCursor>,
}

/// A place in a column: that of a card which may have been moved away since. Columns are in the order of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoardCursor {
    entered_at: Timestamp,
    created_at: Timestamp,
    deal: DealId,
}

impl fmt::Display for BoardCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.entered_at.micros(), self.created_at.micros(), self.deal)
    }
}

impl FromStr for BoardCursor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let unfit = || "expected the `next` of the page before, as it was".to_owned();
        let mut parts = text.splitn(3, '_');
        let mut part = || parts.next().ok_or_else(unfit);
        let time =
            |text: &str| text.parse().ok().and_then(|micros| Timestamp::from_micros(micros).ok()).ok_or_else(unfit);
        Ok(Self { entered_at: time(part()?)?, created_at: time(part()?)?, deal: part()?.parse().map_err(|_| unfit())? })
    }
}

impl Serialize for BoardCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BoardCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for BoardCursor {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("A place in a column of the board."))
            .into()
    }
}

impl ToSchema for BoardCursor {}

/// Deal, version, title, customer, its name, owner, their name, amount, currency, chance, expected close, entered, stale
/// limit, created.
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
        sql.push(
            " SELECT d.deal, r.version, r.title, d.customer, k.name, d.owner, u.name, d.amount, d.currency, \
             COALESCE(d.probability, st.probability), d.expected_close, d.entered_at, st.stale_micros, d.created_at FROM d \
             JOIN deals r ON r.deal = d.deal JOIN st ON st.pipeline = d.pipeline AND st.stage = d.stage LEFT JOIN customers \
             k ON k.customer = d.customer AND k.valid_to = ",
        );
        sql.integer(FOREVER).push(" LEFT JOIN users u ON u.user_id = d.owner AND u.valid_to = ").integer(FOREVER);
        sql.push(" WHERE d.stage = ").text(stage.stage.clone());
        if let Some(after) = wanted.after {
            sql.push(" AND (d.entered_at, d.created_at, d.deal) > (").time(after.entered_at);
            sql.push(", ").time(after.created_at).push(", ").text(after.deal.to_string()).push(")");
        }
        // Not by position: the order does not depend on how the log has events of one instant.
        sql.push(" ORDER BY d.entered_at, d.created_at, d.deal LIMIT ").integer(i64::from(wanted.limit) + 1);
        let rows: Vec<CardRow> = sql.fetch_all(&mut self.db).await?;
        let (rows, next) = page(rows, wanted.limit, |row| (row.11, row.13, row.0.clone()));
        let next = next.map(|(entered_at, created_at, deal)| -> Result<_, ProjectionError> {
            Ok(BoardCursor { entered_at: time(entered_at)?, created_at: time(created_at)?, deal: parse(&deal)? })
        });
        let next = next.transpose()?;
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
