//! `/v1/pipeline`, `/v1/funnel`, `/v1/forecast`, and the figures of closed deals; each in groups and over time.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_app::Asked;
use dealog_events::When;
use dealog_figures::{
    self as figures, AllPipelines, Answer, By, CohortFunnels, Cycles, Forecast, ForecastFigures, Grouping, Interval,
    LossFigures, PeriodAnswer, PeriodFunnels, Range, Series, TimesInStages, Velocities, WinRateFigures,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    extract::FigureParams,
    problem::{Problem, QueryProblems},
    query::{figure, figure_query, range},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(pipeline))
        .routes(routes!(funnel))
        .routes(routes!(forecast))
        .routes(routes!(time_in_stage))
        .routes(routes!(win_rate))
        .routes(routes!(losses))
        .routes(routes!(cycle))
        .routes(routes!(velocity))
}

/// Declares the parameters of a figure in groups and over time, with its own.
macro_rules! grouped_query {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        figure_query!(
            $(#[$meta])*
            $name {
                $($(#[$field_meta])* $field: $type,)*
                /// The first instant or local day of the period; by default the local day a calendar year before `to`. With
                /// `series`, a figure of an instant has its points from here on.
                #[param(value_type = Option<String>, example = "2026-01-01")]
                from: Option<When>,
                /// The first instant or local day after the period; by default just after the instant of `as_of`.
                #[param(value_type = Option<String>, example = "2026-04-01")]
                to: Option<When>,
                /// Group the figure by one or two of `owner`, `team`, `source`, `campaign`, `customer`, `pipeline`, `stage`,
                /// `loss_reason`, `competitor`, `week`, `month`, `quarter`, `year` and `fields.NAME`, the second within the first.
                #[param(example = "team,month")]
                by: Option<String>,
                /// Groups of the answer, 1 to 1,000: those with the most deals, and the others together; all that are allowed if
                /// absent.
                #[param(minimum = 1, maximum = 1000)]
                groups: Option<u32>,
                /// The figure for each week, month, quarter or year from `from` to `to`, instead of one.
                #[param(inline)]
                series: Option<Interval>,
            }
        );

        impl $name {
            fn parts(&self, app: &App, fields: Vec<figures::FieldFilter>) -> Result<(Asked, Range), Problem> {
                let grouping = grouping(self.by.as_deref(), self.groups, app)?;
                Ok((Asked { grouping, ..self.asked(fields)? }, range(("from", self.from), ("to", self.to))?))
            }
        }
    };
}

grouped_query!(
    /// A figure, in groups and over time.
    FigureQuery {}
);

grouped_query!(
    /// Which funnel, of which period.
    FunnelQuery {
        /// `cohort` (the default): what became of the deals that came into the pipeline in the period. `period`: what happened in
        /// it.
        #[serde(default)]
        #[param(inline)]
        mode: Mode,
        /// Only what happened in the first so many days after each deal came in, of deals that came in at least so long before
        /// `as_of`.
        #[param(minimum = 1, maximum = 36500)]
        within_days: Option<u32>,
    }
);

/// Which funnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// What became of the deals that came into the pipeline in the period.
    #[default]
    Cohort,
    /// What happened in the period.
    Period,
}

macro_rules! either {
    ($($(#[$meta:meta])* $name:ident { $($variant:ident($answer:ty)),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(ToSchema)]
        #[serde(untagged)]
        #[allow(dead_code, clippy::large_enum_variant, reason = "a description, which is never made")]
        enum $name {
            $($variant($answer),)+
        }
    )+};
}

either! {
    /// The pipeline, or its course.
    PipelineAnswers { Answer(Answer<AllPipelines>), Series(Series<AllPipelines>) }
    /// Either funnel, or its course.
    FunnelAnswers {
        Cohort(PeriodAnswer<CohortFunnels>),
        CohortSeries(Series<CohortFunnels>),
        Period(PeriodAnswer<PeriodFunnels>),
        PeriodSeries(Series<PeriodFunnels>),
    }
    /// A forecast, or its course.
    ForecastAnswers { Answer(Forecast), Series(Series<ForecastFigures>) }
    /// Times in stages, or their course.
    TimeInStageAnswers { Answer(Answer<TimesInStages>), Series(Series<TimesInStages>) }
    /// Win rates, or their course.
    WinRateAnswers { Answer(PeriodAnswer<WinRateFigures>), Series(Series<WinRateFigures>) }
    /// Losses, or their course.
    LossAnswers { Answer(PeriodAnswer<LossFigures>), Series(Series<LossFigures>) }
    /// Cycles, or their course.
    CycleAnswers { Answer(PeriodAnswer<Cycles>), Series(Series<Cycles>) }
    /// Velocities, or their course.
    VelocityAnswers { Answer(PeriodAnswer<Velocities>), Series(Series<Velocities>) }
}

/// What `by` and `groups` ask for.
fn grouping(by: Option<&str>, groups: Option<u32>, app: &App) -> Result<Grouping, Problem> {
    let named = by.into_iter().flat_map(|by| by.split(',')).map(str::trim);
    let wrong = |detail: String| Problem::unprocessable("query", "by", detail).allowed(By::names());
    let by = named.map(|name| name.parse().map_err(wrong));
    let max = app.limits.groups_max;
    let groups_max = match groups.map(|groups| groups as usize) {
        None => max,
        Some(groups) if (1..=max).contains(&groups) => groups,
        Some(groups) => {
            return Err(Problem::unprocessable("query", "groups", format!("groups is {groups}; expected 1 to {max}")));
        }
    };
    Ok(Grouping { by: by.collect::<Result<Vec<By>, _>>()?, groups_max })
}

impl FigureQuery {
    /// Of figures that are of an instant, `from` and `to` say only how far their course goes.
    fn no_period(&self) -> Result<(), Problem> {
        let given = [("from", self.from.is_some()), ("to", self.to.is_some())].into_iter().find(|(_, given)| *given);
        match given {
            Some((field, _)) if self.series.is_none() => {
                let detail = "this figure is as of an instant: send as_of, or series for its course over a period";
                Err(Problem::unprocessable("query", field, detail))
            }
            _ => Ok(()),
        }
    }
}

/// Declares a handler of a figure that is as of an instant: a point of its course is as of the end of the interval.
macro_rules! of_an_instant {
    ($(#[$meta:meta])* $name:ident, $path:literal, $answers:ty, $figure:expr, $series:expr) => {
        $(#[$meta])*
        #[utoipa::path(get, path = $path, tag = "figures", params(FigureQuery),
            responses((status = 200, body = $answers), QueryProblems))]
        async fn $name(
            State(app): State<Arc<App>>,
            FigureParams(query, fields): FigureParams<FigureQuery>,
        ) -> Result<Response, Problem> {
            query.no_period()?;
            let (asked, range) = query.parts(&app, fields)?;
            match query.series {
                None => Ok(figure(&app.queries.figure(asked, $figure).await?)),
                Some(interval) => {
                    let series = app.queries.figure(asked, move |image, question| {
                        ($series)(image, question, &range, interval)
                    });
                    Ok(figure(&series.await?))
                }
            }
        }
    };
}

/// Declares a handler of a figure over a period. Its course is given by a function of an interval.
macro_rules! of_a_period {
    ($(#[$meta:meta])* $name:ident, $path:literal, $answers:ty, $figure:expr, $series:expr) => {
        $(#[$meta])*
        #[utoipa::path(get, path = $path, tag = "figures", params(FigureQuery),
            responses((status = 200, body = $answers), QueryProblems))]
        async fn $name(
            State(app): State<Arc<App>>,
            FigureParams(query, fields): FigureParams<FigureQuery>,
        ) -> Result<Response, Problem> {
            let (asked, range) = query.parts(&app, fields)?;
            match query.series {
                None => {
                    let answer = app.queries.figure(asked, move |image, question| $figure(image, question, &range));
                    Ok(figure(&answer.await?))
                }
                Some(interval) => {
                    let series = app.queries.figure(asked, move |image, question| {
                        ($series)(image, question, &range, interval)
                    });
                    Ok(figure(&series.await?))
                }
            }
        }
    };
}

/// The course of a figure over each interval.
macro_rules! over_each {
    ($figure:expr) => {
        |image, question, range, interval| {
            figures::periods(image, question, range, interval, |period| Ok($figure(image, question, period)?.grouped))
        }
    };
}

/// The course of a figure as of the end of each interval, over its own period of then.
macro_rules! at_each_end {
    ($figure:expr) => {
        |image, question, range, interval| {
            figures::snapshots(image, question, range, interval, |question| {
                Ok($figure(image, question, &Range::default())?.grouped)
            })
        }
    };
}

of_an_instant!(
    /// The open deals of every stage: count, amount, weighted amount, age, stale and overdue ones; and the closed ones.
    pipeline, "/v1/pipeline", PipelineAnswers, figures::pipeline, figures::pipeline_series
);

of_an_instant!(
    /// How long deals stay in stages, also those that are still there.
    time_in_stage, "/v1/time-in-stage", TimeInStageAnswers, figures::time_in_stage,
    |image, question, range, interval| figures::snapshots(image, question, range, interval, |question| {
        Ok(figures::time_in_stage(image, question)?.grouped)
    })
);

of_a_period!(
    /// How many of the deals closed in a period were won.
    win_rate, "/v1/win-rate", WinRateAnswers, figures::win_rate, over_each!(figures::win_rate)
);

of_a_period!(
    /// Why, to whom and in which stages the deals closed in a period were lost.
    losses, "/v1/losses", LossAnswers, figures::losses, over_each!(figures::losses)
);

of_a_period!(
    /// How long the deals closed in a period took.
    cycle, "/v1/cycle", CycleAnswers, figures::cycle, over_each!(figures::cycle)
);

/// How far deals get: by cohort, or by what happened in a period.
#[utoipa::path(get, path = "/v1/funnel", tag = "figures", params(FunnelQuery),
    responses((status = 200, body = FunnelAnswers), QueryProblems))]
