//! What every request goes through: an id, a log line, a limit of size and of time, and no panic beyond it.

use std::{
    any::Any,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{self, HeaderName, HeaderValue, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use tracing::Span;

use crate::{
    App, Limits,
    access::address,
    audit::About,
    problem::{Damage, Problem, REQUEST_ID},
};

pub(crate) fn wrap(router: Router, app: Arc<App>) -> Router {
    // A refusal with 503 is no failure of the server's, and is told once.
    let trace = TraceLayer::new_for_http().make_span_with(span).on_response(told).on_failure(());
    let body_limit = DefaultBodyLimit::max(app.limits.body_bytes_max);
    // As one: layers that are added one by one are boxed one by one, and cloned with all within them for each request.
    router.layer((
        SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid),
        PropagateRequestIdLayer::new(REQUEST_ID),
        trace,
        CatchPanicLayer::custom(panicked),
        body_limit,
        middleware::from_fn_with_state(app, measured),
    ))
}

fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id)
}

/// All requests are counted and timed. A line is for what did not go well: one for each would cost more than most commands.
fn told<B>(response: &http::Response<B>, latency: Duration, _: &Span) {
    let (status, latency_ms) = (response.status().as_u16(), latency.as_millis());
    if response.status().is_success() {
        tracing::debug!(status, latency_ms, "answered");
    } else {
        tracing::info!(status, latency_ms, "answered");
    }
}

/// Counts and times requests by their route: a path has too many values to be a label.
async fn measured(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let began = Instant::now();
    let response = in_time(&app, request, next).await;
    let status = response.status().as_str().to_owned();
    let seconds = metrics::histogram!("dealog_request_seconds", "method" => method.clone(), "path" => path.clone());
    seconds.record(began.elapsed());
    metrics::counter!("dealog_requests_total", "method" => method, "path" => path, "status" => status).increment(1);
    response
}

async fn in_time(app: &App, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.limits.request_time, admitted(app, request, next)).await {
        Ok(response) => response.into_response(),
        Err(_) => Problem::busy(
            "timeout",
            "the request took too long; a command may have been carried out: send it again with the same \
             Idempotency-Key",
        )
        .into_response(),
    }
}

async fn admitted(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    within_limits(&app.limits, &request)?;
    if let Err(problem) = from_here(app, foreign(&request)).await {
        let about = About::of(&request, address(request.extensions()));
        app.audit.answered(&about, app.now(), None, problem.status()).await?;
        return Err(problem);
    }
    let response = next.run(request).await;
    // Read models that a query found damaged are made anew by the next start; until then health says so.
    if let Some(Damage(reason)) = response.extensions().get() {
        app.views.database().distrust(reason);
    }
    Ok(response)
}

/// Refuses a URL or headers that nobody needs.
fn within_limits(limits: &Limits, request: &Request) -> Result<(), Problem> {
    let url_bytes = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
    if url_bytes > limits.url_bytes_max {
        let detail = format!("the URL has {url_bytes} bytes; at most {} are allowed", limits.url_bytes_max);
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "url_too_long", detail).field("URL"));
    }
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let header_bytes: usize = request.headers().iter().map(bytes).sum();
    if header_bytes > limits.header_bytes_max {
        let largest =
            request.headers().iter().max_by_key(|header| bytes(*header)).map_or("", |(name, _)| name.as_str());
        let detail = format!("the headers have {header_bytes} bytes; at most {} are allowed", limits.header_bytes_max);
        return Err(
            Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail).field(largest)
        );
    }
    Ok(())
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why").into_response()
}

/// Without tokens the server trusts whoever reaches it, and it is reached from this machine only. A browser on it also
/// carries the requests of pages from elsewhere: those name another origin, or, where a foreign name was made to point
/// here, another host. Both are refused.
async fn from_here(app: &App, foreign: Option<(&'static str, String)>) -> Result<(), Problem> {
    match foreign {
        Some((field, found)) if app.access.is_open().await? => {
            let detail = format!("`{found}` is not this server: it answers requests to and from its own address only");
            Err(Problem::new(StatusCode::FORBIDDEN, "foreign_request", detail).field(field))
        }
        _ => Ok(()),
    }
}

/// The header that shows that a request comes from elsewhere, with what it says.
fn foreign(request: &Request) -> Option<(&'static str, String)> {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = header(header::HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    if let Some(host) = host.filter(|host| !is_loopback(host)) {
        return Some(("Host", host.to_owned()));
    }
    let origin = header(header::ORIGIN)?;
    let same = origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == host);
    (!same).then(|| ("Origin", origin.to_owned()))
}

/// Whether a host, with or without a port, is this machine under its own name.
fn is_loopback(host: &str) -> bool {
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
