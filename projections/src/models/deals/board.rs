//! The board: open deals by stage, in pages.

use std::{fmt, str::FromStr};

use chrono::NaiveDate;
use dealog_events::{CustomerId, DealId, Money, PipelineId, Probability, Slug, Timestamp, UserId, Version};
use dealog_figures::{DAY_MICROS, Days, Moment, Seen};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::{FromRow, any::AnyRow};
use utoipa::{PartialSchema, ToSchema};

use super::{MODEL, filter::Filter, tables::DealRow};
use crate::{
    ProjectionError,
    models::{
        Lists, Seeing,
        company::{self, Definition, StageRow},
        customers,
        page::page,
        snapshot::Snapshot,
        statement::Statement,
        stored::{maybe, money, parse, probability, time, version},
    },
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
    /// The version of its stream: its `ETag`.
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

/// The cards of a column. Not in the order of positions: the order does not depend on how the log has events of one instant.
const CARDS: &str = "
    WITH page AS (
        SELECT d.* FROM deals d
        WHERE d.status = 'open' AND d.pipeline = :pipeline AND d.stage = :stage AND :in_force AND :wanted AND :behind
        ORDER BY d.entered_at, d.created_at, d.deal LIMIT :limit
    )
    SELECT page.*, c.name AS customer_name, u.name AS owner_name FROM page
    LEFT JOIN customers c ON c.customer = page.customer AND :customer_in_force
    LEFT JOIN users u ON u.user_id = page.owner AND :user_in_force
    ORDER BY page.entered_at, page.created_at, page.deal";

const BEHIND: &str = "(d.entered_at, d.created_at, d.deal) > (:entered_at, :created_at, :deal)";

const COUNT: &str = "SELECT COUNT(*) FROM deals d WHERE d.status = 'open' AND d.pipeline = :pipeline AND d.stage = :stage AND \
                     :in_force AND :wanted";

/// Whether a deal was in a stage by then: it was open in it for as long as one of its rows.
const ENTERED: &str = "SELECT 1 FROM deals d WHERE d.status = 'open' AND d.pipeline = :pipeline AND d.stage = :stage AND \
                       d.valid_from <= :until AND d.began <= :known LIMIT 1";

/// A deal's row with names that belong to others.
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
    /// The board of the filter's pipeline; without one, of the oldest pipeline. Ages are counted up to `moment`.
    pub async fn board(
        &self,
        filter: &Filter,
        of: &BoardPage,
        seeing: &Seeing,
        moment: &Moment,
    ) -> Result<Board, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL, company::MODEL, customers::MODEL], seeing).await?;
        let Some(mut pipeline) = company::definition(&mut snapshot, filter.pipeline, seeing).await? else {
            let message = match filter.pipeline {
                Some(_) => "there is no such pipeline",
                None => "there is no pipeline yet: define one with POST /v1/pipelines",
            };
            return Err(ProjectionError::Query { field: "pipeline", message: message.into() });
        };
        add_later_stages(&mut snapshot, &mut pipeline, seeing).await?;
        let mut stages: Vec<&StageRow> = pipeline.stages.iter().collect();
        if let Some(wanted) = &of.stage {
            stages.retain(|stage| stage.stage == wanted.as_str());
            if stages.is_empty() {
                let message = format!("`{wanted}` is not a stage of the pipeline {}", pipeline.row.name);
                return Err(ProjectionError::Query { field: "stage", message });
            }
        }
        let mut columns = Vec::with_capacity(stages.len());
        for stage in stages {
            columns.push(column(&mut snapshot, filter, stage, of, seeing, moment).await?);
        }
        let seen = Seen { position: snapshot.position, as_of: moment.at };
        Ok(Board { seen, pipeline: parse(&pipeline.row.pipeline)?, name: pipeline.row.name, columns })
    }
}

