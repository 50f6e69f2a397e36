//! Commands over HTTP: what surrounds them comes in headers, what they ask for in the body.

use std::sync::Arc;

use axum::{
    Json,
    body::{Bytes, HttpBody as _},
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_extra::headers::{ContentType, HeaderMapExt as _};
use dealog_app::{Caller, Terms};
use dealog_commands::{Outcome, fingerprint};
use dealog_domain::{Command, Occurred};
use dealog_events::{Actor, CommandId, Position, StreamId, Timestamp, Version};
use mime::Mime;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    App,
    access::Needed,
    conditions::if_match,
    fair::Share,
    json::{self, Unfit},
    problem::{ENCODED, Problem, shorten},
    room::Held,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is the first outcome of a command that came again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Bytes of a body that takes no room.
const SMALL_BYTES: usize = 4 * 1024;

/// Headers that every command takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "a description; `Asked` reads them")]
pub(crate) struct CommandHeaders {
    /// Your own name for this command, 1 to 255 characters. If you send it again with the same body, it is not carried out
    /// again, and you get its first outcome: for ever, or for at least 24 hours if there was nothing to do. A refusal is not an
    /// outcome: it is decided again each time.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
    /// The `ETag` that you saw, or a list of them. The command is refused (412) if the stream is at none of these versions.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
}

/// What is asked, and what surrounds it. A command without a body may be sent without one.
pub(crate) struct Asked<T> {
    pub(crate) body: T,
    terms: Terms,
    caller: Caller,
    /// What its body takes, until it has been carried out.
    _room: Option<Held>,
}

/// What a command without attributes takes: at most `occurred_at`.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let headers = request.headers().clone();
        let extensions = request.extensions();
        let (Some(needed), Some(caller)) = (extensions.get::<Needed>().copied(), extensions.get::<Caller>()) else {
            return Err(Problem::internal(&"a command came past the guard of its resource"));
        };
        check_encoding(&headers)?;
        let room = room(&request, needed.share(caller), app)?;
        let body = read(request, app).await?;
        let caller = app.bearers.still(&headers, needed).await?;
        let (occurred, command) = parse(&headers, &body)?;
        let terms = Terms {
            name: idempotency_key(&headers, app.limits.idempotency_key_chars_max)?.map(ToOwned::to_owned),
            fingerprint: fingerprint(&[method.as_str().as_bytes(), path.as_bytes(), &body]),
            occurred,
            if_match: if_match(&headers)?,
        };
        Ok(Self { body: command, terms, caller, _room: room })
    }
}

/// Room for a body, unless it is small: of those, the number of connections is the bound. One that does not say how long it is may
/// be as long as any.
fn room(request: &Request, share: Share, app: &App) -> Result<Option<Held>, Problem> {
    let size = request.body().size_hint().upper().and_then(|size| usize::try_from(size).ok());
    let bytes = size.unwrap_or(usize::MAX).min(app.limits.body_bytes_max);
    if bytes <= SMALL_BYTES {
        return Ok(None);
    }
    let Some(room) = app.bodies.try_take(share, bytes) else {
        metrics::counter!("dealog_bodies_refused_total").increment(1);
        let detail = "there is no room for this body among those being read, and nothing was done: send it again";
        return Err(Problem::busy("bodies_full", detail));
    };
    Ok(Some(room))
}

/// The body, as long as it comes in time and is not too large.
async fn read(request: Request, app: &Arc<App>) -> Result<Bytes, Problem> {
    let time = app.limits.body_time;
    let Ok(body) = timeout(time, Bytes::from_request(request, app)).await else {
        let detail =
            format!("the body did not come within {} ms, and nothing was done: send it again", time.as_millis());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail).field("body"));
    };
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("a body has at most {} bytes", app.limits.body_bytes_max);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).field("body")
        }
        _ => Problem::bad_request("body", rejection.body_text()),
    })
}

