//! `/v1/events/stream`

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use dealog_app::{Caller, Permission};
use dealog_events::Cursor;
use dealog_followers::at;
use futures_util::StreamExt as _;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    access::{Needed, RateLimit},
    extract::Params,
    feed::Start,
    problem::{Described, Problem, QueryProblems, shorten},
    resources::events::{is_of_this_log, types},
};

const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Which log this is, as in a page of it.
const LOG_ID: HeaderName = HeaderName::from_static("dealog-log-id");
/// Asks proxies that gather answers to let this one through as it comes.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// Which events, and from where on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    /// Only events after this cursor, the id of a message, or after this position: 0 for the whole log. New events only, if absent.
    /// `Last-Event-ID` takes precedence.
    #[param(value_type = Option<String>, example = "34998-5f3a9c1e")]
    after: Option<Cursor>,
    /// Only these types, separated by commas; `deal.*` means all that begin so.
    #[param(example = "deal.won,deal.lost")]
    types: Option<String>,
}

/// The log as it grows, as Server-Sent Events.
///
/// Each event of the log is a message: its `id` is a cursor, the position with a proof of the history before it; its `event` is the
/// event's type, its `data` the envelope as in `/v1/events`. If you are cut off, reconnect with the last id as `Last-Event-ID`, as an `EventSource` does by itself, and you
/// miss nothing. Positions only grow, and each event is sent once. If the log was restored from a backup meanwhile and has another
/// history, the answer is 409 with the code `other_history`.
///
/// Some messages are not events of the log. Their `data` has the `position` to resume after, which is also their `id` if it is
/// new:
///
/// - `position`: the first message if you sent neither `after` nor `Last-Event-ID`, and later when no event of `types` has
///   come for a while, so that you need not go through all other events again when you reconnect.
/// - `dropped`: the stream ends, with a `code` and a `detail`. `too_slow`: events came faster than you read them;
///   `unavailable`: the server's database is away; `other_history`: the log was restored from a backup, and what you have seen is
///   not part of it; `internal`: the server failed.
/// - `stopping`: the stream ends because the server is being stopped.
///
/// A stream ends without a message when its token expires or is revoked; if you reconnect with it, the answer says why.
///
/// A stream with nothing to send gets a comment every 15 seconds. A connection with more to read that reads less than 512 KiB in
/// 30 seconds is cut.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "Only events after this cursor or position. Takes precedence over \
            `after`: it is what a reconnecting `EventSource` sends."),
        StreamQuery
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "Messages, until one side ends it",
            headers(("Dealog-Log-Id" = String, description = "Which log this is")),
            example = "id: 5-0f3a9c1e\nevent: deal.created\ndata: {\"position\":5,\"type\":\"deal.created\"}\n\n"),
        QueryProblems,
        (status = 409, body = Described, content_type = "application/problem+json",
            description = "The cursor is of another history: the log was restored from a backup, or is another log"),
        (status = 503, body = Described, content_type = "application/problem+json",
            description = "No more subscribers are accepted at the moment; try again after Retry-After")
    ))]
async fn stream(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(needed): Extension<Needed>,
    Params(query): Params<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let share = needed.share(&caller);
    let types = query.types.as_deref().map(types).transpose()?.unwrap_or_default();
    let place = app.turns.take_stream(share).ok_or_else(|| too_many(app.limits.subscribers_per_caller_max))?;
    let resumed = last_event_id(&headers)?;
    let head = app.store().head().await?;
    let start = match (resumed, query.after) {
        (Some(after), _) => known(&app, after, LAST_EVENT_ID).await?,
        (None, Some(after)) => known(&app, after, "after").await?,
        (None, None) => Start::Now(at(&**app.store(), head.position).await?),
    };
    let subscriber = app.feed.subscribe(start, types).ok_or_else(|| {
        let detail = format!("there are {} subscribers, and no more are served", app.limits.subscribers_max);
        Problem::busy("too_many_subscribers", detail)
    })?;
    let messages = subscriber.in_turn(app.turns.clone(), share).stream();
    let messages = messages.take_until(app.bearers.clone().withdrawn(headers, Permission::Log));
    // The place goes with the stream.
    let messages = messages.inspect(move |_| _ = &place);
    let about = [(header::CONTENT_TYPE, "text/event-stream"), NO_BUFFERING];
    let log_id = [(LOG_ID, head.log_id.to_string())];
    Ok((about, log_id, Body::from_stream(messages)).into_response())
}

fn too_many(max: usize) -> Problem {
    let detail = format!("this caller has {max} streams already: follow more types with one of them, or end one first");
    let quota = u32::try_from(max).unwrap_or(u32::MAX);
    let state = RateLimit {
        policy: "streams",
        quota,
        unit: Some("concurrent-requests"),
        window_seconds: None,
        remaining: 0,
        reset_seconds: 1,
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail).retry_after(1).rate_limit(state)
}

async fn known(app: &App, after: Cursor, field: &str) -> Result<Start, Problem> {
    is_of_this_log(&**app.store(), after, field).await?;
    Ok(Start::After(after))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    // An EventSource that has seen no event yet may send it empty.
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let cursor = value.to_str().ok().and_then(|value| value.parse().ok());
    let shown = shorten(&String::from_utf8_lossy(value.as_bytes()));
    cursor.map(Some).ok_or_else(|| {
        Problem::bad_request(
            LAST_EVENT_ID,
            format!("`{shown}` is neither a cursor nor a position: send the last id that you were told"),
        )
    })
}
