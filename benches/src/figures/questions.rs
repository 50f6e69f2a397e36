//! What is asked: each figure of the table as of now, and most of them about the past too.

use std::{hint::black_box, time::Instant};

use dealog_events::{PipelineId, Position, When};
use dealog_figures::{
    BoardPage, By, Filter, Grouping, Image, Interval, Question, Range, Unanswerable, columns, cycle, forecast, funnel,
    pipeline, pipeline_series, time_in_stage, win_rate,
};
use serde_json::{Value, json};

use super::{
    numbers::{self, Numbers},
    time::{END, FIRST, TWO_YEARS_AGO, at},
};
use crate::{
    Result,
    table::{median, millis},
};

/// Cards of a column that the server gives if none are asked for.
const BOARD_PAGE: BoardPage = BoardPage { limit: 20, after: None };

/// The quarter and the year that questions about now are for, and those for questions about the past, which lie before both the
/// instant two years ago and the middle of the log.
const QUARTER: Period = (1_751_328_000_000_000, 1_759_276_800_000_000);
const YEAR: Period = (1_735_689_600_000_000, 1_767_225_600_000_000);
const PAST_QUARTER: Period = (1_656_633_600_000_000, 1_664_582_400_000_000);
const PAST_YEAR: Period = (1_640_995_200_000_000, 1_672_531_200_000_000);
/// More than there are sellers, or months.
const GROUPS_MAX: usize = 1_000;
/// How often each question is asked before it is measured.
const WARM_UP: usize = 2;

/// From an instant up to, not including, another, in microseconds.
type Period = (i64, i64);

/// A figure, with what belongs to its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Pipeline,
    Columns,
    Forecast,
    QuarterFunnel,
    WinRateByOwner,
    Funnel,
    WinRateByMonth,
    Cycle,
    TimeInStage,
    Series,
}

/// Where a question stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Now,
    AsOf,
    KnownAt,
    Both,
}

/// One question, as both are asked it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) figure: Figure,
    pub(super) past: Past,
}

impl Figure {
    pub(super) const ALL: [Self; 10] = [
        Self::Pipeline,
        Self::Columns,
        Self::Forecast,
        Self::QuarterFunnel,
        Self::WinRateByOwner,
        Self::Funnel,
        Self::WinRateByMonth,
        Self::Cycle,
        Self::TimeInStage,
        Self::Series,
    ];

    /// As `duckdb/figures.py` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Columns => "columns",
            Self::Forecast => "forecast",
            Self::QuarterFunnel | Self::Funnel => "funnel",
            Self::WinRateByOwner => "win_rate_by_owner",
            Self::WinRateByMonth => "win_rate_by_month",
            Self::Cycle => "cycle",
            Self::TimeInStage => "time_in_stage",
            Self::Series => "series",
        }
    }

    /// As the table calls it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Columns => "columns of a board",
            Self::Forecast => "forecast: weighted, categories, historical",
            Self::QuarterFunnel => "funnel of a quarter's cohort",
            Self::WinRateByOwner => "win rate of a year by owner",
            Self::Funnel => "funnel of all deals",
            Self::WinRateByMonth => "win rate by month of six years",
            Self::Cycle => "cycle of six years",
            Self::TimeInStage => "time in stage, with Kaplan-Meier estimates, all deals",
            Self::Series => "pipeline at the end of each month of six years",
        }
    }

    /// Whether it is asked about the past too.
    fn has_past(self) -> bool {
        !matches!(self, Self::TimeInStage | Self::Series)
    }

    fn period(self, past: Past) -> Period {
        match (self, past) {
            (Self::QuarterFunnel, Past::Now) => QUARTER,
            (Self::QuarterFunnel, _) => PAST_QUARTER,
            (Self::WinRateByOwner, Past::Now) => YEAR,
            (Self::WinRateByOwner, _) => PAST_YEAR,
            // Just after the instant, as the default is.
            (_, past) => (FIRST, past.at() + 1),
        }
    }
}

impl Past {
    const ALL: [Self; 4] = [Self::Now, Self::AsOf, Self::KnownAt, Self::Both];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::AsOf => "as_of",
            Self::KnownAt => "known_at",
            Self::Both => "both",
        }
    }

    fn at(self) -> i64 {
        if matches!(self, Self::AsOf | Self::Both) { TWO_YEARS_AGO } else { END }
    }

    fn knows_all(self) -> bool {
        matches!(self, Self::Now | Self::AsOf)
    }
}

