//! The tables of the read models, looked at from outside.

use dealog_tests::{Data, Database, until};

use super::PATIENCE;

/// All rows of all tables.
pub(crate) fn tables(data: &Data) -> Vec<String> {
    let mut views = Database::views(data);
    let tables = ["deals", "spans", "visits", "pipelines", "stages", "users", "teams", "members", "customers"];
    tables.iter().flat_map(|table| views.rows(table)).collect()
}

/// How far a build has come, as it is written down; none where there is none.
pub(crate) fn build_position(data: &Data) -> Option<i64> {
    Database::found(data, "views", "position", "builds")
}

/// How often the tables have been made.
pub(crate) fn build_number(data: &Data) -> Option<i64> {
    Database::views(data).number("SELECT build FROM checkpoints")
}

/// Waits until a build has come so far.
pub(crate) fn built_to(data: &Data, position: i64) {
    until("the build should come on", PATIENCE, || build_position(data).filter(|at| *at >= position));
}
