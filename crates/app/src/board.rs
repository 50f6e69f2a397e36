//! The board: its columns are figures, and its cards rows of read models.

use dealog_events::{CustomerId, DealId, Money, PipelineId, Position, Probability, Slug, Timestamp, UserId, Version};
use dealog_figures::{self as figures, BoardCard, BoardCursor, BoardPage, Columns, Days, Question, Seen, StageTotals};
use dealog_projections::{
    ProjectionError,
    models::{Seeing, deals::CardDeal},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Asked, Queries, QueryError};

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
    /// All its deals, beyond this page too.
    #[serde(flatten)]
    pub totals: StageTotals,
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
    /// The version of its stream: its `ETag`, unless the board is one of the past.
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
    pub expected_close: Option<chrono::NaiveDate>,
    /// When it entered the stage.
    pub entered_at: Timestamp,
    /// Days since then.
    pub age_days: Option<Days>,
    /// Whether that is longer than the stage allows.
    pub stale: bool,
    /// Whether the expected close lies before the local day.
    pub overdue: bool,
}

impl Queries {
    /// A page of the board of the filter's pipeline; without one, of the oldest pipeline that takes deals. With stages in the filter it has these
    /// columns alone.
    pub async fn board(&self, asked: Asked, page: BoardPage) -> Result<Board, QueryError> {
        let is_past = asked.as_of.is_some();
        let lists = self.lists(asked.min_position).await?;
        // Both speak of one position. Where the models are behind the image, that is theirs: waiting for them would keep others from
        // their turn. Where there are none, the cards say so.
        let models = lists.position().await?;
        let columns = self.figure(asked, move |image, question| {
            let known = question.known_at.unwrap_or(image.position());
            let known_at = if models == Position::ZERO { known } else { known.min(models) };
            figures::columns(image, &Question { known_at: Some(known_at), ..question.clone() }, page)
        });
        let Columns { seen, pipeline, name, columns } = columns.await?;
        let ids: Vec<DealId> = columns.iter().flat_map(|column| &column.cards).map(|place| place.deal).collect();
        let seeing = Seeing { as_of: is_past.then_some(seen.as_of), known: Some(seen.position) };
        let mut deals = lists.cards(&ids, &seeing).await?;
        let mut card = |place: BoardCard, chance: Probability| {
            let found = deals.remove(&place.deal);
            let missing = || ProjectionError::Damaged(format!("deal {} is missing at {}", place.deal, seen.position));
            Ok::<_, ProjectionError>(card(found.ok_or_else(missing)?, &place, chance))
        };
        let mut shown = Vec::with_capacity(columns.len());
        for column in columns {
            let cards = column.cards.into_iter().map(|place| card(place, column.probability));
            let cards = cards.collect::<Result<_, _>>()?;
            let figures::Column { stage, name, totals, next, .. } = column;
            shown.push(BoardColumn { stage, name, totals, cards, next });
        }
        Ok(Board { seen, pipeline, name, columns: shown })
    }
}

fn card(CardDeal { deal, customer_name, owner_name }: CardDeal, place: &BoardCard, chance: Probability) -> Card {
    Card {
        deal: deal.id,
        version: deal.version,
        title: deal.title,
        customer: deal.customer,
        customer_name,
        owner: deal.owner,
        owner_name,
        amount: deal.amount,
        probability: deal.probability.unwrap_or(chance),
        expected_close: deal.expected_close,
        entered_at: place.entered_at,
        age_days: place.age_days,
        stale: place.stale,
        overdue: place.overdue,
    }
}
