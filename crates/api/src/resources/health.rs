//! `/health`

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use dealog_events::{Position, Timestamp};
use dealog_projections::Status;
use dealog_store::Scrubbed;
use futures_util::future::join_all;
use moka::future::Cache;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, Model, problem::Problem};

/// How long the databases may take to say how they are: whoever asks for health wants to hear of a database that says nothing,
/// and soon.
const ANSWER_TIME: Duration = Duration::from_millis(1_500);

/// How long an answer counts. Anyone may ask, as often as they like, and each time costs the databases something.
const BELIEVED: Duration = Duration::from_millis(200);

/// Whether the server could do its work, a moment ago. Those who ask at the same time share one look.
pub struct Readiness(Cache<(), Arc<Ready>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(1).time_to_live(BELIEVED).build())
    }
}

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
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
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Ready {
    /// Whether it can.
    ready: bool,
    /// The end of the log; null where it cannot be read.
    head: Option<Position>,
    /// Why no command could be carried out now; null where one could. It is tried: the log is locked and written, with nothing
    /// new, unless a command was a moment ago.
    trouble: Option<String>,
    /// How far the log has been looked at for damage.
    scrub: ScrubHealth,
    /// The read models.
    projections: Vec<ProjectionHealth>,
    /// The figures, which each server keeps in its memory.
    figures: FiguresHealth,
    /// Why the audit log is not written, where it is not; requests go on unless it is required.
    audit_trouble: Option<String>,
}

/// How far this server's scrub of the log is, which looks for damage in all of it again and again.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ScrubHealth {
    /// The last event looked at in this pass.
    position: Position,
    /// The last event that this pass is going to look at.
    end: Position,
    /// When the last pass ended that found no damage; null before the first has.
    ended_at: Option<Timestamp>,
}

/// How a projection is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProjectionHealth {
    /// Its name.
    pub(crate) name: &'static str,
    /// The last position that queries see; null where there is nothing that they can be answered from.
    pub(crate) position: Option<Position>,
    /// Events that queries do not see yet.
    lag: Option<u64>,
    /// New tables that are being made, here or by another process; null where none are. Those that are there go on to
    /// answer queries.
    building: Option<Building>,
    /// Whose worker keeps it up to date, as `host:process`; null where none does.
    leader: Option<String>,
    /// Why it does not go on, where it has stopped or waits for its database.
    pub(crate) trouble: Option<String>,
}

/// How the figures of this server are doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct FiguresHealth {
    /// The last event that is in them.
    position: Position,
    /// Events that are not in them yet; null where the end of the log cannot be read.
    lag: Option<u64>,
    /// Whether they have not come to the end of the log yet since the server started. Until then, questions wait.
    catching_up: bool,
    /// Why they do not go on, where they have stopped or wait for the log.
    trouble: Option<String>,
}

/// Tables that are being made.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Building {
    /// The last position applied to them.
    position: Position,
    /// The end of the log.
    head: Position,
}

/// Whether a command could be carried out now, and the read models go on. Answers within two seconds, whatever is away, and
/// looks five times a second at most.
#[utoipa::path(get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn ready(State(app): State<Arc<App>>) -> Response {
    // In a task: an asker that hangs up does not make the others start over.
    let asked = Arc::clone(&app);
    let looked =
        tokio::spawn(async move { asked.readiness.0.get_with((), async { Arc::new(look(&asked).await) }).await });
    let looked = match looked.await {
        Ok(looked) => looked,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    // That costs nothing to know.
    let found = Ready { audit_trouble: app.audit.trouble(), ..(*looked).clone() };
    let status = if found.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(found)).into_response()
}

async fn look(app: &App) -> Ready {
    let head = async { timeout(ANSWER_TIME, app.store().head()).await.ok()?.ok() };
    let models = join_all(app.followed.models.iter().map(|model| projection(app, *model)));
    let (head, mut projections, tried) = tokio::join!(head, models, app.store().can_append());
    let status = app.queries.figures().status().borrow().clone();
    // Asked at the same time: the log is never behind what is folded from it.
    let furthest = projections.iter().filter_map(|projection| projection.position).max().unwrap_or_default();
    let head = head.map(|head| head.position.max(furthest).max(status.position()));
    let lag = |position: Position| head.map(|head| head.0.saturating_sub(position.0));
    let trouble = tried.err().map(|unable| unable.to_string());
    for projection in &mut projections {
        projection.lag = projection.position.and_then(lag);
    }
    let figures = FiguresHealth {
        position: status.position(),
        lag: lag(status.position()),
        catching_up: status.is_catching_up(),
        trouble: status.trouble().map(ToOwned::to_owned),
    };
    let Scrubbed { position, end, ended_at } = *app.scrubbed.borrow();
    let scrub = ScrubHealth { position, end, ended_at };
    // Figures that catch up are worth waiting for: they are there in a moment.
    let go_on = projections.iter().all(|projection| projection.position.is_some() && projection.trouble.is_none());
    let ready = trouble.is_none() && head.is_some() && go_on && figures.trouble.is_none();
    Ready { ready, head, trouble, scrub, projections, figures, audit_trouble: None }
}

/// What the worker of this process says, and what is written down beside the read models, whoever folds them.
pub(crate) async fn projection(app: &App, model: Model) -> ProjectionHealth {
    let Model { name, version } = model;
    let database = &app.followed.database;
    let here = app.followed.status.as_ref().and_then(|status| match status.of(name) {
        Some(Status::CatchingUp { position, head }) => Some(Building { position, head }),
        _ => None,
    });
    let trouble = database.distrusted().or(app.followed.trouble(model));
    let mut health = ProjectionHealth { name, position: None, lag: None, building: None, leader: None, trouble };
    match timeout(ANSWER_TIME, database.standing(name)).await {
        Ok(Ok(standing)) => {
            health.leader = standing.leader;
            // Another version's tables are another server's.
            let understood = standing.tables.filter(|tables| tables.version == version);
            health.position = understood.as_ref().map(|tables| tables.position);
            let stopped = understood.and(standing.stopped);
            let stopped_build = standing.building.as_ref().filter(|build| build.version == version);
            let stopped = stopped_build.and_then(|build| build.stopped.clone()).or(stopped);
            health.trouble = health.trouble.or_else(|| stopped.map(|stop| stop.reason));
            let under_way = standing.building.filter(|build| build.under_way);
            let elsewhere = under_way.map(|build| Building { position: build.position, head: build.head });
            health.building = here.or(elsewhere);
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "how the read models stand cannot be told");
            health.trouble = health.trouble.or_else(|| Some(error.in_words()));
        }
        Err(_) => {
            let silent = || "the read models' database gives no answer".to_owned();
            health.trouble = health.trouble.or_else(|| Some(silent()));
        }
    }
    health
}
