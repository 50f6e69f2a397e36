//! `/v1/settings`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_domain::{
    Command,
    settings::{self, Change},
};
use dealog_events::StreamId;
use dealog_projections::models::company::Settings;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    command::{Answer, Asked, CommandHeaders},
    extract::Params,
    problem::{CommandProblems, Problem, QueryProblems},
    query::{AtLeast, NOW, one},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get, change))
}

/// Change settings. Absent ones stay as they are.
#[utoipa::path(patch, path = "/v1/settings", tag = "settings", params(CommandHeaders), request_body = Change,
    responses((status = 200, body = Answer), CommandProblems))]
async fn change(State(app): State<Arc<App>>, asked: Asked<Change>) -> Result<Response, Problem> {
    asked.send(&app, StreamId::Settings, |body| Command::Settings(settings::Command::Change(body))).await
}

/// The settings as they are now.
#[utoipa::path(get, path = "/v1/settings", tag = "settings", params(AtLeast),
    responses((status = 200, body = Settings), QueryProblems))]
async fn get(State(app): State<Arc<App>>, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    one(query.lists(&app).await?.settings(&NOW).await?, |settings| settings.version, StreamId::Settings)
}
