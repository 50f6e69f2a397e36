//! The answers to one question, to be held against those from elsewhere.

use dealog_events::{Position, Version};
use dealog_projections::{
    ProjectionError,
    deals::{
        Views,
        query::{
            Board, BoardPage, Cycle, Forecast, FunnelAnswer, Grouping, PeriodAnswer, PipelineAnswer, Range, Scope,
            TimeInStage, Velocity, WinRate,
        },
    },
};

/// An answer that is refused: there is no rate, no reporting currency, no pipeline, or the period ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

pub(crate) type Answer<T> = Result<T, Refused>;

/// A question: which instant and deals, which period, and grouped how.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) scope: Scope,
    /// Of the period funnel, win rate, cycle and velocity.
    pub(crate) period: Range,
    /// Of the forecast.
    pub(crate) forecast: Range,
    pub(crate) by: Grouping,
}

/// All figures that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) pipeline: Answer<PipelineAnswer>,
    pub(crate) board: Answer<Board>,
    pub(crate) funnel: Answer<FunnelAnswer>,
    pub(crate) period: Answer<PeriodAnswer>,
    pub(crate) time_in_stage: Answer<TimeInStage>,
    pub(crate) win_rate: Answer<WinRate>,
    pub(crate) cycle: Answer<Cycle>,
    pub(crate) velocity: Answer<Velocity>,
    pub(crate) forecast: Answer<Forecast>,
}

impl Answers {
    pub(crate) async fn of(views: &Views, question: &Question) -> Self {
        let Question { scope, period, forecast, by } = question;
        let page = BoardPage { limit: 1_000, ..BoardPage::default() };
        Self {
            pipeline: answer(views.pipeline(scope, by).await),
            board: answer(views.board(scope, &page).await),
            funnel: answer(views.funnel(scope, by).await),
            period: answer(views.period(scope, period, by).await),
            time_in_stage: answer(views.time_in_stage(scope).await),
            win_rate: answer(views.win_rate(scope, period, by).await),
            cycle: answer(views.cycle(scope, period, by).await),
            velocity: answer(views.velocity(scope, period).await),
            forecast: answer(views.forecast(scope, forecast, by).await),
        }
    }

    /// Without what depends on how far the log went: its position, and what a card tells of the deal of today.
    pub(crate) fn of_the_instant(mut self) -> Self {
        macro_rules! forget {
            ($($answer:ident),+) => {
                $(if let Ok(answer) = &mut self.$answer { answer.seen.position = Position::ZERO; })+
            };
        }
        forget!(pipeline, board, funnel, period, time_in_stage, win_rate, cycle, velocity, forecast);
        for card in self.board.iter_mut().flat_map(|board| &mut board.columns).flat_map(|column| &mut column.cards) {
            card.version = Version::ZERO;
            card.title.clear();
            (card.customer_name, card.owner_name) = (None, None);
        }
        self
    }

    /// Fails with the first answer that differs.
    pub(crate) fn assert_eq(&self, expected: &Self, what: &str) {
        macro_rules! compare {
            ($($answer:ident),+) => {
                $(assert!(
                    self.$answer == expected.$answer,
                    "{what}: {}: {}",
                    stringify!($answer),
                    difference(&self.$answer, &expected.$answer)
                );)+
            };
        }
        compare!(pipeline, board, funnel, period, time_in_stage, win_rate, cycle, velocity, forecast);
    }
}

fn answer<T>(result: Result<T, ProjectionError>) -> Answer<T> {
    match result {
        Ok(answer) => Ok(answer),
        Err(ProjectionError::NoRate { .. } | ProjectionError::Query { .. }) => Err(Refused),
        Err(error) => panic!("{error}"),
    }
}

/// The lines in which two answers differ, with what leads to the first of them.
fn difference<T: std::fmt::Debug>(found: &Answer<T>, expected: &Answer<T>) -> String {
    const LINES_SHOWN_MAX: usize = 20;
    let (Ok(found), Ok(expected)) = (found, expected) else { return format!("{found:?}, and not {expected:?}") };
    let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
    let lines: Vec<(&str, &str)> = found.lines().zip(expected.lines()).collect();
    let first = lines.iter().position(|(found, expected)| found != expected).unwrap_or(lines.len());
    let leading = lines[..first].iter().map(|(line, _)| format!("\n    {line}"));
    let named = leading.filter(|line| line.contains(": ") && !line.contains('{')).collect::<Vec<_>>();
    let differing = lines.iter().filter(|(found, expected)| found != expected).take(LINES_SHOWN_MAX);
    let shown: Vec<String> =
        differing.map(|(found, expected)| format!("\n  is     {found}\n  should {expected}")).collect();
    format!("{}{}", named[named.len().saturating_sub(LINES_SHOWN_MAX)..].concat(), shown.concat())
}
