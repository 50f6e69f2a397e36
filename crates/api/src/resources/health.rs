//! `/health`

use axum::{Json, extract::State, http::StatusCode};
use dealog_events::Position;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// The server answers.
#[derive(Debug, Serialize, ToSchema)]
struct Live {
    /// Always `live`.
    status: &'static str,
}

/// Whether the server runs.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Live)))]
async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    /// Whether it can.
    ready: bool,
    /// The end of the log; null where it cannot be read.
    head: Option<Position>,
    /// The read models.
    projections: Vec<ProjectionHealth>,
}

/// How a projection is doing.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectionHealth {
    /// Its name.
    name: &'static str,
    /// The last position it has applied; null where it cannot be read.
    position: Option<Position>,
    /// Events that it has not applied yet.
    lag: Option<u64>,
    /// Why it does not go on, where it has stopped or waits for its database.
    trouble: Option<String>,
}

/// Whether the server can read its log and its read models go on.
#[utoipa::path(get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let head = app.store().head().await.ok().map(|head| head.position);
    let position = app.views.position().await.ok();
    let trouble = app.followed.trouble();
    // Nothing folded of a log that has something: the read models have not been made yet.
    let built = position > Some(Position::ZERO) || head == Some(Position::ZERO);
    let ready = head.is_some() && position.is_some() && built && trouble.is_none();
    let lag = head.zip(position).map(|(head, position)| head.0.saturating_sub(position.0));
    let projection = ProjectionHealth { name: app.followed.name, position, lag, trouble };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, head, projections: vec![projection] }))
}
