//! `/openapi.json` and `/docs`: the API's description, and a page to read and try it.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    http::header,
    response::{IntoResponse as _, Response},
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
    Router::new().route(PATH, get(answer)).merge(SwaggerUi::new("/docs").config(Config::from(PATH)))
}

fn answer(document: &Bytes, etag: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::ETAG, etag)], document.clone()).into_response()
}
