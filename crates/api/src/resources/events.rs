//! `/v1/events`

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use dealog_events::{Cursor, Envelope, Position, event_types};
use dealog_followers::{OtherHistory, Page};
use dealog_store::EventStore;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    extract::Params,
    problem::{Described, Problem, QueryProblems, shorten},
    query::limit,
};

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Only events after this cursor: the `next` of a page, or a position; 0 if absent.
    #[param(value_type = Option<String>, example = "34998-5f3a9c1e")]
    after: Option<Cursor>,
    /// Only these types, separated by commas; `deal.*` means all that begin so.
    #[param(example = "deal.won,deal.lost")]
    types: Option<String>,
    /// Events of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
struct EventsPage {
    /// Which log this is.
    log_id: Uuid,
    /// The last position of the log.
    head: Position,
    /// Events in the order of the log.
    events: Vec<Envelope>,
    /// Send this as `after` to continue from here, now or later, and you miss nothing. It proves which history you have seen: if the
    /// log was restored from a backup meanwhile, you are told.
    next: Cursor,
}

/// The log, from a position on.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery),
    responses(
        (status = 200, body = EventsPage),
        (status = 409, body = Described, content_type = "application/problem+json",
            description = "The cursor is of another history: the log was restored from a backup, or is another log"),
        QueryProblems
    ))]
async fn events(State(app): State<Arc<App>>, Params(query): Params<EventsQuery>) -> Result<Json<EventsPage>, Problem> {
    let limit = limit(query.limit, 100, app.limits.page_events_max)? as usize;
    let after = query.after.unwrap_or(Cursor::START);
    let types = query.types.as_deref().map(types).transpose()?.unwrap_or_default();
    let page = Page::behind(&**app.store(), after, limit, &types).await?;
    let Page { head, events, next } = page.map_err(|other| refused(other, "after"))?;
    Ok(Json(EventsPage { log_id: head.log_id, head: head.position.max(next.position), events, next }))
}

/// Refuses a cursor of another history: a caller who has it followed another log, or this one before it was restored from a
/// backup.
pub(crate) async fn is_of_this_log(store: &dyn EventStore, cursor: Cursor, field: &str) -> Result<(), Problem> {
    dealog_followers::check(store, cursor).await?.map_err(|other| refused(other, field))
}

fn refused(other: OtherHistory, field: &str) -> Problem {
    match other {
        OtherHistory::BeyondHead { cursor, head } if cursor.proof.is_none() => {
            let detail = format!("{field} is {cursor}, and the log ends at {head}");
            Problem::unprocessable("beyond_head", field, detail)
        }
        other => {
            let detail = format!("{other}. Begin again from a position that you know both to have, or from 0");
            Problem::new(StatusCode::CONFLICT, "other_history", detail).field(field)
        }
    }
}

/// The types that a list of names and prefixes means: each once, however often it is named. A stream keeps them.
pub(crate) fn types(list: &str) -> Result<Vec<String>, Problem> {
    let mut found = BTreeSet::new();
    for wanted in list.split(',').map(str::trim) {
        let prefix = wanted.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
        let matches = |name: &str| prefix.map_or(name == wanted, |prefix| name.starts_with(prefix));
        let mut named = event_types().map(|known| known.name).filter(|name| matches(name)).peekable();
        if named.peek().is_none() {
            let wanted = shorten(wanted);
            let detail =
                format!("`{wanted}` is not an event type; a type is like deal.won, or deal.* for all of a kind");
            let known = event_types().map(|known| known.name.to_owned()).collect();
            return Err(Problem::unprocessable("unknown_type", "types", detail).allowed(known));
        }
        found.extend(named);
    }
    Ok(found.into_iter().map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_named_again_and_again_are_kept_once() {
        let once = types("deal.*,deal.won").unwrap();
        assert_eq!(types(&vec!["deal.*,deal.won"; 500].join(",")).unwrap(), once);
        assert_eq!(once.iter().collect::<BTreeSet<_>>().len(), once.len());
        assert_eq!(types("deal.won, deal.won").unwrap(), ["deal.won"]);
        assert!(types("deal.won,deal.won.").is_err());
    }
}
