//! `/metrics`

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use metrics::gauge;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    problem::{Problem, QueryProblems},
    resources::health,
};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// What has been measured since the start, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), QueryProblems))]
async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    // Where the log and the read models are is known to their databases, whichever process moves them.
    let head = app.store().head().await?.position;
    gauge!("dealog_log_position").set(as_number(head.0));
    let name = app.followed.name;
    if let Ok(position) = app.views.position().await {
        gauge!("dealog_projection_position", "projection" => name).set(as_number(position.0));
        gauge!("dealog_projection_lag", "projection" => name).set(as_number(head.0.saturating_sub(position.0)));
    }
    let stopped = health::projection(&app).await.trouble.is_some();
    gauge!("dealog_projection_stopped", "projection" => name).set(f64::from(u8::from(stopped)));
    gauge!("dealog_subscribers").set(as_number(app.feed.subscribers() as u64));
    Ok(([(header::CONTENT_TYPE, TEXT)], app.metrics.render()).into_response())
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point, and exact up to 2^53")]
fn as_number(position: u64) -> f64 {
    position as f64
}
