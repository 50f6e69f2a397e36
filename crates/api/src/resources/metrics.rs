//! `/metrics`

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use dealog_events::Position;
use dealog_projections::models::Lists;
use futures_util::future::join_all;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_process::Collector;
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

/// Says what is measured here, in the words of `# HELP`. Called once, when measuring begins.
pub(crate) fn describe() {
    let gauges = [
        ("dealog_audit_failing", "1 while the audit log cannot be written"),
        ("dealog_build_info", "1, with the version of Dealog"),
        ("dealog_connections", "Open connections"),
        ("dealog_databases_answer", "1 if the databases answer"),
        ("dealog_log_position", "The last position of the log"),
        ("dealog_projection_lag", "Events that a read model is behind the log"),
        ("dealog_projection_position", "The last position that a read model has seen"),
        ("dealog_projection_stopped", "1 if a read model has stopped"),
        ("dealog_queries_waiting", "Queries that wait for their turn"),
        ("dealog_subscribers", "Open streams of events"),
    ];
    for (name, help) in gauges {
        describe_gauge!(name, help);
    }
    let counters = [
        ("dealog_audit_lost_total", "Entries of the audit log that were lost"),
        ("dealog_bodies_refused_total", "Request bodies that did not fit their budget"),
        ("dealog_commands_put_off_total", "Commands refused because their caller sent too many"),
        ("dealog_commands_total", "Commands by what came of them"),
        ("dealog_connections_refused_total", "Connections that found no place, by the limit that was full"),
        ("dealog_failed_attempts_total", "Requests with a bad token"),
        (
            "dealog_queries_refused_total",
            "Queries refused because too many of their caller were waiting, or too many in all",
        ),
        ("dealog_requests_total", "Requests by method, route and status"),
        ("dealog_responses_refused_total", "Answers that did not fit their budget"),
        ("dealog_streams_ended_total", "Streams of events that the server ended, by why"),
    ];
    for (name, help) in counters {
        describe_counter!(name, help);
    }
    describe_histogram!("dealog_request_seconds", Unit::Seconds, "How long requests took until their answers began");
    gauge!("dealog_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Collector::default().describe();
}

/// What has been measured since the start, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), QueryProblems))]
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let known = timeout(ANSWER_TIME, look(&app)).await.ok().flatten();
    gauge!("dealog_databases_answer").set(f64::from(u8::from(known.is_some())));
    // A gauge that is not set keeps what it last said.
    if let Some(Standing { head, models }) = known {
        tell(head, models.iter().map(|model| (model.name, model.position)));
        for Model { name, stopped, .. } in models {
            gauge!("dealog_projection_stopped", "projection" => name).set(f64::from(u8::from(stopped)));
        }
    } else if let Some(status) = &app.followed.status {
        // The databases are away, or busy: this is what the process has heard from them.
        let models = status.now();
        let head = *app.store().watch().borrow();
        let furthest = models.iter().map(|model| model.status.position()).max().unwrap_or_default();
        tell(head.max(furthest), models.iter().map(|model| (model.name, model.status.position())));
    }
    Collector::default().collect();
    gauge!("dealog_subscribers").set(as_number(app.feed.subscribers() as u64));
    ([(header::CONTENT_TYPE, TEXT)], app.metrics.render()).into_response()
}

/// Where the log and its read models are.
struct Standing {
    head: Position,
    models: Vec<Model>,
}

struct Model {
    name: &'static str,
    position: Position,
    stopped: bool,
}

/// Asks the databases, which know it whichever process moves them. None where they do not say.
async fn look(app: &App) -> Option<Standing> {
    let head = app.store().head().await.ok()?.position;
    // Health has words for a database that gives no answer, and metrics say nothing then.
    Lists::new(app.followed.database.clone()).position().await.ok()?;
    let health = join_all(app.followed.models.iter().map(|model| health::projection(app, *model))).await;
    let models: Vec<_> = health
        .into_iter()
        .map(|health| Model {
            name: health.name,
            position: health.position.unwrap_or_default(),
            stopped: health.trouble.is_some(),
        })
        .collect();
    let furthest = models.iter().map(|model| model.position).max().unwrap_or_default();
    Some(Standing { head: head.max(furthest), models })
}

fn tell(head: Position, models: impl Iterator<Item = (&'static str, Position)>) {
    gauge!("dealog_log_position").set(as_number(head.0));
    for (name, position) in models {
        gauge!("dealog_projection_position", "projection" => name).set(as_number(position.0));
        gauge!("dealog_projection_lag", "projection" => name).set(as_number(head.0.saturating_sub(position.0)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point, and exact up to 2^53")]
fn as_number(position: u64) -> f64 {
    position as f64
}
