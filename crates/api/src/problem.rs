//! Everything that goes wrong, as the caller sees it: RFC 9457, with a stable `code`.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use dealog_app::{AccessError, Failed, QueryError, Refused, TooFast, Wrong};
use dealog_commands::CommandError;
use dealog_domain::{Details, Kind};
use dealog_projections::{FiguresError, ProjectionError};
use dealog_store::{AppendError, StoreError};
use problem_details::ProblemDetails;
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::access::RateLimit;

/// How long a caller should wait where the server is busy or behind.
const BUSY_SECONDS: u16 = 1;

/// The code of a body that is not sent as it is; the answer says how it should be.
pub(crate) const ENCODED: &str = "content_encoding";

/// What a caller is told of a fault that is the server's.
const FAILED: &str = "the server failed; its log says why, under this request's id";

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<String>,
    allowed: Vec<String>,
    missing: Box<[String]>,
    retry_after_seconds: Option<u16>,
    rate_limit: Option<Box<RateLimit>>,
    /// The read models are damaged, and `detail` is what is for the log.
    damaged: bool,
}

/// What of a request is repeated in a message, or told to the log: enough to recognise it, never all of it.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 100;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What a query found of damage, beside its answer: whoever sees it on its way out marks the read models.
#[derive(Debug, Clone)]
pub(crate) struct Damage(pub(crate) String);