/// A move may be dated before the stage it goes to was added. Such a stage counts as it was first defined, behind the stage that
/// it was put behind.
async fn add_later_stages(
    snapshot: &mut Snapshot<'_>,
    pipeline: &mut Definition,
    seeing: &Seeing,
) -> Result<(), ProjectionError> {
    let mut place = 0;
    let mut definition = 0;
    for stage in pipeline.later(snapshot, seeing).await? {
        if stage.began != definition {
            (definition, place) = (stage.began, 0);
        }
        if let Some(found) = pipeline.place(&stage.stage) {
            place = found + 1;
        } else if was_entered(snapshot, &stage, seeing).await? {
            pipeline.stages.insert(place, stage);
            place += 1;
        }
    }
    Ok(())
}

async fn was_entered(snapshot: &mut Snapshot<'_>, stage: &StageRow, seeing: &Seeing) -> Result<bool, ProjectionError> {
    let entered = Statement::new(ENTERED)
        .value("pipeline", stage.pipeline.clone())
        .value("stage", stage.stage.clone())
        .value("until", seeing.until())
        .value("known", seeing.known_position());
    Ok(entered.fetch_one::<(i64,)>(&mut snapshot.db).await?.is_some())
}

async fn column(
    snapshot: &mut Snapshot<'_>,
    filter: &Filter,
    stage: &StageRow,
    of: &BoardPage,
    seeing: &Seeing,
    moment: &Moment,
) -> Result<BoardColumn, ProjectionError> {
    let of_column = |text| {
        Statement::new(text)
            .value("pipeline", stage.pipeline.clone())
            .value("stage", stage.stage.clone())
            .part("in_force", seeing.in_force("d"))
            .part("wanted", filter.condition(seeing))
    };
    let deals = of_column(COUNT).fetch_one::<(i64,)>(&mut snapshot.db).await?.map_or(0, |(deals,)| deals);
    let behind = of.after.map_or(Statement::new("1 = 1"), |after| {
        Statement::new(BEHIND)
            .value("entered_at", after.entered_at.micros())
            .value("created_at", after.created_at.micros())
            .value("deal", after.deal.to_string())
    });
    let cards = of_column(CARDS)
        .part("behind", behind)
        .part("customer_in_force", seeing.in_force("c"))
        .part("user_in_force", seeing.in_force("u"))
        .value("limit", i64::from(of.limit) + 1);
    let rows: Vec<CardRow> = cards.fetch_all(&mut snapshot.db).await?;
    let (rows, next) = page(rows, of.limit, |row| cursor(&row.deal));
    let cards = rows.into_iter().map(|row| card(row, stage, moment)).collect::<Result<_, _>>()?;
    Ok(BoardColumn { stage: parse(&stage.stage)?, name: stage.name.clone(), deals, cards, next: next.transpose()? })
}

fn cursor(row: &DealRow) -> Result<BoardCursor, ProjectionError> {
    Ok(BoardCursor { entered_at: time(row.entered_at)?, created_at: time(row.created_at)?, deal: parse(&row.deal)? })
}

fn card(row: CardRow, stage: &StageRow, moment: &Moment) -> Result<Card, ProjectionError> {
    let CardRow { deal, customer_name, owner_name } = row;
    let expected_close: Option<NaiveDate> = maybe(deal.expected_close.as_deref())?;
    // What another server has appended may be ahead of the clock of the one that asks.
    let age_micros = (moment.at.micros() - deal.entered_at).max(0);
    let stale_micros = stage.stale_after_days.map_or(i64::MAX, |days| days.saturating_mul(DAY_MICROS));
    Ok(Card {
        deal: parse(&deal.deal)?,
        version: version(deal.version),
        title: deal.title,
        customer: maybe(deal.customer.as_deref())?,
        customer_name,
        owner: maybe(deal.owner.as_deref())?,
        owner_name,
        amount: money(deal.amount, deal.currency.as_deref())?,
        probability: probability(deal.probability.unwrap_or(stage.probability))?,
        expected_close,
        entered_at: time(deal.entered_at)?,
        age_days: Days::of(age_micros),
        stale: age_micros > stale_micros,
        overdue: expected_close.is_some_and(|day| day < moment.today),
    })
}
