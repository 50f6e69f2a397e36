//! The deals behind each number: which they are, and what each adds.
//!
//! Every figure has its list of numbers here, and says what a deal adds to one. Filters narrow it down to a group. What the deals add
//! comes to the number itself; the tests hold every figure to that.

use dealog_events::{DealId, Position, Slug};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, Ref, RefOr, Schema,
        schema::{AnyOfBuilder, Type},
    },
};

use crate::{
    Image, Question, Unanswerable,
    course::Left,
    forecast::Parts,
    funnel::Cohort,
    names::Name,
    path::{Became, What},
    period::{Happened, happenings},
    question::Range,
    resolved::{PipelineAt, Resolved, listed, weighted},
    shapes::{Days, Seen, Total},
    step::Status,
    time_in_stage::Stays,
    times::Candidates,
    walk::DealAt,
};

/// A page of the deals behind a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Behind {
    /// What the number speaks of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The deals, oldest first.
    pub deals: Vec<Adds>,
    /// Send it as `after` to get the next page; null on the last.
    pub next: Option<Position>,
}

impl AsRef<Seen> for Behind {
    fn as_ref(&self) -> &Seen {
        &self.seen
    }
}

/// A deal behind a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Adds {
    /// Which deal.
    pub deal: DealId,
    /// What it adds.
    pub adds: Quantity,
}

/// What a deal adds to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Quantity {
    /// So many times it is counted.
    Count(i64),
    /// So much money.
    Money(Total),
    /// So much time.
    Days(Days),
}

/// A count is a number, and so are days.
impl PartialSchema for Quantity {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Number);
        let either = AnyOfBuilder::new().item(number).item(Ref::from_schema_name("Total"));
        either.description(Some("What a deal adds: a count, a sum of money, or days.")).into()
    }
}

impl ToSchema for Quantity {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Total::name().into(), Total::schema()));
    }
}

/// Which deals of the list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Those created after this position.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: usize,
}

/// A number of the pipeline. With a stage, of that alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named as in the figure")]
pub enum PipelineNumber {
    Deals,
    Amount,
    Weighted,
    WithoutAmount,
    Stale,
    Overdue,
    Won,
    WonAmount,
    Lost,
    Excluded,
}

/// A number of win rate, losses or cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named as in the figures")]
pub enum ClosedNumber {
    Won,
    WonAmount,
    WonDays,
    Lost,
    LostAmount,
    LostDays,
    LostWithoutAmount,
}

/// A number of the cohort funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named as in the figure")]
pub enum FunnelNumber {
    Entered,
    Open,
    Won,
    Lost,
    Left,
    Excluded,
    Reached,
    OpenIn,
    LostFrom,
    LeftFrom,
    OpenFurthest,
    LostFurthest,
    LeftFurthest,
}

/// A number of a stage in the period funnel, or of its moves to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named as in the figure")]
pub enum PeriodNumber {
    OpenBefore,
    Entered,
    Forward,
    Back,
    Transferred,
    WonFrom,
    LostFrom,
    OpenAfter,
    Moves,
    MoveDays,
}

/// A number of a stage in time in stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named as in the figure")]
pub enum StageTimeNumber {
    Deals,
    InItNow,
    DaysCompleted,
    DaysSoFar,
}

/// A number of the forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named as in the figure")]
pub enum ForecastNumber {
    Booked,
    Open,
    Expected,
    Overdue,
    Unscheduled,
    Commit,
    BestCase,
    Pipeline,
    Omitted,
    Historical,
    HistoricalInPeriod,
}

/// The deals behind a number of the pipeline.
pub fn behind_pipeline(
    image: &Image,
    question: &Question,
    number: PipelineNumber,
    page: Page,
) -> Result<Behind, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    collect_of_all(&resolved, page, |at| {
        let state = at.state;
        let stage = resolved.wanted_stage(state.stage)?;
        let minor = state.amount.map(|amount| resolved.minor(amount));
        let open = state.status == Status::Open;
        let won = state.status == Status::Won;
        Some(match number {
            PipelineNumber::Deals => count(open)?,
            PipelineNumber::Amount => money(&resolved, minor.filter(|_| open)?.into())?,
            PipelineNumber::Weighted => {
                money(&resolved, weighted(minor.filter(|_| open)?, state.chance(stage)).into())?
            }
            PipelineNumber::WithoutAmount => count(open && minor.is_none())?,
            PipelineNumber::Stale => count(state.is_stale(stage, resolved.cut.at))?,
            PipelineNumber::Overdue => count(state.is_overdue(resolved.today))?,
            PipelineNumber::Won => count(won)?,
            PipelineNumber::WonAmount => money(&resolved, minor.filter(|_| won)?.into())?,
            PipelineNumber::Lost => count(state.status == Status::Lost)?,
            PipelineNumber::Excluded => count(state.status == Status::Excluded)?,
        })
    })
}