/// What a problem says besides the members of RFC 9457.
#[derive(Debug, Clone, Serialize)]
struct Extensions {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            allowed: Vec::new(),
            missing: Box::default(),
            retry_after_seconds: None,
            rate_limit: None,
            damaged: false,
        }
    }

    /// The request cannot be understood.
    pub(crate) fn bad_request(field: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail).field(field)
    }

    /// What is understood makes no sense.
    pub(crate) fn unprocessable(code: &'static str, field: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).field(field)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} does not exist"))
    }

    pub(crate) fn busy(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(BUSY_SECONDS)
    }

    /// The database cannot do this at the moment. Why is for the log; the same request may succeed a little later.
    pub(crate) fn away(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%error, "the database cannot do its work for now");
        Self::busy("unavailable", "the server's database cannot do this at the moment: try again")
    }

    /// A fault of this server's. The log has the reason; the caller learns that it was not the request.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", FAILED)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether it is about who asks, and not about what is asked.
    pub(crate) fn is_refusal(&self) -> bool {
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&self.status)
    }

    /// Whether it is about how much was asked for, and not about what.
    #[cfg(test)]
    pub(crate) fn is_too_many(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }

    pub(crate) fn field(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// It may be tried again after so many seconds.
    pub(crate) fn retry_after(self, seconds: u16) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// It was too much, by this limit.
    pub(crate) fn rate_limit(self, limit: RateLimit) -> Self {
        Self { rate_limit: Some(Box::new(limit)), ..self }
    }

    pub(crate) fn allowed(self, allowed: Vec<String>) -> Self {
        Self { allowed, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (detail, damage) =
            if self.damaged { (FAILED.to_owned(), Some(Damage(self.detail))) } else { (self.detail, None) };
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut problem =
            ProblemDetails::new().with_status(self.status).with_title(title).with_detail(detail).with_extensions(
                Extensions {
                    code: self.code,
                    field: self.field,
                    allowed: self.allowed,
                    missing: self.missing.into_vec(),
                },
            );
        if let Ok(uri) = format!("/problems/{}", self.code.replace('_', "-")).parse::<Uri>() {
            problem = problem.with_type(uri);
        }
        let mut response = problem.into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(limit) = self.rate_limit {
            limit.tell(response.headers_mut());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.code == ENCODED {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(damage) = damage {
            response.extensions_mut().insert(damage);
        }
        response
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let detail = error.to_string();
        match error {
            CommandError::Rejected(rejection) => {
                let Details { code, kind, field, allowed, missing } = rejection.details();
                let status = match kind {
                    Kind::NotFound => StatusCode::NOT_FOUND,
                    Kind::Conflict => StatusCode::CONFLICT,
                    Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
                    Kind::Forbidden => StatusCode::FORBIDDEN,
                };
                Self { field, allowed, missing: missing.into(), ..Self::new(status, code, detail) }
            }
            CommandError::Precondition { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "stale_version", detail).field("If-Match")
            }
            CommandError::Contended { .. } => Self::busy("contended", detail),
            CommandError::StreamFull { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "stream_full", detail),
            CommandError::StreamReserved { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "stream_nearly_full", detail)
                    .allowed(vec!["manager".into(), "admin".into()])
            }
            CommandError::Append(error) => error.into(),
            CommandError::Store(error) => error.into(),
            CommandError::Unreadable { .. } | CommandError::Unwritable(_) => Self::internal(&detail),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let detail = error.to_string();
        match error {
            AppendError::FingerprintMismatch(_) => Self::unprocessable(
                "idempotency_key_reused",
                "Idempotency-Key",
                "this Idempotency-Key was sent before with another request: use a new one for another command",
            ),
            AppendError::Overloaded => Self::busy("overloaded", detail),
            AppendError::Unavailable(_) => Self::busy("unavailable", detail),
            AppendError::InDoubt(_) => Self::busy("in_doubt", detail),
            AppendError::Limit { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", detail),
            AppendError::Conflict { .. } => Self::busy("contended", detail),
            AppendError::Malformed(_) => Self::internal(&detail),
            AppendError::Damaged(_) => Self { detail: detail.clone(), ..Self::internal(&detail) },
            AppendError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            error if error.is_away() => Self::away(&error),
            error if error.is_damage() => Self { detail: error.in_words().into(), ..Self::internal(&error) },
            error => Self::internal(&error),
        }
    }
}

impl From<ProjectionError> for Problem {
    fn from(error: ProjectionError) -> Self {
        let detail = error.to_string();
        match error {
            error if error.is_away() => Self::away(&error),
            ProjectionError::ModelStopped { .. } => Self::busy("model_stopped", detail),
            ProjectionError::NotBuilt | ProjectionError::Behind { .. } => Self::busy("not_caught_up", detail),
            ProjectionError::Damaged(_) => Self { damaged: true, detail, ..Self::internal(&error) },
            _ => Self::internal(&detail),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused(refused) => refused.into(),
            AccessError::Store(error) => error.into(),
            AccessError::User(error) => error.into(),
            AccessError::Mark(_) => Self::internal(&error),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        let problem = match refused {
            Refused::NoToken => {
                let detail = "send a token as `Authorization: Bearer dealog_...`; `dealog token create` makes one";
                Self::new(StatusCode::UNAUTHORIZED, "no_token", detail)
            }
            Refused::BadToken { .. } => Self::new(StatusCode::UNAUTHORIZED, "invalid_token", detail),
            Refused::Forbidden { permitted, .. } => Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
                .allowed(permitted.iter().map(ToString::to_string).collect()),
        };
        problem.field("Authorization")
    }
}

impl From<TooFast> for Problem {
    fn from(too_fast: TooFast) -> Self {
        metrics::counter!("dealog_commands_put_off_total").increment(1);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_commands", too_fast.to_string())
            .field("Authorization")
            .retry_after(too_fast.seconds())
            .rate_limit(too_fast.allowance.into())
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Wrong(wrong) => wrong.into(),
            QueryError::Failed(failed) => failed.into(),
        }
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Malformed { field, message } => Self::bad_request(&field, message),
            Wrong::Field { field, message } => Self::unprocessable("query", &field, message),
            Wrong::InFuture { field, message } => Self::unprocessable("in_future", &field, message),
            Wrong::BeyondHead { field, message } => Self::unprocessable("beyond_head", &field, message),
            Wrong::BeyondVersion { field, message } => Self::unprocessable("beyond_version", &field, message),
            Wrong::NoRate { message } => Self::unprocessable("no_rate", "currency", message),
        }
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        let detail = failed.to_string();
        match failed {
            Failed::NotCaughtUp { .. } => Self::busy("not_caught_up", detail).field("min_position"),
            Failed::Figures(FiguresError::Behind { .. }) => Self::busy("not_caught_up", detail),
            Failed::Figures(FiguresError::Stopped { .. }) => Self::busy("model_stopped", detail),
            Failed::Figures(FiguresError::Failed) => Self::internal(&detail),
            Failed::Models(error) => error.into(),
            Failed::Store(error) => error.into(),
        }
    }
}

pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", format!("there is nothing at {}; see /docs", uri.path()))
}

pub(crate) async fn no_such_method(method: axum::http::Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not possible at {}; see /docs", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail)
}

/// A problem as documented: RFC 9457, with a stable code, the field it is about, and what would have been allowed.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "a description; `Problem` is what is sent")]
pub(crate) struct Described {
    /// Where this kind of problem is named.
    #[schema(example = "/problems/deal-closed")]
    r#type: String,
    /// The HTTP status.
    status: u16,
    /// The status in words.
    title: String,
    /// What is wrong and what to do.
    #[schema(example = "the deal is won; reopen it first")]
    detail: String,
    /// A stable name for programs.
    #[schema(example = "deal_closed")]
    code: String,
    /// The field, parameter or header that it is about.
    field: Option<String>,
    /// What would have been allowed, where that is a list.
    allowed: Option<Vec<String>>,
    /// The fields that must be filled first, where that is why.
    missing: Option<Vec<String>>,
}

/// What can go wrong with a command.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a description")]
pub(crate) enum CommandProblems {
    /// The request cannot be understood.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(#[to_schema] Described),
    /// There are tokens, and the request has none that is worth anything.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Described),
    /// The caller may not do this; or, without tokens, the request came from elsewhere by way of a browser.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Described),
    /// What it is about does not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Described),
    /// The body did not come in time.
    #[response(status = 408, content_type = "application/problem+json")]
    BodyTimeout(#[to_schema] Described),
    /// It does not fit the present state.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Described),
    /// The stream is not at the version of If-Match.
    #[response(status = 412, content_type = "application/problem+json")]
    Precondition(#[to_schema] Described),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Described),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(#[to_schema] Described),
    /// It would not be right as it stands.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(#[to_schema] Described),
    /// The URL is too long.
    #[response(status = 414, content_type = "application/problem+json")]
    UrlTooLong(#[to_schema] Described),
    /// The headers are too large.
    #[response(status = 431, content_type = "application/problem+json")]
    HeadersTooLarge(#[to_schema] Described),
    /// Too many commands of this caller, or requests with a bad token; try again after Retry-After. `RateLimit` says what is left.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(#[to_schema] Described),
    /// The server knows no such method.
    #[response(status = 501, content_type = "application/problem+json")]
    NotImplemented(#[to_schema] Described),
    /// The server failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(#[to_schema] Described),
    /// The server is busy; try again after Retry-After.
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(#[to_schema] Described),
}

/// What can go wrong with a question.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a description")]
pub(crate) enum QueryProblems {
    /// The request cannot be understood.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(#[to_schema] Described),
    /// There are tokens, and the request has none that is worth anything.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Described),
    /// The caller may not do this; or, without tokens, the request came from elsewhere by way of a browser.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Described),
    /// What it is about does not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Described),
    /// It makes no sense as it stands.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(#[to_schema] Described),
    /// The URL is too long.
    #[response(status = 414, content_type = "application/problem+json")]
    UrlTooLong(#[to_schema] Described),
    /// The headers are too large.
    #[response(status = 431, content_type = "application/problem+json")]
    HeadersTooLarge(#[to_schema] Described),
    /// Too many queries of this caller, or requests with a bad token; try again after Retry-After. `RateLimit` says what is left.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(#[to_schema] Described),
    /// It is what `If-None-Match` says that the caller has already.
    #[response(status = 304)]
    NotModified,
    /// The server knows no such method.
    #[response(status = 501, content_type = "application/problem+json")]
    NotImplemented(#[to_schema] Described),
    /// The server failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(#[to_schema] Described),
    /// The read model has not come to `min_position` in time; try again after Retry-After.
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(#[to_schema] Described),
}

/// The header that names a request in logs and answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
