//! What only PostgreSQL can do, and what only it can do wrong: several servers on one database, roles that may not rewrite
//! history, a database that is not there, is not fit, or goes away under load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod apart;
mod away;
mod backup;
mod crashes;
mod leader;
mod nodes;
mod privileges;
mod refused;
mod replica;
mod same_answers;
mod secrets;
mod sessions;
mod tls;
