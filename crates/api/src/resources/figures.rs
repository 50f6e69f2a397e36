//! `/v1/pipeline`, `/v1/board`, `/v1/funnel`, `/v1/forecast`, and the rates over closed deals.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_events::Slug;
use dealog_projections::deals::query::{
    Board, BoardCursor, BoardPage, By, Cycle, Forecast, FunnelAnswer, Grouping, PeriodAnswer, PipelineAnswer,
    TimeInStage, Velocity, WinRate,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    extract::Params,
    problem::{Problem, QueryProblems},
    query::{Question, WhenText, figure_query, limit, range, seen},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(pipeline))
        .routes(routes!(funnel))
        .routes(routes!(forecast))
        .routes(routes!(time_in_stage))
        .routes(routes!(win_rate))
        .routes(routes!(cycle))
        .routes(routes!(velocity))
}

/// The board apart: its cards name people, whatever is asked for.
pub(crate) fn board_router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(board))
}

figure_query!(
    /// What all figures take.
    SnapshotQuery {}
);

figure_query!(
    /// Figures that can be grouped.
    PipelineQuery {
        /// Group the figures by `owner`, `team`, `source`, `campaign`, `customer` or `month`, or by two of these, the second
        /// within the first.
        #[param(example = "team,month")]
        by: Option<String>,
    }
);

figure_query!(
    /// Figures over a period, which can be grouped.
    ClosedQuery {
        /// The first instant or local day of the period; by default a year before `to`.
        #[param(value_type = Option<String>, example = "2026-01-01")]
        from: Option<WhenText>,
        /// The first instant or local day after the period; by default the instant of `as_of`.
        #[param(value_type = Option<String>, example = "2026-04-01")]
        to: Option<WhenText>,
        /// Group the figures by `owner`, `team`, `source`, `campaign`, `customer` or `month`, or by two of these, the second
        /// within the first.
        #[param(example = "team,month")]
        by: Option<String>,
    }
);

figure_query!(
    /// Figures over a period.
    PeriodQuery {
        /// The first instant or local day of the period; by default a year before `to`.
        #[param(value_type = Option<String>, example = "2026-01-01")]
        from: Option<WhenText>,
        /// The first instant or local day after the period; by default the instant of `as_of`.
        #[param(value_type = Option<String>, example = "2026-04-01")]
        to: Option<WhenText>,
    }
);

figure_query!(
    /// The forecast's period, in whole local days.
    ForecastQuery {
        /// The first day; by default the first of the month of `as_of`.
        #[param(value_type = Option<String>, example = "2026-04-01")]
        from: Option<WhenText>,
        /// The day after the last; by default a month later.
        #[param(value_type = Option<String>, example = "2026-07-01")]
        to: Option<WhenText>,
        /// Group the figures by `owner`, `team`, `source`, `campaign`, `customer` or `month`, or by two of these, the second
        /// within the first.
        #[param(example = "team,month")]
        by: Option<String>,
    }
);

/// Which funnel.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// What became of the deals created in the period.
    #[default]
    Cohort,
    /// What happened in the period.
    Period,
}

figure_query!(
    /// Which funnel, of which period.
    FunnelQuery {
        /// `cohort` (the default): what became of the deals created in the period. `period`: what happened in it.
        #[serde(default)]
        #[param(inline)]
        mode: Mode,
        /// The first instant or local day of the period. By default a cohort has all deals, a period the year before `to`.
        #[param(value_type = Option<String>, example = "2026-01-01")]
        from: Option<WhenText>,
        /// The first instant or local day after the period; by default the instant of `as_of`.
        #[param(value_type = Option<String>, example = "2026-04-01")]
        to: Option<WhenText>,
        /// Group the figures by `owner`, `team`, `source`, `campaign`, `customer` or `month`, or by two of these, the second
        /// within the first.
        #[param(example = "team,month")]
        by: Option<String>,
    }
);

figure_query!(
    /// Which part of the board.
    BoardQuery {
        /// Only this column.
        stage: Option<Slug>,
        /// Cards of a column, 1 to 500; 20 if absent.
        #[param(minimum = 1, maximum = 500)]
        limit: Option<u32>,
        /// The `next` of the column's previous page; needs `stage`.
        #[param(value_type = Option<String>)]
        after: Option<BoardCursor>,
    }
);

/// Either funnel.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a description")]
enum Funnel {
    Cohort(FunnelAnswer),
    Period(PeriodAnswer),
}

/// What `by` asks for.
fn grouping(by: Option<&str>, app: &App) -> Result<Grouping, Problem> {
    let problem = |detail: String| Problem::unprocessable("query", "by", detail);
    let known = |name: &str| {
        By::ALL.into_iter().find(|by| by.name() == name).ok_or_else(|| {
            let allowed: Vec<String> = By::ALL.map(|by| by.name().to_owned()).into();
            problem(format!("figures are not grouped by `{name}`, but by {}", allowed.join(", "))).allowed(allowed)
        })
    };
    let named = by.into_iter().flat_map(|by| by.split(',')).map(known).collect::<Result<Vec<By>, _>>()?;
    let by = match *named.as_slice() {
        [] => [None, None],
        [one] => [Some(one), None],
        [one, two] if one != two => [Some(one), Some(two)],
        [one, _] => return Err(problem(format!("by names {} twice: name it once", one.name()))),
        [..] => return Err(problem("by takes one or two, such as team,month".into())),
    };
    Ok(Grouping { by, groups_max: app.limits.groups_max })
}

