//! The HTTP API, as a caller sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod access;
mod audit;
mod bodies;
mod connections;
mod deals;
mod events;
mod feed;
mod figures;
mod health;
mod limits;
mod metrics;
mod openapi;
mod outside;
mod problems;
mod reference;
mod requests;
mod shares;
mod time_travel;

use std::sync::OnceLock;

use dealog_tests::Server;

/// A server with a new company, for tests that do not mind what others do beside them.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::shared(&[]))
}
