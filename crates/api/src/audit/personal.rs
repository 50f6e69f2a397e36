//! Which requests read personal data, and which of them read the same.

use axum::{
    RequestExt as _,
    extract::{MatchedPath, RawPathParams, Request},
    http::Method,
};
use dealog_figures::By;
use uuid::Uuid;

/// Whether the answers of a resource may hold personal data: names and addresses of people, or what was noted about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Personal {
    /// They do not.
    Never,
    /// They may.
    Always,
    /// Figures: where they are grouped by people or are about some of them.
    OfFigures,
}

/// What was read, however the request spelled it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Read {
    route: String,
    ids: Vec<String>,
}

#[cfg(test)]
impl Read {
    pub(super) fn of(route: &str, id: &str) -> Self {
        Self { route: route.into(), ids: vec![id.into()] }
    }
}

impl Personal {
    /// What a request reads of people, if it does.
    pub(crate) async fn read(self, request: &mut Request) -> Option<Read> {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let may = match self {
            Self::Never => false,
            Self::Always => true,
            Self::OfFigures => is_about_people(request.uri().query().unwrap_or_default()),
        };
        if !reads || !may {
            return None;
        }
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
        let params = request.extract_parts::<RawPathParams>().await.ok()?;
        Some(Read { route, ids: params.iter().map(|(_, id)| canonical(id)).collect() })
    }
}

/// An id may be written in upper and lower case.
fn canonical(id: &str) -> String {
    Uuid::try_parse(id).map_or_else(|_| id.to_owned(), |id| id.to_string())
}

/// Whether the parameters of a figure name people: as groups, or as those whose deals are chosen.
fn is_about_people(query: &str) -> bool {
    // A team may be one person.
    let people = [By::Owner.name(), By::Customer.name(), By::Team.name()];
    let params: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    params.iter().any(|(name, value)| {
        people.contains(name)
            || (name == "by" && value.split(',').any(|by| people.iter().any(|name| name == by.trim())))
    })
}