/// The open deals of every stage: count, amount, weighted amount, age, stale and overdue ones; and the closed ones.
#[utoipa::path(get, path = "/v1/pipeline", tag = "figures", params(PipelineQuery),
    responses((status = 200, body = PipelineAnswer), QueryProblems))]
async fn pipeline(State(app): State<Arc<App>>, Params(query): Params<PipelineQuery>) -> Result<Response, Problem> {
    let by = grouping(query.by.as_deref(), &app)?;
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.pipeline(&scope, &by).await?;
    Ok(seen(answer.seen.position, &answer))
}

/// The open deals of one pipeline by stage, longest in the stage first, in pages.
#[utoipa::path(get, path = "/v1/board", tag = "figures", params(BoardQuery),
    responses((status = 200, body = Board), QueryProblems))]
async fn board(State(app): State<Arc<App>>, Params(query): Params<BoardQuery>) -> Result<Response, Problem> {
    if query.after.is_some() && query.stage.is_none() {
        return Err(Problem::unprocessable("query", "after", "after belongs to one column: send its stage too"));
    }
    let limit = limit(query.limit, 20, app.limits.page_items_max)?;
    let page = BoardPage { limit, stage: query.stage.clone(), after: query.after };
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.board(&scope, &page).await?;
    Ok(seen(answer.seen.position, &answer))
}

/// How far deals get: by cohort, or by what happened in a period.
#[utoipa::path(get, path = "/v1/funnel", tag = "figures", params(FunnelQuery),
    responses((status = 200, body = Funnel), QueryProblems))]
async fn funnel(State(app): State<Arc<App>>, Params(query): Params<FunnelQuery>) -> Result<Response, Problem> {
    let by = grouping(query.by.as_deref(), &app)?;
    let Question { views, mut scope } = query.question(&app).await?;
    let period = range(("from", query.from), ("to", query.to))?;
    match query.mode {
        Mode::Cohort => {
            let created = [("created_from", query.created_from), ("created_to", query.created_to)];
            if let Some((field, _)) = created.into_iter().find(|(_, when)| when.is_some()) {
                let detail = "a cohort is chosen with from and to; created_from and created_to go with mode=period";
                return Err(Problem::unprocessable("query", field, detail));
            }
            scope.filter.created = period;
            let answer = views.funnel(&scope, &by).await?;
            Ok(seen(answer.seen.position, &answer))
        }
        Mode::Period => {
            let answer = views.period(&scope, &period, &by).await?;
            Ok(seen(answer.seen.position, &answer))
        }
    }
}

/// What a period will bring: booked, weighted, by category, by history, and what is not scheduled.
#[utoipa::path(get, path = "/v1/forecast", tag = "figures", params(ForecastQuery),
    responses((status = 200, body = Forecast), QueryProblems))]
async fn forecast(State(app): State<Arc<App>>, Params(query): Params<ForecastQuery>) -> Result<Response, Problem> {
    let by = grouping(query.by.as_deref(), &app)?;
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.forecast(&scope, &range(("from", query.from), ("to", query.to))?, &by).await?;
    Ok(seen(answer.seen.position, &answer))
}

/// How long deals stay in stages.
#[utoipa::path(get, path = "/v1/time-in-stage", tag = "figures", params(SnapshotQuery),
    responses((status = 200, body = TimeInStage), QueryProblems))]
async fn time_in_stage(State(app): State<Arc<App>>, Params(query): Params<SnapshotQuery>) -> Result<Response, Problem> {
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.time_in_stage(&scope).await?;
    Ok(seen(answer.seen.position, &answer))
}

/// How many of the deals closed in a period were won.
#[utoipa::path(get, path = "/v1/win-rate", tag = "figures", params(ClosedQuery),
    responses((status = 200, body = WinRate), QueryProblems))]
async fn win_rate(State(app): State<Arc<App>>, Params(query): Params<ClosedQuery>) -> Result<Response, Problem> {
    let by = grouping(query.by.as_deref(), &app)?;
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.win_rate(&scope, &range(("from", query.from), ("to", query.to))?, &by).await?;
    Ok(seen(answer.seen.position, &answer))
}

/// How long the deals closed in a period took.
#[utoipa::path(get, path = "/v1/cycle", tag = "figures", params(ClosedQuery),
    responses((status = 200, body = Cycle), QueryProblems))]
async fn cycle(State(app): State<Arc<App>>, Params(query): Params<ClosedQuery>) -> Result<Response, Problem> {
    let by = grouping(query.by.as_deref(), &app)?;
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.cycle(&scope, &range(("from", query.from), ("to", query.to))?, &by).await?;
    Ok(seen(answer.seen.position, &answer))
}

/// How much the pipeline yields a day.
#[utoipa::path(get, path = "/v1/velocity", tag = "figures", params(PeriodQuery),
    responses((status = 200, body = Velocity), QueryProblems))]
async fn velocity(State(app): State<Arc<App>>, Params(query): Params<PeriodQuery>) -> Result<Response, Problem> {
    let Question { views, scope } = query.question(&app).await?;
    let answer = views.velocity(&scope, &range(("from", query.from), ("to", query.to))?).await?;
    Ok(seen(answer.seen.position, &answer))
}
