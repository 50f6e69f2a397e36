//! `/v1/customers`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use dealog_domain::{
    Command,
    customer::{self, Change, Register},
};
use dealog_events::{CustomerId, StreamId};
use dealog_projections::models::{Named, customers::Customer};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    command::{Answer, Asked, CommandHeaders},
    extract::{Params, PathIds},
    problem::{CommandProblems, Problem, QueryProblems},
    query::{AtLeast, NOW, PageQuery, one, seen},
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(register, list)).routes(routes!(get, change))
}

/// Register a customer.
#[utoipa::path(post, path = "/v1/customers", tag = "customers", params(CommandHeaders), request_body = Register,
    responses((status = 201, body = Answer), CommandProblems))]
async fn register(State(app): State<Arc<App>>, asked: Asked<Register>) -> Result<Response, Problem> {
    let stream = StreamId::Customer(CustomerId(Uuid::now_v7()));
    asked.create(&app, stream, "/v1/customers", |body| Command::Customer(customer::Command::Register(body))).await
}

/// Change a customer. Absent attributes stay as they are.
#[utoipa::path(patch, path = "/v1/customers/{id}", tag = "customers",
    params(("id" = CustomerId, Path), CommandHeaders), request_body = Change,
    responses((status = 200, body = Answer), CommandProblems))]
async fn change(State(app): State<Arc<App>>, ids: PathIds, asked: Asked<Change>) -> Result<Response, Problem> {
    let stream = StreamId::Customer(ids.get("id")?);
    asked.send(&app, stream, |body| Command::Customer(customer::Command::Change(body))).await
}

/// Customers as they are now, the newest first.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", params(PageQuery),
    responses((status = 200, body = Named<Customer>), QueryProblems))]
async fn list(State(app): State<Arc<App>>, Params(query): Params<PageQuery>) -> Result<Response, Problem> {
    let page = query.page(&app)?;
    let customers = query.lists(&app).await?.customers(page, &NOW).await?;
    Ok(seen(customers.position, &customers))
}

/// A customer as it is now.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers", params(("id" = CustomerId, Path), AtLeast),
    responses((status = 200, body = Customer), QueryProblems))]
async fn get(State(app): State<Arc<App>>, ids: PathIds, Params(query): Params<AtLeast>) -> Result<Response, Problem> {
    let id: CustomerId = ids.get("id")?;
    one(query.lists(&app).await?.customer(id, &NOW).await?, |customer| customer.version, StreamId::Customer(id))
}
