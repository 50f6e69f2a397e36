//! The HTTP API: axum, one module for each resource.
//!
//! Handlers parse, call and answer; they decide nothing. A command goes to [`dealog_app::Access`], a question to
//! [`dealog_app::Queries`], and whatever goes wrong comes back as an RFC 9457 problem with a stable `code`.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a room prints nothing")]

pub mod access;
pub mod audit;
mod budget;
mod command;
mod conditions;
mod connection;
mod describe;
mod extract;
mod fair;
mod feed;
mod from;
mod json;
mod known;
mod layers;
mod places;
mod problem;
mod query;
mod resources;
mod room;
mod server;
mod tls;
mod values;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware};
use dealog_app::{Permission, Queries};
use dealog_commands::Commands;
use dealog_events::Timestamp;
use dealog_projections::{Database, Watch};
use dealog_store::{EventStore, Scrubbed};
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    access::{Bearers, Needs, guard},
    audit::{Audit, Personal},
};

pub use budget::Budget;
pub use fair::Turns;
pub use feed::Feed;
pub use resources::health::Readiness;
pub use room::Room;
pub use server::{Order, serve};
pub use tls::{Tls, TlsError};

/// Named limits of the API.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of all bodies that are being read or carried out together, except small ones. One caller has half of it.
    pub bodies_bytes_max: usize,
    /// Bytes of a path with its query.
    pub url_bytes_max: usize,
    /// Bytes of all headers together, names and values. What goes far beyond, or has more than 100 of them, the HTTP library
    /// refuses itself, without a body.
    pub header_bytes_max: usize,
    /// Items of a page.
    pub page_items_max: u32,
    /// Events of a page.
    pub page_events_max: u32,
    /// Bytes of all large answers that are on their way together. One caller has half of it.
    pub response_bytes_max: u64,
    /// Groups of an answer.
    pub groups_max: usize,
    /// Characters of an idempotency key.
    pub idempotency_key_chars_max: usize,
    /// How long a request may take until its answer begins.
    pub request_time: Duration,
    /// Requests with a bad token, from one address, that are answered with 401 within a window; more get 429.
    pub failed_attempts_max: u32,
    /// That window.
    pub failed_attempts_window: Duration,
    /// Bytes of a file of the audit log; then another is begun.
    pub audit_file_bytes_max: u64,
    /// Files of the audit log; the oldest goes.
    pub audit_files_max: u32,
    /// Entries of the audit log that wait to be written; more are lost, and health says so.
    pub audit_queue_max: usize,
    /// How long a connection has to take [`Self::write_bytes_min`] of what it is sent, while there is more; then it is cut.
    pub write_stall: Duration,
    /// Bytes that a connection must take in that time.
    pub write_bytes_min: usize,
    /// Connections at the same time. One more gets 503, or with TLS no answer, and is closed.
    pub connections_max: usize,
    /// Those from one address; of IPv6 from one /64 network.
    pub connections_per_address_max: usize,
    /// How long the head of a request may take, from its first byte; that of a connection's first, from its beginning.
    pub head_time: Duration,
    /// How long a connection may be silent between requests.
    pub idle_time: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// Streams of events at the same time.
    pub subscribers_max: usize,
    /// Streams of events of one caller, where callers have tokens.
    pub subscribers_per_caller_max: usize,
    /// Figures and lists that are answered at the same time.
    pub heavy_queries_max: usize,
    /// Parts of the log that are read at the same time.
    pub log_queries_max: usize,
    /// Queries for one thing by its id that are answered at the same time.
    pub light_queries_max: usize,
    /// Queries of one caller that wait for these; one more is refused.
    pub queries_waiting_per_caller_max: usize,
    /// The last events that are kept for subscribers. A subscriber that falls further behind is disconnected.
    pub subscriber_queue_events_max: usize,
    /// Bytes of them.
    pub subscriber_queue_bytes_max: usize,
    /// Bytes of all pages of the log that subscribers hold while they catch up. One caller has half of it; others wait.
    pub subscriber_pages_bytes_max: usize,
    /// How long a stream may be silent before it gives a sign of life.
    pub subscriber_keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 * 1024,
            bodies_bytes_max: 64 * 1024 * 1024,
            url_bytes_max: 8 * 1024,
            header_bytes_max: 32 * 1024,
            page_items_max: 500,
            page_events_max: 1_000,
            response_bytes_max: 64 * 1024 * 1024,
            groups_max: 1_000,
            idempotency_key_chars_max: 255,
            request_time: Duration::from_secs(30),
            failed_attempts_max: 10,
            failed_attempts_window: Duration::from_mins(1),
            audit_file_bytes_max: 16 * 1024 * 1024,
            audit_files_max: 10,
            audit_queue_max: 4_096,
            write_stall: Duration::from_secs(30),
            write_bytes_min: 512 * 1024,
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_mins(1),
            body_time: Duration::from_secs(20),
            subscribers_max: 1_000,
            subscribers_per_caller_max: 100,
            heavy_queries_max: 2,
            log_queries_max: 4,
            light_queries_max: 3,
            queries_waiting_per_caller_max: 64,
            subscriber_queue_events_max: 10_000,
            subscriber_queue_bytes_max: 64 * 1024 * 1024,
            subscriber_pages_bytes_max: 64 * 1024 * 1024,
            subscriber_keep_alive: Duration::from_secs(15),
        }
    }
}

