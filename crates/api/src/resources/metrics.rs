//! `/metrics`

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use dealog_events::Position;
use metrics::gauge;
use tokio::time::timeout;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, problem::QueryProblems, resources::health};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long the databases may take to say where they are. A scrape does not wait for databases that are away: it is told what
/// the process heard last.
const ANSWER_TIME: Duration = Duration::from_millis(100);

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// What has been measured since the start, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), QueryProblems))]
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let known = timeout(ANSWER_TIME, look(&app)).await.ok().flatten();
    gauge!("dealog_databases_answer").set(f64::from(u8::from(known.is_some())));
    // A gauge that is not set keeps what it last said.
    if let Some(Standing { head, position, stopped }) = known {
        tell(&app, head, position);
        gauge!("dealog_projection_stopped", "projection" => app.followed.name).set(f64::from(u8::from(stopped)));
    } else if let Some(status) = &app.followed.status {
        // The databases are away, or busy: this is what the process has heard from them.
        let position = status.borrow().position();
        let head = *app.store().watch().borrow();
        tell(&app, head.max(position), position);
    }
    gauge!("dealog_subscribers").set(as_number(app.feed.subscribers() as u64));
    ([(header::CONTENT_TYPE, TEXT)], app.metrics.render()).into_response()
}

/// Where the log and its read models are.
struct Standing {
    head: Position,
    position: Position,
    stopped: bool,
}

/// Asks the databases, which know it whichever process moves them. None where they do not say.
async fn look(app: &App) -> Option<Standing> {
    let head = app.store().head().await.ok()?.position;
    let position = app.views.position().await.ok()?;
    let stopped = health::projection(app).await.trouble.is_some();
    Some(Standing { head: head.max(position), position, stopped })
}

fn tell(app: &App, head: Position, position: Position) {
    gauge!("dealog_log_position").set(as_number(head.0));
    let name = app.followed.name;
    gauge!("dealog_projection_position", "projection" => name).set(as_number(position.0));
    gauge!("dealog_projection_lag", "projection" => name).set(as_number(head.0.saturating_sub(position.0)));
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point, and exact up to 2^53")]
fn as_number(position: u64) -> f64 {
    position as f64
}
