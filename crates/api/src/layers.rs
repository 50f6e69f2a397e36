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
    http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
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
    conditions,
    from::{self, Hop},
    problem::{Damage, Problem, REQUEST_ID, shorten},
};

pub(crate) fn wrap(router: Router, app: Arc<App>) -> Router {
    // A refusal with 503 is no failure of the server's, and is told once.
    let trace = TraceLayer::new_for_http().make_span_with(span).on_response(told).on_failure(());
    let body_limit = DefaultBodyLimit::max(app.limits.body_bytes_max);
    // As one: layers that are added one by one are boxed one by one, and cloned with all within them for each request.
    router.layer((
        middleware::map_request(named),
        SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid),
        PropagateRequestIdLayer::new(REQUEST_ID),
        trace,
        CatchPanicLayer::custom(panicked),
        body_limit,
        middleware::from_fn_with_state(app, measured),
    ))
}

/// What of a request's path the log is told.
const LOGGED_PATH_BYTES_MAX: usize = 256;

/// An id that a request brings along is taken over if it is no longer than this, and visible ASCII.
const REQUEST_ID_BYTES_MAX: usize = 64;

fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    let path = path.get(..path.floor_char_boundary(LOGGED_PATH_BYTES_MAX)).unwrap_or_default();
    tracing::info_span!("request", method = method_name(request.method()), path, id)
}

/// A method by its name, of those that there are: anybody can think of another.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        // A newer one, for questions with a body.
        _ if method.as_str() == "QUERY" => "QUERY",
        _ => OTHER_METHOD,
    }
}

const OTHER_METHOD: &str = "other";

/// Takes away what a request calls itself where that would not do for a log: it is given another name then.
async fn named(mut request: Request) -> Request {
    let will_do = |id: &HeaderValue| id.len() <= REQUEST_ID_BYTES_MAX && id.as_bytes().iter().all(u8::is_ascii_graphic);
    if !request.headers().get(REQUEST_ID).is_none_or(|id| !id.is_empty() && will_do(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
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
    let method = method_name(request.method());
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let began = Instant::now();
    let response = in_time(&app, request, next).await;
    let status = response.status().as_str().to_owned();
    let seconds = metrics::histogram!("dealog_request_seconds", "method" => method, "path" => path.clone());
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
    if method_name(request.method()) == OTHER_METHOD {
        let detail = "there is no such method here; the paths and methods are listed at /openapi.json";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "unknown_method", detail));
    }
    within_limits(&app.limits, &request)?;
    if let Err(problem) = from_here(app, foreign(&request)).await {
        let about = About::of(&request, address(request.extensions()));
        app.audit.answered(&about, app.now(), None, None, problem.status()).await?;
        return Err(problem);
    }
    let known = conditions::known(&request);
    let response = conditions::unless_known(known.as_ref(), next.run(request).await);
    // Read models that a query found damaged are made anew by the next start; until then health says so.
    if let Some(Damage(reason)) = response.extensions().get() {
        app.followed.database.distrust(reason);
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
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail)
            .field(&shorten(largest)));
    }
    Ok(())
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why").into_response()
}

/// Without tokens the server trusts whoever reaches it, and it is reached from this machine only. A browser on it also
/// carries the requests of pages from elsewhere: those name another origin, or, where a foreign name was made to point
/// here, another host. And a proxy on it may be reached from everywhere: it says so in a header. All are refused.
async fn from_here(app: &App, foreign: Option<(&'static str, String)>) -> Result<(), Problem> {
    match foreign {
        Some((field, found)) if app.bearers.access.is_open().await? => {
            let detail = format!(
                "{found}: without tokens the server answers requests of this machine to its own address only; \
                 `dealog token create` makes a token"
            );
            Err(Problem::new(StatusCode::FORBIDDEN, "foreign_request", detail).field(field))
        }
        _ => Ok(()),
    }
}

/// What shows that a request comes from elsewhere: the header's name, and what is wrong with it.
fn foreign(request: &Request) -> Option<(&'static str, String)> {
    let headers = request.headers();
    if let Some(Hop(address)) = request.extensions().get().filter(|Hop(address)| !address.to_canonical().is_loopback())
    {
        return Some(("Host", format!("the request comes from {address}")));
    }
    if let Some(name) = from::forwarded(headers) {
        return Some((
            "Forwarded",
            format!("the request was forwarded, as its header {} says", shorten(name.as_str())),
        ));
    }
    let host = match only(headers, header::HOST) {
        Ok(Some(host)) if is_loopback(host) => host,
        Ok(Some(host)) => return Some(("Host", format!("`{}` is not this server", shorten(host)))),
        Ok(None) => return Some(("Host", "the request does not say which server it is for".into())),
        Err(reason) => return Some(("Host", format!("the header Host {reason}"))),
    };
    // A request that names the server in its first line, too, is for that one.
    if let Some(named) = request.uri().authority().filter(|named| !is_loopback(named.as_str())) {
        return Some(("Host", format!("`{}` is not this server", shorten(named.as_str()))));
    }
    match only(headers, header::ORIGIN) {
        Ok(None) => None,
        Ok(Some(origin)) if origin.split_once("://").is_some_and(|(_, origin)| origin == host) => None,
        Ok(Some(origin)) => Some(("Origin", format!("`{}` is not this server", shorten(origin)))),
        Err(reason) => Some(("Origin", format!("the header Origin {reason}"))),
    }
}

/// The one value of a header, if there is any.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| "is not plain ASCII"),
        (Some(_), Some(_)) => Err("comes twice"),
    }
}

/// Whether a host, with or without a port, is this machine under its own name.
fn is_loopback(host: &str) -> bool {
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What browsers may do with an answer: believe what it says it is, keep nothing of it, tell nobody where they have been, and,
/// where it is a page, run and fetch nothing that does not come from here.
pub(crate) fn complete<B>(response: &mut http::Response<B>) {
    const STYLES_IN_PLACE: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let is_page = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/html");
    if headers.get(header::CONTENT_TYPE).is_some_and(is_page) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(STYLES_IN_PLACE));
    }
}
