//! `/v1/pipelines`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_domain::{
    Command,
    pipeline::{self, AddStage, Define, Reorder, ReviseStage},
};
use dealog_events::{PipelineId, Slug, StreamId};
use dealog_projections::models::{Named, company::Pipeline};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    command::{Answer, Asked, CommandHeaders, Nothing},
    extract::{Params, PathIds},
    problem::{CommandProblems, Problem, QueryProblems},
    query::{AtLeast, NOW, one, seen},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(define, list))
        .routes(routes!(get, change))
        .routes(routes!(add_stage, reorder))
        .routes(routes!(revise_stage))
        .routes(routes!(retire_stage))
        .routes(routes!(reinstate_stage))
        .routes(routes!(archive))
        .routes(routes!(unarchive))
}

fn pipeline_of(ids: &PathIds) -> Result<StreamId, Problem> {
    ids.get::<PipelineId>("id").map(StreamId::Pipeline)
}

/// Set up a pipeline.
#[utoipa::path(post, path = "/v1/pipelines", tag = "pipelines", params(CommandHeaders), request_body = Define,
    responses((status = 201, body = Answer), CommandProblems))]
async fn define(State(app): State<Arc<App>>, asked: Asked<Define>) -> Result<Response, Problem> {
    let stream = StreamId::Pipeline(PipelineId(Uuid::now_v7()));
    asked.create(&app, stream, "/v1/pipelines", |body| Command::Pipeline(pipeline::Command::Define(body))).await
}

/// Add a stage.
#[utoipa::path(post, path = "/v1/pipelines/{id}/stages", tag = "pipelines",
    params(("id" = PipelineId, Path), CommandHeaders), request_body = AddStage,
    responses((status = 200, body = Answer), CommandProblems))]
async fn add_stage(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<AddStage>) -> Result<Response, Problem> {
    asked.send(&app, pipeline_of(&ids)?, |body| Command::Pipeline(pipeline::Command::AddStage(body))).await
}

/// Put the stages into another order.
#[utoipa::path(put, path = "/v1/pipelines/{id}/stages", tag = "pipelines",
    params(("id" = PipelineId, Path), CommandHeaders), request_body = Reorder,
    responses((status = 200, body = Answer), CommandProblems))]
async fn reorder(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Reorder>) -> Result<Response, Problem> {
    asked.send(&app, pipeline_of(&ids)?, |body| Command::Pipeline(pipeline::Command::Reorder(body))).await
}

/// Change the description of a stage. Its slug stays.
#[utoipa::path(patch, path = "/v1/pipelines/{id}/stages/{stage}", tag = "pipelines",
    params(("id" = PipelineId, Path), ("stage" = Slug, Path), CommandHeaders), request_body = ReviseStage,
    responses((status = 200, body = Answer), CommandProblems))]
async fn revise_stage(
    State(app): State<Arc<App>>,
    ids: PathIds,
    asked: Asked<ReviseStage>,
) -> Result<Response, Problem> {
    let stage: Slug = ids.get("stage")?;
    asked.send(&app, pipeline_of(&ids)?, |body| Command::Pipeline(pipeline::Command::ReviseStage(stage, body))).await
}

/// Retire a stage: no deal can enter it any more. Its deals stay until they are moved.
#[utoipa::path(post, path = "/v1/pipelines/{id}/stages/{stage}/retire", tag = "pipelines",
    params(("id" = PipelineId, Path), ("stage" = Slug, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn retire_stage(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Nothing>) -> Result<Response, Problem> {
    let stage: Slug = ids.get("stage")?;
    asked.send(&app, pipeline_of(&ids)?, |_| Command::Pipeline(pipeline::Command::RetireStage(stage))).await
}

/// Reinstate a retired stage: deals can enter it again, in the place that it kept.
#[utoipa::path(post, path = "/v1/pipelines/{id}/stages/{stage}/reinstate", tag = "pipelines",
    params(("id" = PipelineId, Path), ("stage" = Slug, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn reinstate_stage(
    State(app): State<Arc<App>>,
    ids: PathIds,
    asked: Asked<Nothing>,
) -> Result<Response, Problem> {
    let stage: Slug = ids.get("stage")?;
    asked.send(&app, pipeline_of(&ids)?, |_| Command::Pipeline(pipeline::Command::ReinstateStage(stage))).await
}

/// Change a pipeline's name.
#[utoipa::path(patch, path = "/v1/pipelines/{id}", tag = "pipelines",
    params(("id" = PipelineId, Path), CommandHeaders), request_body = pipeline::Change,
    responses((status = 200, body = Answer), CommandProblems))]
async fn change(
    State(app): State<Arc<App>>,
    ids: PathIds,
    asked: Asked<pipeline::Change>,
) -> Result<Response, Problem> {
    asked.send(&app, pipeline_of(&ids)?, |body| Command::Pipeline(pipeline::Command::Change(body))).await
}

/// Archive a pipeline: it takes no more deals.
#[utoipa::path(post, path = "/v1/pipelines/{id}/archive", tag = "pipelines",
    params(("id" = PipelineId, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn archive(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Nothing>) -> Result<Response, Problem> {
    asked.send(&app, pipeline_of(&ids)?, |_| Command::Pipeline(pipeline::Command::Archive)).await
}

/// Unarchive a pipeline: it takes deals again.
#[utoipa::path(post, path = "/v1/pipelines/{id}/unarchive", tag = "pipelines",
    params(("id" = PipelineId, Path), CommandHeaders), request_body = Option<Nothing>,
    responses((status = 200, body = Answer), CommandProblems))]
async fn unarchive(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Nothing>) -> Result<Response, Problem> {
    asked.send(&app, pipeline_of(&ids)?, |_| Command::Pipeline(pipeline::Command::Unarchive)).await
}

/// All pipelines as they are now, oldest first.
#[utoipa::path(get, path = "/v1/pipelines", tag = "pipelines", params(AtLeast),
    responses((status = 200, body = Named<Pipeline>), QueryProblems))]
async fn list(State(app): State<Arc<App>>, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    let pipelines = query.lists(&app).await?.pipelines(&NOW).await?;
    Ok(seen(pipelines.position, &pipelines))
}

/// A pipeline as it is now.
#[utoipa::path(get, path = "/v1/pipelines/{id}", tag = "pipelines", params(("id" = PipelineId, Path), AtLeast),
    responses((status = 200, body = Pipeline), QueryProblems))]
async fn get(State(app): State<Arc<App>>, ids: PathIds, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    let id: PipelineId = ids.get("id")?;
    one(query.lists(&app).await?.pipeline(id, &NOW).await?, |pipeline| pipeline.version, StreamId::Pipeline(id))
}
