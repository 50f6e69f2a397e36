//! `/v1/teams`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_domain::{
    Command,
    team::{self, Form},
};
use dealog_events::{StreamId, TeamId, UserId};
use dealog_projections::models::{Named, company::Team};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    command::{Answer, Asked, CommandHeaders, Nothing},
    extract::{Params, PathIds},
    problem::{CommandProblems, Problem, QueryProblems},
    query::{AtLeast, NOW, PageQuery, one, seen},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(form, list))
        .routes(routes!(get, change))
        .routes(routes!(add_member, remove_member))
}

/// Set up a team.
#[utoipa::path(post, path = "/v1/teams", tag = "teams", params(CommandHeaders), request_body = Form,
    responses((status = 201, body = Answer), CommandProblems))]
async fn form(State(app): State<Arc<App>>, asked: Asked<Form>) -> Result<Response, Problem> {
    let stream = StreamId::Team(TeamId(Uuid::now_v7()));
    asked.create(&app, stream, "/v1/teams", |body| Command::Team(team::Command::Form(body))).await
}

/// Change a team's name.
#[utoipa::path(patch, path = "/v1/teams/{id}", tag = "teams", params(("id" = TeamId, Path), CommandHeaders),
    request_body = team::Change, responses((status = 200, body = Answer), CommandProblems))]
async fn change(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<team::Change>) -> Result<Response, Problem> {
    asked.send(&app, StreamId::Team(ids.get("id")?), |body| Command::Team(team::Command::Change(body))).await
}

/// Add a user to a team.
#[utoipa::path(put, path = "/v1/teams/{id}/members/{user}", tag = "teams",
    params(("id" = TeamId, Path), ("user" = UserId, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn add_member(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Nothing>) -> Result<Response, Problem> {
    let (stream, user) = (StreamId::Team(ids.get("id")?), ids.get("user")?);
    asked.send(&app, stream, |_| Command::Team(team::Command::AddMember(user))).await
}

/// Remove a user from a team.
#[utoipa::path(delete, path = "/v1/teams/{id}/members/{user}", tag = "teams",
    params(("id" = TeamId, Path), ("user" = UserId, Path), CommandHeaders),
    responses((status = 200, body = Answer), CommandProblems))]
async fn remove_member(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Nothing>) -> Result<Response, Problem> {
    let (stream, user) = (StreamId::Team(ids.get("id")?), ids.get("user")?);
    asked.send(&app, stream, |_| Command::Team(team::Command::RemoveMember(user))).await
}

/// Teams as they are now, the newest first.
#[utoipa::path(get, path = "/v1/teams", tag = "teams", params(PageQuery),
    responses((status = 200, body = Named<Team>), QueryProblems))]
async fn list(State(app): State<Arc<App>>, Params(query): Params<PageQuery>) -> Result<Response, Problem> {
    let page = query.page(&app)?;
    let teams = query.lists(&app).await?.teams(page, &NOW).await?;
    Ok(seen(teams.position, &teams))
}

/// A team as it is now.
#[utoipa::path(get, path = "/v1/teams/{id}", tag = "teams", params(("id" = TeamId, Path), AtLeast),
    responses((status = 200, body = Team), QueryProblems))]
async fn get(State(app): State<Arc<App>>, ids: PathIds, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    let id: TeamId = ids.get("id")?;
    one(query.lists(&app).await?.team(id, &NOW).await?, |team| team.version, StreamId::Team(id))
}
