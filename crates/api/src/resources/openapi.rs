//! `/openapi.json` and `/docs`: the API's description, and a page to read and try it; and `/`, which says where they are.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{App, problem::Problem};

const PATH: &str = "/openapi.json";

/// The document is written once: it is large, and anybody may ask for it.
pub(crate) fn router(openapi: &OpenApi) -> Router<Arc<App>> {
    let document = openapi.to_json().map(Bytes::from).map_err(|error| error.to_string());
    let etag = format!("\"{}\"", hex::encode(Sha256::digest(document.as_deref().unwrap_or_default())));
    let answer = move || {
        let answer = match &document {
            Ok(document) => answer(document, &etag),
            Err(error) => Problem::internal(error).into_response(),
        };
        std::future::ready(answer)
    };
    Router::new()
        .route("/", get(welcome))
        .route(PATH, get(answer))
        .merge(SwaggerUi::new("/docs").config(Config::from(PATH)))
}

/// What this is, and where to go next: a page for a browser, lines of text for everyone else.
async fn welcome(headers: HeaderMap) -> Response {
    let next = [
        ("/docs", "read and try the API"),
        (PATH, "the API's description"),
        ("/health/ready", "whether this server can carry out commands, and how far its read models are"),
        ("/v1/pipeline", "the pipeline, a first figure"),
    ];
    let what = concat!("Dealog ", env!("CARGO_PKG_VERSION"), ", an event-sourced engine for sales deals.");
    let accepts = |kind: &str| {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains(kind))
    };
    if accepts("text/html") {
        let items: String = next.map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a>: {what}</li>")).concat();
        return Html(format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Dealog</title><h1>Dealog</h1><p>{what}</p>\
             <ul>{items}</ul></html>"
        ))
        .into_response();
    }
    let lines: String = next.map(|(path, what)| format!("{path:<15} {what}\n")).concat();
    format!("{what}\n\n{lines}").into_response()
}

fn answer(document: &Bytes, etag: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::ETAG, etag)], document.clone()).into_response()
}
