//! Conditional requests (RFC 9110, 13): `If-Match` for commands, `If-None-Match` for questions.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use axum_extra::headers::{ETag, HeaderMapExt as _, IfNoneMatch};
use dealog_events::Version;

use crate::problem::{Problem, shorten};

/// The versions that `If-Match` names; none where it asks for nothing, or for any version, which a stream that is not there
/// does not have anyway. Of a weak tag nothing matches, nor of one that is not this server's.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Vec<Version>>, Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let mut versions = Vec::new();
    let lines = headers.get_all(header::IF_MATCH).iter().map(|line| line.to_str().unwrap_or("?"));
    for tag in lines.flat_map(list) {
        if tag == "*" {
            return Ok(None);
        }
        let Ok(_) = tag.parse::<ETag>() else { return Err(malformed(tag)) };
        versions.extend(tag.trim_matches('"').parse().ok().filter(|_| tag.starts_with('"')).map(Version));
    }
    Ok(Some(versions))
}

fn malformed(tag: &str) -> Problem {
    let shown = shorten(tag);
    let detail = format!("`{shown}` is not an ETag: expected one in quotes as this server sends it, such as \"3\"");
    Problem::bad_request("If-Match", detail)
}

/// The parts of a list of tags. A comma within quotes is part of a tag.
fn list(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    let single = line.trim().is_empty();
    parts.map(str::trim).filter(move |part| single || !part.is_empty())
}

/// What the caller of a question has already.
pub(crate) fn known(request: &Request) -> Option<IfNoneMatch> {
    let asks = [Method::GET, Method::HEAD].contains(request.method());
    asks.then(|| request.headers().typed_get()).flatten()
}

/// The answer to a question, or that it is what the caller has already.
pub(crate) fn unless_known(known: Option<&IfNoneMatch>, response: Response) -> Response {
    let Some(known) = known.filter(|_| response.status() == StatusCode::OK) else { return response };
    let tag = response.headers().typed_get::<ETag>();
    if tag.is_none_or(|tag| known.precondition_passes(&tag)) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    for about_the_body in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(about_the_body);
    }
    Response::from_parts(parts, Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Option<Vec<u64>>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        Ok(if_match(&headers)?.map(|versions| versions.into_iter().map(|version| version.0).collect()))
    }

    #[test]
    fn a_list_has_every_strong_tag_of_this_servers_in_it() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&["*"]).unwrap(), None);
        assert_eq!(of(&["\"3\""]).unwrap(), Some(vec![3]));
        assert_eq!(of(&["\"1\" , \"2\",\"3\"", "\"4\""]).unwrap(), Some(vec![1, 2, 3, 4]));
        for nothing in ["W/\"3\"", "\"one\"", "\"-1\"", "\"a,3\"", "W/\"1\", \"x\""] {
            assert_eq!(of(&[nothing]).unwrap(), Some(vec![]), "{nothing}");
        }
        assert_eq!(of(&["W/\"3\", \"4\", \"a,b\""]).unwrap(), Some(vec![4]));
        for malformed in ["3", "\"3", "3\"", "", " ", "\"1\", 2", "w/\"3\"", "\"1\" \"2\""] {
            assert!(of(&[malformed]).is_err(), "{malformed}");
        }
    }
}
