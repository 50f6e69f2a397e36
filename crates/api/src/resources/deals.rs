//! `/v1/deals`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_domain::{
    Command,
    deal::{self, Change, CorrectClosing, Create, Lose, Move, Reopen, Transfer, Undo, Win},
};
use dealog_events::{DealId, Envelope, Position, Slug, StreamId, Version, When};
use dealog_projections::models::{
    ListPage,
    deals::{Deal, DealList, DealStatus},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    command::{Answer, Asked, CommandHeaders},
    extract::{Params, PathIds},
    known::KnownAt,
    problem::{CommandProblems, Problem, QueryProblems},
    query::{filter_query, limit, one, seen},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, change))
        .routes(routes!(move_stage))
        .routes(routes!(win))
        .routes(routes!(lose))
        .routes(routes!(correct_closing))
        .routes(routes!(reopen))
        .routes(routes!(transfer))
        .routes(routes!(undo))
        .routes(routes!(history))
}

fn deal_of(ids: &PathIds) -> Result<StreamId, Problem> {
    ids.get::<DealId>("id").map(StreamId::Deal)
}

/// Create a deal. If a seller creates one without an owner, it is the seller's.
#[utoipa::path(post, path = "/v1/deals", tag = "deals", params(CommandHeaders), request_body = Create,
    responses((status = 201, body = Answer), CommandProblems))]
async fn create(State(app): State<Arc<App>>, asked: Asked<Create>) -> Result<Response, Problem> {
    let stream = StreamId::Deal(DealId(Uuid::now_v7()));
    asked.create(&app, stream, "/v1/deals", |body| Command::Deal(deal::Command::Create(body))).await
}

/// Move a deal to another stage of its pipeline, forward or back.
#[utoipa::path(post, path = "/v1/deals/{id}/move", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Move, responses((status = 200, body = Answer), CommandProblems))]
async fn move_stage(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Move>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Move(body))).await
}

/// Win a deal. If you send another amount than the deal's, the amount is changed first.
#[utoipa::path(post, path = "/v1/deals/{id}/win", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Option<Win>, responses((status = 200, body = Answer), CommandProblems))]
async fn win(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Win>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Win(body))).await
}

/// Lose a deal, for a reason from the company's list.
#[utoipa::path(post, path = "/v1/deals/{id}/lose", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Lose, responses((status = 200, body = Answer), CommandProblems))]
async fn lose(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Lose>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Lose(body))).await
}

/// Correct what was said of a deal's closing: its date, and whose it is; of a win the amount and the contract, of a loss the reason.
/// Figures of past periods follow.
#[utoipa::path(patch, path = "/v1/deals/{id}/closing", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = CorrectClosing, responses((status = 200, body = Answer), CommandProblems))]
async fn correct_closing(
    State(app): State<Arc<App>>,
    ids: PathIds,
    asked: Asked<CorrectClosing>,
) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::CorrectClosing(body))).await
}

/// Reopen a won or lost deal.
#[utoipa::path(post, path = "/v1/deals/{id}/reopen", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Reopen, responses((status = 200, body = Answer), CommandProblems))]
async fn reopen(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Reopen>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Reopen(body))).await
}

/// Transfer a deal to another pipeline.
#[utoipa::path(post, path = "/v1/deals/{id}/transfer", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Transfer, responses((status = 200, body = Answer), CommandProblems))]
async fn transfer(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Transfer>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Transfer(body))).await
}

/// Undo the last command on a deal: everything that it changed is again as it was before, ages included, and no figure counts it any
/// more. An undo cannot be undone. Send `command`, an event's `command_id`, to undo only that one.
#[utoipa::path(post, path = "/v1/deals/{id}/undo", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Option<Undo>, responses((status = 200, body = Answer), CommandProblems))]
async fn undo(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Undo>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Undo(body))).await
}

/// Change attributes of a deal. Absent attributes stay as they are, and null removes one.
#[utoipa::path(patch, path = "/v1/deals/{id}", tag = "deals", params(("id" = DealId, Path), CommandHeaders),
    request_body = Change, responses((status = 200, body = Answer), CommandProblems))]