/// The deals behind a number of win rate, losses or cycle.
pub fn behind_closed(
    image: &Image,
    question: &Question,
    period: &Range,
    number: ClosedNumber,
    page: Page,
) -> Result<Behind, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (from, to) = resolved.period(period)?;
    collect_of_all(&resolved, page, |at| {
        let state = at.state;
        resolved.wanted_stage(state.stage)?;
        let wanted = match number {
            ClosedNumber::Won | ClosedNumber::WonAmount | ClosedNumber::WonDays => Status::Won,
            _ => Status::Lost,
        };
        if state.status != wanted || !(from..to).contains(&state.since) {
            return None;
        }
        let minor = state.amount.map(|amount| resolved.minor(amount));
        match number {
            ClosedNumber::Won | ClosedNumber::Lost => count(true),
            ClosedNumber::WonAmount | ClosedNumber::LostAmount => money(&resolved, minor?.into()),
            ClosedNumber::WonDays | ClosedNumber::LostDays => Days::of(state.since - at.created_at).map(Quantity::Days),
            ClosedNumber::LostWithoutAmount => count(minor.is_none()),
        }
    })
}

/// The deals behind a number of the cohort funnel of the question's pipeline, and of a stage if the number is one of a stage.
pub fn behind_funnel(
    image: &Image,
    question: &Question,
    period: &Range,
    within_days: Option<u32>,
    (number, stage): (FunnelNumber, Option<&Slug>),
    page: Page,
) -> Result<Behind, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let period = resolved.period(period)?;
    let pipeline = one_pipeline(&resolved)?;
    let place = stage.map(|slug| stage_of(pipeline, "at_stage", slug)).transpose()?.map(|(place, _)| place);
    let of_a_stage = !matches!(
        number,
        FunnelNumber::Entered
            | FunnelNumber::Open
            | FunnelNumber::Won
            | FunnelNumber::Lost
            | FunnelNumber::Left
            | FunnelNumber::Excluded
    );
    if of_a_stage != place.is_some() {
        let message =
            if of_a_stage { "this number is one of a stage: name it" } else { "this number is of all stages" };
        return Err(Unanswerable::field("at_stage", message));
    }
    let place = place.unwrap_or(0);
    let cohort = Cohort::new(&resolved, period, within_days);
    collect_of_all(&resolved, page, |at| {
        let mut became = None;
        cohort.visit(at, |entrant| became = Some(entrant.became));
        let Became { what, last, furthest } = became?;
        count(match number {
            FunnelNumber::Entered => true,
            FunnelNumber::Open => what == What::Open,
            FunnelNumber::Won => what == What::Won,
            FunnelNumber::Lost => what == What::Lost,
            FunnelNumber::Left => what == What::Left,
            FunnelNumber::Excluded => what == What::Excluded,
            FunnelNumber::Reached => what != What::Excluded && furthest >= place,
            FunnelNumber::OpenIn => what == What::Open && last == place,
            FunnelNumber::LostFrom => what == What::Lost && last == place,
            FunnelNumber::LeftFrom => what == What::Left && last == place,
            FunnelNumber::OpenFurthest => what == What::Open && furthest == place,
            FunnelNumber::LostFurthest => what == What::Lost && furthest == place,
            FunnelNumber::LeftFurthest => what == What::Left && furthest == place,
        })
    })
}

/// The deals behind a number of a stage in the period funnel of the question's pipeline, or of its moves `to` another stage.
pub fn behind_period(
    image: &Image,
    question: &Question,
    period: &Range,
    (number, stage, to): (PeriodNumber, &Slug, Option<&Slug>),
    page: Page,
) -> Result<Behind, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let period = resolved.period(period)?;
    let pipeline = one_pipeline(&resolved)?;
    let (_, stage) = stage_of(pipeline, "at_stage", stage)?;
    let of_moves = matches!(number, PeriodNumber::Moves | PeriodNumber::MoveDays);
    if of_moves != to.is_some() {
        let message =
            if of_moves { "this number is one of moves to a stage: name it" } else { "this number is of one stage" };
        return Err(Unanswerable::field("to_stage", message));
    }
    let to = to.map(|slug| stage_of(pipeline, "to_stage", slug)).transpose()?.map(|(_, stage)| stage);
    let is_counted = |happened: Happened| match (number, happened) {
        (PeriodNumber::OpenBefore, Happened::OpenBefore)
        | (PeriodNumber::Entered, Happened::Entered)
        | (PeriodNumber::OpenAfter, Happened::OpenAfter)
        | (PeriodNumber::Forward, Happened::Left { how: Left::Moved(_), forward: true, .. })
        | (PeriodNumber::Back, Happened::Left { how: Left::Moved(_), forward: false, .. })
        | (PeriodNumber::Transferred, Happened::Left { how: Left::Transferred, .. })
        | (PeriodNumber::WonFrom, Happened::Left { how: Left::Won, .. })
        | (PeriodNumber::LostFrom, Happened::Left { how: Left::Lost, .. }) => Some(0),
        (PeriodNumber::Moves | PeriodNumber::MoveDays, Happened::Left { how: Left::Moved(entered), micros, .. })
            if to == Some(entered) =>
        {
            Some(micros)
        }
        _ => None,
    };
    let every_deal = |visit: &mut dyn FnMut(&DealAt<'_>)| {
        resolved.every_deal(0..image.len(), &Candidates::ALL, visit);
    };
    collect(&resolved, page, every_deal, |at| {
        let (mut times, mut micros) = (0, 0);
        happenings(&resolved, period, at, |event, happened| {
            if event.state.stage == stage
                && let Some(more) = is_counted(happened)
            {
                (times, micros) = (times + 1, micros + more);
            }
        });
        match number {
            _ if times == 0 => None,
            PeriodNumber::MoveDays => Days::of(micros).map(Quantity::Days),
            _ => Some(Quantity::Count(times)),
        }
    })
}

