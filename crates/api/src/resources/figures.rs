//! `/v1/pipeline`, `/v1/funnel`, `/v1/forecast`, and the figures of closed deals; each over time, and with the deals behind it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_app::Asked;
use dealog_events::{Position, Slug};
use dealog_figures::{
    self as figures, AllPipelines, Answer, Behind, By, ClosedNumber, CohortFunnels, Cycles, Forecast, ForecastFigures,
    ForecastNumber, FunnelNumber, Grouping, Interval, LossFigures, PeriodAnswer, PeriodFunnels, PeriodNumber,
    PipelineNumber, Range, Series, StageTimeNumber, TimesInStages, Velocities, WinRateFigures,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    extract::FigureParams,
    problem::{Problem, QueryProblems},
    query::{WhenText, figure, figure_query, limit, range},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(pipeline))
        .routes(routes!(pipeline_deals))
        .routes(routes!(funnel))
        .routes(routes!(funnel_deals))
        .routes(routes!(period_deals))
        .routes(routes!(forecast))
        .routes(routes!(forecast_deals))
        .routes(routes!(time_in_stage))
        .routes(routes!(time_in_stage_deals))
        .routes(routes!(win_rate))
        .routes(routes!(losses))
        .routes(routes!(cycle))
        .routes(routes!(closed_deals))
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
                from: Option<WhenText>,
                /// The first instant or local day after the period; by default just after the instant of `as_of`.
                #[param(value_type = Option<String>, example = "2026-04-01")]
                to: Option<WhenText>,
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

/// Declares the parameters of the deals behind a figure's number.
macro_rules! behind_query {
    ($(#[$meta:meta])* $name:ident: $number:ty { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        figure_query!(
            $(#[$meta])*
            $name {
                /// Which number of the figure.
                #[param(inline)]
                number: $number,
                $($(#[$field_meta])* $field: $type,)*
                /// The first instant or local day of the period, as with the figure.
                #[param(value_type = Option<String>, example = "2026-01-01")]
                from: Option<WhenText>,
                /// The first instant or local day after the period, as with the figure.
                #[param(value_type = Option<String>, example = "2026-04-01")]
                to: Option<WhenText>,
                /// Deals of a page, 1 to 500; 50 if absent.
                #[param(minimum = 1, maximum = 500)]
                limit: Option<u32>,
                /// The `next` of the page before.
                after: Option<u64>,
            }
        );

        impl $name {
            fn page(&self, app: &App) -> Result<figures::Page, Problem> {
                let limit = limit(self.limit, 50, app.limits.page_items_max)? as usize;
                Ok(figures::Page { after: self.after.map(Position), limit })
            }
        }
    };
}

behind_query!(
    /// Which deals behind the pipeline.
    PipelineDealsQuery: PipelineNumber {}
);

behind_query!(
    /// Which deals behind a cohort's funnel.
    FunnelDealsQuery: FunnelNumber {
        /// The stage that the number is of, where it is of one.
        at_stage: Option<Slug>,
        /// As with the figure.
        #[param(minimum = 1, maximum = 36500)]
        within_days: Option<u32>,
    }
);

behind_query!(
    /// Which deals behind a period's funnel.
    PeriodDealsQuery: PeriodNumber {
        /// The stage that the number is of.
        at_stage: Slug,
        /// With `moves` and `move_days`: the stage that they went to.
        to_stage: Option<Slug>,
    }
);

behind_query!(
    /// Which deals behind time in stage.
    StageTimeDealsQuery: StageTimeNumber {
        /// The stage that the number is of.
        at_stage: Slug,
    }
);

behind_query!(
    /// Which deals behind a forecast.
    ForecastDealsQuery: ForecastNumber {}
);

behind_query!(
    /// Which deals behind win rate, losses or cycle.
    ClosedDealsQuery: ClosedNumber {}
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

fn within(days: Option<u32>) -> Result<Option<u32>, Problem> {
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

/// The deals behind a number of the pipeline, and what each adds to it. Filters narrow it down to a stage or a group.
#[utoipa::path(get, path = "/v1/pipeline/deals", tag = "figures", params(PipelineDealsQuery),
    responses((status = 200, body = Behind), QueryProblems))]
async fn pipeline_deals(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<PipelineDealsQuery>,
) -> Result<Response, Problem> {
    let (asked, page, number) = (query.asked(fields)?, query.page(&app)?, query.number);
    no_period(query.from, query.to, "the pipeline is as of an instant: send as_of")?;
    let answer =
        app.queries.figure(asked, move |image, question| figures::behind_pipeline(image, question, number, page));
    Ok(figure(&answer.await?))
}

/// The deals behind a number of a pipeline's funnel by cohort.
#[utoipa::path(get, path = "/v1/funnel/deals", tag = "figures", params(FunnelDealsQuery),
    responses((status = 200, body = Behind), QueryProblems))]
async fn funnel_deals(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<FunnelDealsQuery>,
) -> Result<Response, Problem> {
    let (asked, page) = (query.asked(fields)?, query.page(&app)?);
    let (range, within_days) = (range(("from", query.from), ("to", query.to))?, within(query.within_days)?);
    let answer = app.queries.figure(asked, move |image, question| {
        let cell = (query.number, query.at_stage.as_ref());
        figures::behind_funnel(image, question, &range, within_days, cell, page)
    });
    Ok(figure(&answer.await?))
}

/// The deals behind a number of a pipeline's funnel by period, and how often or how long each is counted in it.
#[utoipa::path(get, path = "/v1/funnel/period/deals", tag = "figures", params(PeriodDealsQuery),
    responses((status = 200, body = Behind), QueryProblems))]
