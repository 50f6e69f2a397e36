//! `/v1/users`

use std::sync::Arc;

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use dealog_domain::{
    Command, Patch,
    user::{self, Invite},
};
use dealog_events::{StreamId, UserId};
use dealog_projections::models::{Named, company::User};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    audit::{About, Why},
    command::{Answer, Asked, CommandHeaders, Nothing},
    extract::{Params, PathIds},
    problem::{CommandProblems, Problem, QueryProblems},
    query::{AtLeast, NOW, PageQuery, one, seen},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(invite, list))
        .routes(routes!(get, change))
        .routes(routes!(deactivate))
        .routes(routes!(reactivate))
}

/// Invite a user.
#[utoipa::path(post, path = "/v1/users", tag = "users", params(CommandHeaders), request_body = Invite,
    responses((status = 201, body = Answer), CommandProblems))]
async fn invite(State(app): State<Arc<App>>, asked: Asked<Invite>) -> Result<Response, Problem> {
    let stream = StreamId::User(UserId(Uuid::now_v7()));
    asked.create(&app, stream, "/v1/users", |body| Command::User(user::Command::Invite(body))).await
}

/// Change a user's name or roles. Nobody can change their own roles, except the only admin.
#[utoipa::path(patch, path = "/v1/users/{id}", tag = "users", params(("id" = UserId, Path), CommandHeaders),
    request_body = user::Change, responses((status = 200, body = Answer), CommandProblems))]
async fn change(
    State(app): State<Arc<App>>,
    Extension(about): Extension<Arc<About>>,
    ids: PathIds,
    asked: Asked<user::Change>,
) -> Result<Response, Problem> {
    let command = |body| Command::User(user::Command::Change(body));
    if asked.body.roles == Patch::Keep {
        return asked.send(&app, StreamId::User(ids.get("id")?), command).await;
    }
    change_access(&app, &about, &ids, asked, command).await
}

/// Changes a user's role or access. Nobody does so for themselves, except the only admin; then the audit log says so.
async fn change_access<T>(
    app: &App,
    about: &About,
    ids: &PathIds,
    mut asked: Asked<T>,
    command: impl FnOnce(T) -> Command,
) -> Result<Response, Problem> {
    let stream = StreamId::User(ids.get("id")?);
    let (only_admin, actor) = (asked.as_only_admin(app, stream).await?, asked.actor());
    if only_admin {
        // Before it is done: where it must be recorded and cannot be, it is not done.
        app.audit.done(about, app.now(), Why::OnlyAdmin, actor, StatusCode::OK).await?;
    }
    asked.send(app, stream, command).await
}

/// Deactivate a user, who may then do nothing. Nobody can deactivate themselves, except the only admin. Their deals stay theirs
/// until they are handed over.
#[utoipa::path(post, path = "/v1/users/{id}/deactivate", tag = "users",
    params(("id" = UserId, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn deactivate(
    State(app): State<Arc<App>>,
    Extension(about): Extension<Arc<About>>,
    ids: PathIds,
    asked: Asked<Nothing>,
) -> Result<Response, Problem> {
    change_access(&app, &about, &ids, asked, |_| Command::User(user::Command::Deactivate)).await
}

/// Let a deactivated user do again what their roles say.
#[utoipa::path(post, path = "/v1/users/{id}/reactivate", tag = "users",
    params(("id" = UserId, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn reactivate(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Nothing>) -> Result<Response, Problem> {
    asked.send(&app, StreamId::User(ids.get("id")?), |_| Command::User(user::Command::Reactivate)).await
}

/// Users as they are now, the newest first.
#[utoipa::path(get, path = "/v1/users", tag = "users", params(PageQuery),
    responses((status = 200, body = Named<User>), QueryProblems))]
async fn list(State(app): State<Arc<App>>, Params(query): Params<PageQuery>) -> Result<Response, Problem> {
    let page = query.page(&app)?;
    let users = query.lists(&app).await?.users(page, &NOW).await?;
    Ok(seen(users.position, &users))
}

/// A user as they are now.
#[utoipa::path(get, path = "/v1/users/{id}", tag = "users", params(("id" = UserId, Path), AtLeast),
    responses((status = 200, body = User), QueryProblems))]
async fn get(State(app): State<Arc<App>>, ids: PathIds, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    let id: UserId = ids.get("id")?;
    one(query.lists(&app).await?.user(id, &NOW).await?, |user| user.version, StreamId::User(id))
}