/// The read models that this server asks, and how they are doing where a worker of this process keeps them.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Where they are.
    pub database: Database,
    /// Which these are.
    pub models: Vec<Model>,
    /// None where another process keeps them.
    pub status: Option<Watch>,
}

/// A read model.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// The version of its tables that can be asked.
    pub version: i64,
}

impl Followed {
    /// Why one of them does not go on, if it does not.
    fn trouble(&self, model: Model) -> Option<String> {
        let status = self.status.as_ref()?;
        let ended = status.has_ended().then(|| "its worker has ended".to_owned());
        let trouble = status.of(model.name).and_then(|status| status.trouble().map(ToOwned::to_owned));
        trouble.or(ended)
    }
}

/// What the handlers need. They share one: a request passes many hands, and each is given a clone of what it is called with.
pub struct App {
    /// Who calls, and commands in their name.
    pub bearers: Bearers,
    /// The log, and the clock.
    pub commands: Commands,
    /// What answers questions.
    pub queries: Queries,
    /// The read models that lists are of.
    pub followed: Followed,
    /// How far the log has been looked at for damage.
    pub scrubbed: watch::Receiver<Scrubbed>,
    /// Whether the server could do its work, a moment ago.
    pub readiness: Readiness,
    /// What has been measured.
    pub metrics: PrometheusHandle,
    /// The live feed.
    pub feed: Feed,
    /// Whose query is next.
    pub turns: Turns,
    /// Room for answers that are on their way.
    pub budget: Budget,
    /// Room for bodies that are on their way.
    pub bodies: Room,
    /// Who was refused what, and who read data about people.
    pub audit: Audit,
    /// Limits.
    pub limits: Limits,
    /// Proxies whose word about where a request comes from counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificates, where connections are encrypted by this server.
    pub tls: Option<Tls>,
}

impl App {
    fn store(&self) -> &Arc<dyn EventStore> {
        self.commands.store()
    }

    fn now(&self) -> Timestamp {
        self.commands.now()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dealog",
        description = "An event-sourced engine for sales deals. Commands append events to a log that is never changed; \
                       figures are folded from it and can be asked for as of any instant.\n\nEvery command answers with \
                       a `position`; a query with this as `min_position` sees what the command did. Send \
                       `Idempotency-Key` to be able to repeat a command safely, and `If-Match` with an `ETag` to change \
                       only what you have seen. Errors are RFC 9457 problems with a stable `code`."
    ),
    tags(
        (name = "deals", description = "Commands on deals, and deals as they are now"),
        (name = "figures", description = "Pipeline, board, funnel, forecast and rates, as of any instant"),
        (name = "events", description = "The log"),
        (name = "pipelines", description = "Stages that deals go through"),
        (name = "customers", description = "Who buys"),
        (name = "users", description = "Who works here"),
        (name = "teams", description = "Users whose figures are added up"),
        (name = "settings", description = "The company's own settings"),
        (name = "audit", description = "Who was refused what, and who read data about people"),
        (name = "health", description = "Whether the server lives and is ready")
    )
)]
struct Docs;

/// The API, and its description as an OpenAPI document. Each resource says what its callers must be permitted, and whether
/// its answers may hold personal data, so that the audit log names who read them; only whether the server lives and is
/// ready is for everyone.
fn described(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    use Permission::{Audit, Customers, Deals, Log, Metrics, Pipelines, Read, Settings, Teams, Users};
    use Personal::{Always, Never, OfFigures};
    let guarded = |router: OpenApiRouter<Arc<App>>, to_read, to_write, personal| {
        let needs = Needs { to_read, to_write, personal };
        router.route_layer(middleware::from_fn_with_state((Arc::clone(app), needs), guard))
    };
    OpenApiRouter::with_openapi(Docs::openapi())
        .merge(guarded(resources::deals::router(), Read, Deals, Always))
        .merge(guarded(resources::pipelines::router(), Read, Pipelines, Never))
        .merge(guarded(resources::customers::router(), Read, Customers, Always))
        .merge(guarded(resources::users::router(), Read, Users, Always))
        .merge(guarded(resources::teams::router(), Read, Teams, Never))
        .merge(guarded(resources::settings::router(), Read, Settings, Never))
        .merge(guarded(resources::figures::router(), Read, Read, OfFigures))
        .merge(guarded(resources::behind::router(), Read, Read, OfFigures))
        .merge(guarded(resources::board::router(), Read, Read, Always))
        .merge(guarded(resources::events::router(), Log, Log, Always))
        .merge(guarded(resources::stream::router(), Log, Log, Always))
        .merge(guarded(resources::audit::router(), Audit, Audit, Never))
        .merge(guarded(resources::metrics::router(), Metrics, Metrics, Never))
        .merge(resources::health::router())
}

/// Says what the API measures, once a recorder of metrics is there.
pub fn describe_metrics() {
    resources::metrics::describe();
}

/// The API with its page to read and try it.
pub fn router(app: App) -> Router {
    let app = Arc::new(app);
    let (router, mut openapi) = described(&app).split_for_parts();
    describe::complete(&mut openapi);
    let router = router
        .merge(resources::openapi::router(&openapi))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(Arc::clone(&app));
    layers::wrap(router, app)
}