async fn period_deals(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<PeriodDealsQuery>,
) -> Result<Response, Problem> {
    let (asked, page) = (query.asked(fields)?, query.page(&app)?);
    let range = range(("from", query.from), ("to", query.to))?;
    let answer = app.queries.figure(asked, move |image, question| {
        let cell = (query.number, &query.at_stage, query.to_stage.as_ref());
        figures::behind_period(image, question, &range, cell, page)
    });
    Ok(figure(&answer.await?))
}

/// The deals behind a number of time in stage.
#[utoipa::path(get, path = "/v1/time-in-stage/deals", tag = "figures", params(StageTimeDealsQuery),
    responses((status = 200, body = Behind), QueryProblems))]
async fn time_in_stage_deals(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<StageTimeDealsQuery>,
) -> Result<Response, Problem> {
    let (asked, page) = (query.asked(fields)?, query.page(&app)?);
    no_period(query.from, query.to, "time in stage is as of an instant: send as_of")?;
    let answer = app.queries.figure(asked, move |image, question| {
        figures::behind_time_in_stage(image, question, (query.number, &query.at_stage), page)
    });
    Ok(figure(&answer.await?))
}

fn no_period(from: Option<WhenText>, to: Option<WhenText>, detail: &str) -> Result<(), Problem> {
    match from.map(|_| "from").or(to.map(|_| "to")) {
        Some(field) => Err(Problem::unprocessable("query", field, detail)),
        None => Ok(()),
    }
}

/// The deals behind a number of a forecast.
#[utoipa::path(get, path = "/v1/forecast/deals", tag = "figures", params(ForecastDealsQuery),
    responses((status = 200, body = Behind), QueryProblems))]
async fn forecast_deals(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<ForecastDealsQuery>,
) -> Result<Response, Problem> {
    let (asked, page, number) = (query.asked(fields)?, query.page(&app)?, query.number);
    let range = range(("from", query.from), ("to", query.to))?;
    let answer = app
        .queries
        .figure(asked, move |image, question| figures::behind_forecast(image, question, &range, number, page));
    Ok(figure(&answer.await?))
}

/// The deals behind a number of win rate, losses or cycle.
#[utoipa::path(get, path = "/v1/closed/deals", tag = "figures", params(ClosedDealsQuery),
    responses((status = 200, body = Behind), QueryProblems))]
async fn closed_deals(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<ClosedDealsQuery>,
) -> Result<Response, Problem> {
    let (asked, page, number) = (query.asked(fields)?, query.page(&app)?, query.number);
    let range = range(("from", query.from), ("to", query.to))?;
    let answer =
        app.queries.figure(asked, move |image, question| figures::behind_closed(image, question, &range, number, page));
    Ok(figure(&answer.await?))
}
