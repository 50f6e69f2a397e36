//! Every figure that Dealog gives, as a fold over an image of the log in memory.
//!
//! The [`Image`] holds each deal's course as a few compact [`step::Step`]s, and what the company defined, as it ever was. A figure is a
//! plain loop over deals that looks at each deal's steps up to where the question stops. "As of t" and "known at p" both select a
//! beginning of a deal's steps, so one loop answers every figure for any instant and any position, with any filter and in any groups.
//!
//! One file for each figure; `docs/figures.md` defines them. Nothing here does I/O, asks a clock, or rounds more than once.

mod behind;
mod board;
mod by_stage;
mod calendar;
mod closings;
mod counted;
mod course;
mod cycle;
mod definitions;
mod filter;
mod forecast;
mod funnel;
mod group;
mod history;
mod image;
mod kaplan_meier;
mod losses;
mod moment;
mod names;
mod path;
mod period;
mod pipeline;
mod question;
mod resolved;
mod series;
mod shapes;
mod snapshot;
pub mod step;
mod steps;
mod teams;
mod time_in_stage;
mod times;
mod velocity;
mod walk;
mod win_rate;

use dealog_events::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use self::resolved::{Resolved, timestamp};
pub use self::{
    behind::{
        Adds, Behind, ClosedNumber, ForecastNumber, FunnelNumber, Page, PeriodNumber, PipelineNumber, Quantity,
        StageTimeNumber, behind_closed, behind_forecast, behind_funnel, behind_period, behind_pipeline,
        behind_time_in_stage,
    },
    board::{BoardCard, BoardCursor, BoardPage, Column, Columns, columns},
    calendar::Interval,
    cycle::{CycleFigures, Cycles, cycle},
    filter::check_filter,
    forecast::{
        Booked, Categories, CategoryFigures, Forecast, ForecastFigures, ForecastPart, ForecastPeriod, forecast,
    },
    funnel::{CohortFunnel, CohortFunnels, FunnelStage, funnel},
    group::{Group, GroupKey, Grouped, Others},
    image::{Image, Unapplicable, Value},
    losses::{CompetitorFigures, LossFigures, LossReasonFigures, Lost, LostFrom, losses},
    moment::Moment,
    period::{PeriodFunnel, PeriodFunnels, PeriodMove, PeriodStage, period},
    pipeline::{AllPipelines, ClosedFigures, PipelineFigures, StageFigures, StageTotals, pipeline, pipeline_series},
    question::{AmountRange, By, FieldFilter, Filter, Grouping, Question, Range, Unanswerable},
    series::{Point, Series, periods, snapshots},
    shapes::{DAY_MICROS, Days, Rate, Seen, Total},
    snapshot::{Proof, Unusable},
    time_in_stage::{PipelineTimes, StageTime, TimesInStages, time_in_stage},
    velocity::{PipelineVelocity, Velocities, velocity},
    win_rate::{WinRateFigures, win_rate},
};

/// Figures at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Answer<F> {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The figures.
    #[serde(flatten)]
    pub grouped: Grouped<F>,
}

/// Figures over a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeriodAnswer<F> {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// The period's first instant.
    pub from: Timestamp,
    /// The first instant after it; earlier than asked for, where the instant that the question is as of cut it short.
    pub to: Timestamp,
    /// The figures.
    #[serde(flatten)]
    pub grouped: Grouped<F>,
}

macro_rules! speaks_of {
    ($($answer:ty),+ $(,)?) => {$(
        impl<F> AsRef<Seen> for $answer {
            fn as_ref(&self) -> &Seen {
                &self.seen
            }
        }
    )+};
}

speaks_of!(Answer<F>, PeriodAnswer<F>, Series<F>);

impl<F> PeriodAnswer<F> {
    fn new(resolved: &Resolved<'_>, (from, to): (i64, i64), grouped: Grouped<F>) -> Self {
        Self { seen: resolved.seen(), from: timestamp(from), to: timestamp(to), grouped }
    }
}