/// The deals behind a number of a stage in time in stage, of the question's pipeline.
pub fn behind_time_in_stage(
    image: &Image,
    question: &Question,
    (number, stage): (StageTimeNumber, &Slug),
    page: Page,
) -> Result<Behind, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (_, stage) = stage_of(one_pipeline(&resolved)?, "at_stage", stage)?;
    let mut stays = Stays::default();
    collect_of_all(&resolved, page, |at| {
        if at.state.status == Status::Excluded {
            return None;
        }
        stays.find(&resolved, at);
        let (micros, here) = stays.of(stage)?;
        match number {
            StageTimeNumber::Deals => count(true),
            StageTimeNumber::InItNow => count(here),
            StageTimeNumber::DaysCompleted if !here => Days::of(micros).map(Quantity::Days),
            StageTimeNumber::DaysSoFar if here => Days::of(micros).map(Quantity::Days),
            StageTimeNumber::DaysCompleted | StageTimeNumber::DaysSoFar => None,
        }
    })
}

/// The one pipeline that the question is about: stages of several are not told apart by their slugs.
fn one_pipeline<'r>(resolved: &'r Resolved<'_>) -> Result<&'r PipelineAt, Unanswerable> {
    let mut wanted = resolved.pipelines.iter().filter(|pipeline| pipeline.wanted);
    match (wanted.next(), wanted.next()) {
        (Some(pipeline), None) => Ok(pipeline),
        _ => Err(Unanswerable::field("pipeline", "this number is one of a pipeline: name it")),
    }
}

/// The place and the name of a stage of a pipeline, which `field` says.
fn stage_of(pipeline: &PipelineAt, field: &'static str, slug: &Slug) -> Result<(usize, Name), Unanswerable> {
    let mut stages = pipeline.stages.iter().enumerate();
    stages.find(|(_, stage)| stage.slug == *slug).map(|(place, stage)| (place, stage.stage)).ok_or_else(|| {
        let known = listed(pipeline.stages.iter().map(|stage| &stage.slug));
        Unanswerable::field(field, format!("the pipeline has no stage `{slug}`; it has {known}"))
    })
}

/// The deals behind a number of the forecast, each with its amount, which is weighted with history where the number is.
pub fn behind_forecast(
    image: &Image,
    question: &Question,
    period: &Range,
    number: ForecastNumber,
    page: Page,
) -> Result<Behind, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let parts = Parts::new(&resolved, period)?;
    collect_of_all(&resolved, page, |at| {
        let minor = at.state.amount.map_or(0, |amount| resolved.minor(amount));
        parts.adds(&resolved, at, number, minor).and_then(|minor| money(&resolved, minor))
    })
}

/// The deals of a page among those that pass the filters.
fn collect_of_all(
    resolved: &Resolved<'_>,
    page: Page,
    adds: impl FnMut(&DealAt<'_>) -> Option<Quantity>,
) -> Result<Behind, Unanswerable> {
    collect(resolved, page, |visit| resolved.deals(visit), adds)
}

/// The deals of a page, by what each adds; those that add nothing to the number are not behind it.
fn collect(
    resolved: &Resolved<'_>,
    page: Page,
    visit_deals: impl FnOnce(&mut dyn FnMut(&DealAt<'_>)),
    mut adds: impl FnMut(&DealAt<'_>) -> Option<Quantity>,
) -> Result<Behind, Unanswerable> {
    let mut deals = Vec::new();
    let after = page.after.map_or(0, |after| after.0);
    let mut next = None;
    let mut last = None;
    visit_deals(&mut |at| {
        let position = u64::from(at.deal.position);
        if position <= after || next.is_some() {
            return;
        }
        if let Some(adds) = adds(at) {
            if deals.len() == page.limit {
                next = last;
                return;
            }
            deals.push(Adds { deal: at.deal.id, adds });
            last = Some(Position(position));
        }
    });
    if deals.iter().any(|found| matches!(found.adds, Quantity::Money(_))) {
        resolved.check_currencies()?;
    }
    Ok(Behind { seen: resolved.seen(), deals, next })
}

fn count(counts: bool) -> Option<Quantity> {
    counts.then_some(Quantity::Count(1))
}

fn money(resolved: &Resolved<'_>, minor: i128) -> Option<Quantity> {
    resolved.total(minor).ok().map(Quantity::Money)
}
