//! `/v1/board`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_app::Listed;
use dealog_events::Slug;
use dealog_projections::models::deals::{Board, BoardCursor, BoardPage};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    extract::Params,
    problem::{Problem, QueryProblems},
    query::{WhenText, filter_query, limit, seen},
};

/// Its cards name people, whatever is asked for.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(board))
}

filter_query!(
    /// Which part of the board.
    BoardQuery {
        /// The board as it was at this instant, or at the end of this local day; now if absent.
        #[param(value_type = Option<String>, example = "2026-03-01")]
        as_of: Option<WhenText>,
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

/// The open deals of one pipeline by stage, longest in the stage first, in pages.
#[utoipa::path(get, path = "/v1/board", tag = "figures", params(BoardQuery),
    responses((status = 200, body = Board), QueryProblems))]
async fn board(State(app): State<Arc<App>>, Params(query): Params<BoardQuery>) -> Result<Response, Problem> {
    if query.after.is_some() && query.stage.is_none() {
        return Err(Problem::unprocessable("query", "after", "after belongs to one column: send its stage too"));
    }
    let limit = limit(query.limit, 20, app.limits.page_items_max)?;
    let page = BoardPage { limit, stage: query.stage.clone(), after: query.after };
    let listed = Listed { as_of: query.as_of.map(|WhenText(when)| when), ..query.listed()? };
    let answer = app.queries.board(listed, &page).await?;
    Ok(seen(answer.seen.position, &answer))
}
