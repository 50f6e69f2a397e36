//! `/v1/deals`

use axum::{extract::State, response::Response};
use dealog_domain::{
    Command,
    deal::{self, Change, Create, Lose, Move, Reopen, Transfer, Win},
};
use dealog_events::{DealId, Envelope, Slug, StreamId, Version};
use dealog_projections::deals::query::{Deal, DealList, DealQuery, DealStatus, ListPage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    command::{Answer, Asked, CommandHeaders},
    extract::{Params, PathIds},
    problem::{CommandProblems, Problem, QueryProblems},
    query::{AtLeast, filter_query, limit, one, seen},
};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, change))
        .routes(routes!(move_stage))
        .routes(routes!(win))
        .routes(routes!(lose))
        .routes(routes!(reopen))
        .routes(routes!(transfer))
        .routes(routes!(history))
}

fn deal_of(ids: &PathIds) -> Result<StreamId, Problem> {
    ids.get::<DealId>("id").map(StreamId::Deal)
}

/// Begin a deal. One that a seller begins without an owner is the seller's.
#[utoipa::path(post, path = "/v1/deals", tag = "deals", params(CommandHeaders), request_body = Create,
    responses((status = 201, body = Answer), CommandProblems))]
async fn create(State(app): State<App>, mut asked: Asked<Create>) -> Result<Response, Problem> {
    asked.body.owner = asked.body.owner.or(asked.own_deals_of());
    let stream = StreamId::Deal(DealId(Uuid::now_v7()));
    asked.create(&app, stream, "/v1/deals", |body| Command::Deal(deal::Command::Create(body))).await
}

/// Move a deal to another stage of its pipeline, forward or back.
#[utoipa::path(post, path = "/v1/deals/{id}/move", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Move, responses((status = 200, body = Answer), CommandProblems))]
async fn move_stage(State(app): State<App>, ids: PathIds, asked: Asked<Move>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Move(body))).await
}

/// Win a deal. At another amount than the deal's, the amount is changed first.
#[utoipa::path(post, path = "/v1/deals/{id}/win", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Option<Win>, responses((status = 200, body = Answer), CommandProblems))]
async fn win(State(app): State<App>, ids: PathIds, asked: Asked<Win>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Win(body))).await
}

/// Lose a deal, for a reason of the company's list.
#[utoipa::path(post, path = "/v1/deals/{id}/lose", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Lose, responses((status = 200, body = Answer), CommandProblems))]
async fn lose(State(app): State<App>, ids: PathIds, asked: Asked<Lose>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Lose(body))).await
}

/// Take up a won or lost deal again.
#[utoipa::path(post, path = "/v1/deals/{id}/reopen", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Reopen, responses((status = 200, body = Answer), CommandProblems))]
async fn reopen(State(app): State<App>, ids: PathIds, asked: Asked<Reopen>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Reopen(body))).await
}

/// Put a deal into another pipeline.
#[utoipa::path(post, path = "/v1/deals/{id}/transfer", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Transfer, responses((status = 200, body = Answer), CommandProblems))]
async fn transfer(State(app): State<App>, ids: PathIds, asked: Asked<Transfer>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Transfer(body))).await
}

/// Change attributes of a deal: what is absent stays as it is, null empties.
#[utoipa::path(patch, path = "/v1/deals/{id}", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Change, responses((status = 200, body = Answer), CommandProblems))]
async fn change(State(app): State<App>, ids: PathIds, asked: Asked<Change>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Change(Box::new(body)))).await
}

/// A deal as it is now.
#[utoipa::path(get, path = "/v1/deals/{id}", tag = "deals", params(("id" = DealId, Path), AtLeast),
    responses((status = 200, body = Deal), QueryProblems))]
async fn get(State(app): State<App>, ids: PathIds, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    let id: DealId = ids.get("id")?;
    app.wait_for(query.min_position).await?;
    one(app.views.deal(id, app.now()).await?, |deal| deal.version, StreamId::Deal(id))
}

filter_query!(
    /// Which deals to list.
    ListQuery {
        /// Deals of a page, 1 to 500; 50 if absent.
        #[param(minimum = 1, maximum = 500)]
        limit: Option<u32>,
        /// The `next` of the page before.
        after: Option<i64>,
        /// Only open, won or lost ones.
        status: Option<DealStatus>,
        /// Only deals in this stage.
        stage: Option<Slug>,
    }
);

/// Deals as they are now, the newest first.
#[utoipa::path(get, path = "/v1/deals", tag = "deals", params(ListQuery),
    responses((status = 200, body = DealList), QueryProblems))]
async fn list(State(app): State<App>, Params(query): Params<ListQuery>) -> Result<Response, Problem> {
    let page = ListPage { limit: limit(query.limit, 50, app.limits.page_items_max)?, after: query.after };
    let scope = query.shared().scope(&app, None).await?;
    let (status, stage) = (query.status, query.stage);
    let deals = app.views.deals(&DealQuery { filter: scope.filter, status, stage, page }, scope.now).await?;
    Ok(seen(deals.position, &deals))
}

/// Which part of a deal's history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// Only events after this version.
    after: Option<u64>,
    /// Events of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The history of a deal, from the log itself.
#[derive(Debug, Serialize, ToSchema)]
struct History {
    /// What happened, oldest first.
    events: Vec<Envelope>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<Version>,
}

/// What happened to a deal, from the log itself.
#[utoipa::path(get, path = "/v1/deals/{id}/history", tag = "deals", params(("id" = DealId, Path), HistoryQuery),
    responses((status = 200, body = History), QueryProblems))]
async fn history(
    State(app): State<App>,
    ids: PathIds,
    Params(query): Params<HistoryQuery>,
) -> Result<axum::Json<History>, Problem> {
    let stream = deal_of(&ids)?;
    let limit = limit(query.limit, 100, app.limits.page_events_max)? as usize;
    let after = Version(query.after.unwrap_or(0));
    let mut events = app.store().read_stream(stream, after, limit + 1).await?;
    if events.is_empty() && app.store().read_stream(stream, Version::ZERO, 1).await?.is_empty() {
        return Err(Problem::not_found(stream));
    }
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|event| event.version);
    Ok(axum::Json(History { events, next }))
}