impl Asked {
    /// All questions.
    pub(super) fn all() -> Vec<Self> {
        let pasts = |figure: Figure| if figure.has_past() { Past::ALL.as_slice() } else { &[Past::Now] };
        let of = |figure: Figure| pasts(figure).iter().map(move |past| Self { figure, past: *past });
        Figure::ALL.into_iter().flat_map(of).collect()
    }

    /// As the table calls it.
    pub(super) fn title(self) -> String {
        match self.past {
            Past::Now => self.figure.title().to_owned(),
            past => format!("{}, {}", self.figure.title(), past.name()),
        }
    }

    /// For DuckDB. Instants are microseconds UTC.
    pub(super) fn to_json(self, middle: Position) -> Value {
        let (from, to) = self.figure.period(self.past);
        json!({
            "title": self.title(), "figure": self.figure.name(), "past": self.past.name(),
            "at": self.past.at(), "position": middle, "from": from, "to": to, "first": FIRST,
        })
    }

    /// Asks the image, so often that the median of the times says something, and gives the numbers and that median in milliseconds.
    pub(super) fn ask(self, image: &Image, board: PipelineId, middle: Position, runs: usize) -> Result<(Numbers, f64)> {
        let Self { figure, past } = self;
        let when =
            |micros| Ok::<_, dealog_events::Invalid>(When::Instant(dealog_events::Timestamp::from_micros(micros)?));
        let mut question = Question {
            now: at(END)?,
            as_of: if past.at() == END { None } else { Some(when(past.at())?) },
            known_at: if past.knows_all() { None } else { Some(middle) },
            filter: Filter::default(),
            grouping: Grouping { by: Vec::new(), groups_max: GROUPS_MAX },
        };
        let (from, to) = figure.period(past);
        let period = Range { from: Some(when(from)?), to: Some(when(to)?) };
        match figure {
            Figure::Pipeline => {
                let (answer, ms) = timed(runs, || pipeline(image, &question))?;
                Ok((numbers::pipeline(&answer.grouped.figures), ms))
            }
            Figure::Columns => {
                question.filter.pipelines.push(board);
                let (answer, ms) = timed(runs, || columns(image, &question, BOARD_PAGE))?;
                Ok((numbers::columns(&answer), ms))
            }
            Figure::Forecast => {
                let (answer, ms) = timed(runs, || forecast(image, &question, &Range::default()))?;
                Ok((numbers::forecast(&answer.grouped.figures), ms))
            }
            Figure::QuarterFunnel | Figure::Funnel => {
                let (answer, ms) = timed(runs, || funnel(image, &question, &period, None))?;
                Ok((numbers::funnel(&answer.grouped.figures), ms))
            }
            Figure::WinRateByOwner | Figure::WinRateByMonth => {
                let by = if figure == Figure::WinRateByOwner { By::Owner } else { By::Time(Interval::Month) };
                question.grouping.by.push(by);
                let (answer, ms) = timed(runs, || win_rate(image, &question, &period))?;
                Ok((numbers::win_rate(&answer.grouped), ms))
            }
            Figure::Cycle => {
                let (answer, ms) = timed(runs, || cycle(image, &question, &period))?;
                Ok((numbers::cycle(&answer.grouped.figures), ms))
            }
            Figure::TimeInStage => {
                let (answer, ms) = timed(runs, || time_in_stage(image, &question))?;
                Ok((numbers::time_in_stage(&answer.grouped.figures), ms))
            }
            Figure::Series => {
                let (answer, ms) = timed(runs, || pipeline_series(image, &question, &period, Interval::Month))?;
                Ok((numbers::series(&answer), ms))
            }
        }
    }
}

/// The answer, and the median of what it took to give it.
fn timed<T>(runs: usize, ask: impl Fn() -> std::result::Result<T, Unanswerable>) -> Result<(T, f64)> {
    for _ in 0..WARM_UP {
        black_box(ask()?);
    }
    let answer = ask()?;
    let mut took = Vec::with_capacity(runs);
    for _ in 0..runs {
        let begun = Instant::now();
        let answer = black_box(ask()?);
        took.push(millis(begun.elapsed()));
        drop(answer);
    }
    Ok((answer, median(took)))
}
