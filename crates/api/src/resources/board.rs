//! `/v1/board`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_app::Board;
use dealog_figures::{BoardCursor, BoardPage};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    extract::FigureParams,
    problem::{Problem, QueryProblems},
    query::{figure_query, limit, seen},
};

/// Its cards name people, whatever is asked for.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(board))
}

figure_query!(
    /// Which part of the board. With `stage`, it has these columns alone.
    BoardQuery {
        /// Cards of a column, 1 to 500; 20 if absent.
        #[param(minimum = 1, maximum = 500)]
        limit: Option<u32>,
        /// The `next` of the column's previous page; needs the column's `stage`.
        #[param(value_type = Option<String>)]
        after: Option<BoardCursor>,
    }
);

/// The open deals of one pipeline by stage, longest in the stage first, in pages, with what is in each stage altogether.
#[utoipa::path(get, path = "/v1/board", tag = "figures", params(BoardQuery),
    responses((status = 200, body = Board), QueryProblems))]
async fn board(
    State(app): State<Arc<App>>,
    FigureParams(query, fields): FigureParams<BoardQuery>,
) -> Result<Response, Problem> {
    if query.after.is_some() && query.stage.0.len() != 1 {
        return Err(Problem::unprocessable("query", "after", "after belongs to one column: send its stage too"));
    }
    let limit = limit(query.limit, 20, app.limits.page_items_max)? as usize;
    let board = app.queries.board(query.asked(fields)?, BoardPage { limit, after: query.after }).await?;
    Ok(seen(board.seen.position, &board))
}
