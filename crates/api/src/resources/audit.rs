//! `/v1/audit`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    audit::Entry,
    extract::Params,
    problem::{Problem, QueryProblems},
    query::limit,
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Only entries after this number; 0 if absent.
    after: Option<u64>,
    /// Entries of a page, 1 to 500; 100 if absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPage {
    /// Refusals and reads, oldest first.
    entries: Vec<Entry>,
    /// Send this as `after` to continue from here, now or later.
    next: u64,
}

/// The audit log of this server: refusals, reads of data about people, and changes that the only admin made to their own role.
///
/// Each server keeps its own, and deletes the oldest entries when its files are full.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = AuditPage), QueryProblems))]
async fn audit(State(app): State<Arc<App>>, Params(query): Params<AuditQuery>) -> Result<Json<AuditPage>, Problem> {
    let limit = limit(query.limit, 100, app.limits.page_items_max)? as usize;
    let after = query.after.unwrap_or(0);
    if i64::try_from(after).is_err() {
        return Err(Problem::bad_request(
            "after",
            format!("{after} is no number of an entry: there are never so many"),
        ));
    }
    let entries = app.audit.read(after, limit).await?;
    let next = entries.last().map_or(after, |last| last.number);
    Ok(Json(AuditPage { entries, next }))
}