async fn funnel(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<FunnelQuery>,
) -> Result<Response, Problem> {
    let (asked, range) = query.parts(&app, fields)?;
    let within_days = within(query.within_days)?;
    if query.mode == Mode::Period && within_days.is_some() {
        let detail = "within_days belongs to a cohort: leave mode=period out, or within_days";
        return Err(Problem::unprocessable("query", "within_days", detail));
    }
    let queries = &app.queries;
    Ok(match (query.mode, query.series) {
        (Mode::Cohort, None) => {
            let answer =
                queries.figure(asked, move |image, question| figures::funnel(image, question, &range, within_days));
            figure(&answer.await?)
        }
        (Mode::Cohort, Some(interval)) => {
            let series = queries.figure(asked, move |image, question| {
                figures::periods(image, question, &range, interval, |period| {
                    Ok(figures::funnel(image, question, period, within_days)?.grouped)
                })
            });
            figure(&series.await?)
        }
        (Mode::Period, None) => {
            figure(&queries.figure(asked, move |image, question| figures::period(image, question, &range)).await?)
        }
        (Mode::Period, Some(interval)) => {
            let series = queries.figure(asked, move |image, question| {
                figures::periods(image, question, &range, interval, |period| {
                    Ok(figures::period(image, question, period)?.grouped)
                })
            });
            figure(&series.await?)
        }
    })
}

pub(super) fn within(days: Option<u32>) -> Result<Option<u32>, Problem> {
    const DAYS_MAX: u32 = 36_500;
    match days {
        Some(days) if !(1..=DAYS_MAX).contains(&days) => {
            let detail = format!("within_days is {days}; expected 1 to {DAYS_MAX}");
            Err(Problem::unprocessable("query", "within_days", detail))
        }
        days => Ok(days),
    }
}

of_a_period!(
    /// What a period will bring: booked, weighted, by category, by history, overdue, and what is not scheduled. `from` and `to` are
    /// local days; by default they are the local month of `as_of`. A point of its course is as of the interval's end, for the local
    /// month of then.
    forecast, "/v1/forecast", ForecastAnswers, figures::forecast, at_each_end!(figures::forecast)
);

of_a_period!(
    /// How much each pipeline yields a day. A point of its course is as of the interval's end, over the year before it.
    velocity, "/v1/velocity", VelocityAnswers, figures::velocity, at_each_end!(figures::velocity)
);
