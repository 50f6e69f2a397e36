//! The deals behind each number of a figure, and what each adds to it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_events::{Position, Slug, When};
use dealog_figures::{
    self as figures, Behind, ClosedNumber, ForecastNumber, FunnelNumber, PeriodNumber, PipelineNumber, StageTimeNumber,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::figures::within;
use crate::{
    App,
    extract::FigureParams,
    problem::{Problem, QueryProblems},
    query::{figure, figure_query, limit, range},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(pipeline_deals))
        .routes(routes!(funnel_deals))
        .routes(routes!(period_deals))
        .routes(routes!(forecast_deals))
        .routes(routes!(time_in_stage_deals))
        .routes(routes!(closed_deals))
}

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
                from: Option<When>,
                /// The first instant or local day after the period, as with the figure.
                #[param(value_type = Option<String>, example = "2026-04-01")]
                to: Option<When>,
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

fn no_period(from: Option<When>, to: Option<When>, detail: &str) -> Result<(), Problem> {
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
