//! One module for each resource. Handlers parse, call, answer.

pub(crate) mod audit;
pub(crate) mod behind;
pub(crate) mod board;
pub(crate) mod customers;
pub(crate) mod deals;
pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod pipelines;
pub(crate) mod settings;
pub(crate) mod stream;
pub(crate) mod teams;
pub(crate) mod users;
