//! The board of one pipeline: its open deals by stage, and which of them are on a page. What is written on their cards is rows of
//! read models.

use std::{collections::BinaryHeap, fmt, str::FromStr};

use dealog_events::{DealId, PipelineId, Probability, Slug, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{PartialSchema, ToSchema};

use crate::{
    Image, Question, Unanswerable,
    by_stage::ByStage,
    definitions::StageDefinition,
    pipeline::{Open, StageTotals},
    resolved::{Resolved, StageAt, timestamp},
    shapes::{Days, Seen},
    step::Status,
    times::Candidates,
    walk::DealAt,
};

/// Which part of the board.
#[derive(Debug, Clone, Copy)]
pub struct BoardPage {
    /// Cards of each column, at most.
    pub limit: usize,
    /// Behind the card that this `next` named.
    pub after: Option<BoardCursor>,
}

/// A place in a column: that of a card which may have been moved away since. Columns are in the order of these.
///
/// It does not depend on positions: the order is the same however the log has events of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoardCursor {
    entered_at: Timestamp,
    created_at: Timestamp,
    deal: DealId,
}

/// The columns of one pipeline's board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// What the figures speak of.
    pub seen: Seen,
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Its stages in order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The stage.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// The chance of its deals that have none of their own.
    pub probability: Probability,
    /// Its deals, beyond this page too.
    pub totals: StageTotals,
    /// This page of them, longest in the stage first.
    pub cards: Vec<BoardCard>,
    /// What the next page is behind; none on the last.
    pub next: Option<BoardCursor>,
}

/// Where a card is, and what is marked on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardCard {
    /// The deal.
    pub deal: DealId,
    /// When it entered the stage.
    pub entered_at: Timestamp,
    /// Days since then.
    pub age_days: Option<Days>,
    /// Whether that is longer than the stage allows.
    pub stale: bool,
    /// Whether the expected close lies before the local day.
    pub overdue: bool,
}

/// A page of the board of the question's pipeline; without one, of the oldest pipeline that takes deals. With
/// stages in the filter it has these columns alone.
pub fn columns(image: &Image, question: &Question, page: BoardPage) -> Result<Columns, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let number = match question.filter.pipelines.as_slice() {
        // One that nobody works in any more is shown to those who ask for it.
        [] => resolved.pipelines.iter().position(|pipeline| !pipeline.archived).unwrap_or(0),
        [wanted] => resolved.pipelines.iter().position(|pipeline| pipeline.id == *wanted).unwrap_or(usize::MAX),
        _ => return Err(Unanswerable::field("pipeline", "a board shows one pipeline: name one")),
    };
    let Some(pipeline) = resolved.pipelines.get(number) else {
        let message = "there is no pipeline yet: define one with POST /v1/pipelines";
        return Err(Unanswerable::field("pipeline", message));
    };
    let wanted = &question.filter.stages;
    if let Some(stage) = wanted.iter().find(|slug| !pipeline.stages.iter().any(|stage| stage.slug == **slug)) {
        let message = format!("`{stage}` is not a stage of the pipeline {}", pipeline.name);
        return Err(Unanswerable::field("stage", message));
    }
    let add = |stages: &mut ByStage<Counted>, at: &DealAt<'_>| {
        if let (Status::Open, Some(stage)) = (at.state.status, resolved.stage(at.state.stage))
            && stage.pipeline == number
        {
            stages.at(at.state.stage).add(&resolved, at, stage, page);
        }
    };
    let merge = |stages: &mut ByStage<Counted>, more| stages.merge(more, |one, other| one.merge(other, page));
    let mut stages = resolved.tally(&Candidates::OPEN, add, merge);
    let shown = pipeline.stages.iter().filter(|stage| wanted.is_empty() || wanted.contains(&stage.slug));
    let columns =
        shown.map(|stage| stages.take(stage.stage).column(&resolved, stage, page)).collect::<Result<_, _>>()?;
    resolved.check_currencies()?;
    Ok(Columns { seen: resolved.seen(), pipeline: pipeline.id, name: pipeline.name.clone(), columns })
}

/// What is counted of a column, and the first cards of its page.
#[derive(Default)]
struct Counted {
    open: Open,
    /// One more than the page has room for: it tells whether there is another page.
    first: BinaryHeap<(BoardCursor, Marks)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Marks {
    stale: bool,
    overdue: bool,
}

impl Counted {
    fn add(&mut self, resolved: &Resolved<'_>, at: &DealAt<'_>, stage: &StageAt, page: BoardPage) {
        self.open.add(resolved, at.state, stage);
        let entered_at = timestamp(at.state.since);
        // Most deals need no closer look.
        if self.first.len() > page.limit && self.first.peek().is_some_and(|(last, _)| entered_at > last.entered_at) {
            return;
        }
        let place = BoardCursor { entered_at, created_at: timestamp(at.created_at), deal: at.deal.id };
        if page.after.is_none_or(|after| place > after) {
            let stale = at.state.is_stale(stage, resolved.cut.at);
            self.show((place, Marks { stale, overdue: at.state.is_overdue(resolved.today) }), page);
        }
    }

    /// Adds a card, unless enough others come before it.
    fn show(&mut self, card: (BoardCursor, Marks), page: BoardPage) {
        self.first.push(card);
        if self.first.len() > page.limit + 1 {
            self.first.pop();
        }
    }

    fn merge(&mut self, other: Self, page: BoardPage) {
        self.open.merge(other.open);
        other.first.into_iter().for_each(|card| self.show(card, page));
    }

    fn column(self, resolved: &Resolved<'_>, stage: &StageDefinition, page: BoardPage) -> Result<Column, Unanswerable> {
        let mut cards = self.first.into_sorted_vec();
        let more = cards.len() > page.limit;
        cards.truncate(page.limit);
        let next = cards.last().map(|(place, _)| *place).filter(|_| more);
        // What another server has appended may be ahead of the clock of the one that asks.
        let age = |entered_at: Timestamp| Days::of((resolved.cut.at - entered_at.micros()).max(0));
        let card = |(BoardCursor { entered_at, deal, .. }, Marks { stale, overdue })| BoardCard {
            deal,
            entered_at,
            age_days: age(entered_at),
            stale,
            overdue,
        };
        Ok(Column {
            stage: stage.slug.clone(),
            name: stage.name.clone(),
            probability: stage.probability,
            totals: self.open.totals(resolved)?,
            cards: cards.into_iter().map(card).collect(),
            next,
        })
    }
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