async fn change(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Change>) -> Result<Response, Problem> {
    asked.send(&app, deal_of(&ids)?, |body| Command::Deal(deal::Command::Change(Box::new(body)))).await
}

/// A deal when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GetQuery {
    /// Wait until the read model has reached this position: the one that a command answered with.
    min_position: Option<u64>,
    /// The deal as it was at this instant, or at the end of this local day; now if absent.
    #[param(value_type = Option<String>, example = "2026-03-01")]
    as_of: Option<When>,
    /// The deal as it was at this version of its stream; not together with `as_of` or `known_at`.
    #[param(minimum = 1)]
    at_version: Option<u64>,
    /// The deal by what had been recorded up to this position, instant or local day.
    #[param(value_type = Option<String>, example = "120")]
    known_at: Option<KnownAt>,
}

/// A deal as it is now, or as it was; a past deal has no `ETag`, since a command would not change that.
#[utoipa::path(get, path = "/v1/deals/{id}", tag = "deals", params(("id" = DealId, Path), GetQuery),
    responses((status = 200, body = Deal), QueryProblems))]
async fn get(State(app): State<Arc<App>>, ids: PathIds, Params(query): Params<GetQuery>) -> Result<Response, Problem> {
    let id: DealId = ids.get("id")?;
    let min_position = query.min_position.map(Position);
    let as_of = query.as_of;
    let known_at = query.known_at.map(|KnownAt(known_at)| known_at);
    let is_past = as_of.is_some() || known_at.is_some();
    let found = match query.at_version {
        Some(_) if is_past => {
            let detail = "at_version says when already: send it without as_of and known_at";
            return Err(Problem::unprocessable("query", "at_version", detail));
        }
        Some(version) => app.queries.deal_at_version(id, min_position, Version(version)).await?,
        None => app.queries.deal(id, min_position, (as_of, known_at)).await?,
    };
    if !is_past && query.at_version.is_none() {
        return one(found, |deal| deal.version, StreamId::Deal(id));
    }
    let deal = found.item.ok_or_else(|| Problem::not_found(format!("{} as it is asked for", StreamId::Deal(id))))?;
    Ok(seen(found.position, &deal))
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

/// Deals as they are now, or as they were known, the newest first.
#[utoipa::path(get, path = "/v1/deals", tag = "deals", params(ListQuery),
    responses((status = 200, body = DealList), QueryProblems))]
async fn list(State(app): State<Arc<App>>, Params(query): Params<ListQuery>) -> Result<Response, Problem> {
    let page = ListPage { limit: limit(query.limit, 50, app.limits.page_items_max)?, after: query.after };
    let listed = query.listed()?;
    let deals = app.queries.deals(listed, query.status, query.stage, page).await?;
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
    /// Send this as `after` for the next page; null on the last one.
    next: Option<Version>,
}

/// What happened to a deal, from the log itself. A page ends after `limit` events, or sooner if they are large.
#[utoipa::path(get, path = "/v1/deals/{id}/history", tag = "deals", params(("id" = DealId, Path), HistoryQuery),
    responses((status = 200, body = History), QueryProblems))]
async fn history(
    State(app): State<Arc<App>>,
    ids: PathIds,
    Params(query): Params<HistoryQuery>,
) -> Result<axum::Json<History>, Problem> {
    let stream = deal_of(&ids)?;
    let limit = limit(query.limit, 100, app.limits.page_events_max)? as usize;
    let after = Version(query.after.unwrap_or(0));
    if i64::try_from(after.0).is_err() {
        return Err(Problem::bad_request("after", format!("{after} is no version: there are never so many")));
    }
    let events = app.store().read_stream(stream, after, limit).await?;
    let next = match events.last() {
        // A page ends by bytes, too: only the log knows whether more follows.
        Some(last) if app.store().read_stream(stream, last.version, 1).await?.is_empty() => None,
        Some(last) => Some(last.version),
        None if app.store().read_stream(stream, Version::ZERO, 1).await?.is_empty() => {
            return Err(Problem::not_found(stream));
        }
        None => None,
    };
    Ok(axum::Json(History { events, next }))
}