/// Takes `occurred_at` out of a JSON object; the rest is the command.
fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<(Occurred, T), Problem> {
    let mut object = if body.iter().all(u8::is_ascii_whitespace) {
        serde_json::Map::new()
    } else {
        check_content_type(headers)?;
        let value = json::parse(body).map_err(|unfit| {
            let field = if let Unfit::Twice(key) = &unfit { shorten(key) } else { "body".to_owned() };
            Problem::bad_request(&field, shorten(&unfit.to_string()))
        })?;
        match value {
            serde_json::Value::Object(object) => object,
            _ => return Err(Problem::bad_request("body", "the body must be a JSON object, in braces")),
        }
    };
    let occurred = match object.remove("occurred_at") {
        None | Some(serde_json::Value::Null) => Occurred::Now,
        Some(time) => serde_json::from_value::<Timestamp>(time)
            .map(Occurred::At)
            .map_err(|error| Problem::bad_request("occurred_at", error.to_string()))?,
    };
    let command = serde_path_to_error::deserialize(serde_json::Value::Object(object)).map_err(|error| {
        let (path, reason) = (error.path().to_string(), error.inner().to_string());
        // A missing or unknown field is reported where it would stand; its name is in the message.
        let named = reason.strip_prefix("missing field `").or_else(|| reason.strip_prefix("unknown field `"));
        let name = named.and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
        let field = match (path.as_str(), name) {
            (".", Some(name)) => name.to_owned(),
            (_, Some(name)) if path != name && !path.ends_with(&format!(".{name}")) => format!("{path}.{name}"),
            (".", None) => "body".to_owned(),
            _ => path,
        };
        Problem::bad_request(&field, reason)
    })?;
    Ok((occurred, command))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let found = headers.typed_get::<ContentType>().map(Mime::from);
    if found.is_some_and(|found| {
        found.essence_str() == mime::APPLICATION_JSON.essence_str() || found.suffix() == Some(mime::JSON)
    }) {
        return Ok(());
    }
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let detail = format!("send the body as application/json, not `{}`", shorten(found));
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", detail).field("Content-Type"))
}

/// A body is taken as it is: a small one that unfolds into gigabytes cannot be sent.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(found) = headers.get(header::CONTENT_ENCODING) else { return Ok(()) };
    if found.as_bytes().eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let detail = "send the body as it is, without a Content-Encoding";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODED, detail).field("Content-Encoding"))
}

fn idempotency_key(headers: &HeaderMap, chars_max: usize) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=chars_max).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Problem::bad_request(
            "Idempotency-Key",
            format!("an Idempotency-Key has 1 to {chars_max} visible ASCII characters"),
        )),
    }
}

/// What came of a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outcome)]
pub(crate) struct Answer {
    /// The id of what the command was for; null for the settings.
    id: Option<Uuid>,
    /// Its stream.
    stream: StreamId,
    /// The version of the stream after the command: its `ETag`.
    version: Version,
    /// Send this as `min_position` with a query that must include what the command did.
    position: Position,
    /// The command's own id, as its events have it: to undo this command and no other.
    command_id: CommandId,
    /// How many events were appended; 0 if nothing had to change.
    events: u32,
    /// Whether the command had been carried out before, and this is its outcome from then.
    replayed: bool,
}

impl<T> Asked<T> {
    /// Lets the only admin change their own role or access, where it is theirs that `stream` has. True where that was so.
    pub(crate) async fn as_only_admin(&mut self, app: &App, stream: StreamId) -> Result<bool, Problem> {
        Ok(app.bearers.access.as_only_admin(&mut self.caller, stream).await?)
    }

    /// Who asks.
    pub(crate) fn actor(&self) -> Actor {
        self.caller.actor()
    }

    /// Carries out `command`, made of the body, on a stream that exists.
    pub(crate) async fn send(
        self,
        app: &App,
        stream: StreamId,
        command: impl FnOnce(T) -> Command,
    ) -> Result<Response, Problem> {
        let outcome = self.execute(app, stream, command).await?;
        Ok(answer(StatusCode::OK, outcome))
    }

    /// Carries out `command`, made of the body, which begins a stream under `path`.
    pub(crate) async fn create(
        self,
        app: &App,
        stream: StreamId,
        path: &str,
        command: impl FnOnce(T) -> Command,
    ) -> Result<Response, Problem> {
        let outcome = self.execute(app, stream, command).await?;
        let mut response = answer(StatusCode::CREATED, outcome);
        if let Some(id) = outcome.stream.id()
            && let Ok(location) = HeaderValue::try_from(format!("{path}/{id}"))
        {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    async fn execute(
        self,
        app: &App,
        stream: StreamId,
        command: impl FnOnce(T) -> Command,
    ) -> Result<Outcome, Problem> {
        Ok(app.bearers.access.command(&self.caller, stream, command(self.body), self.terms).await?)
    }
}

fn answer(status: StatusCode, outcome: Outcome) -> Response {
    let Outcome { stream, version, position, command_id, events, replayed } = outcome;
    let mut response =
        (status, Json(Answer { id: stream.id(), stream, version, position, command_id, events, replayed }))
            .into_response();
    response.headers_mut().extend(etag(version).map(|etag| (header::ETAG, etag)));
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

pub(crate) fn etag(version: Version) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}
