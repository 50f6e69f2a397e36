//! The read models, looked at from outside: what `dealog projections` says, and the tables themselves.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::{Data, Database, Done, PATIENCE, until};

impl Data {
    /// What `dealog projections` says of the model `deals`, and its exit code.
    pub fn projection(&self) -> (Value, Done) {
        let done = self.run(["projections", "--format", "json", "--log", "error"]).end();
        let lines: Vec<Value> = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
        let line = lines.into_iter().find(|line| line["name"] == "deals").unwrap_or_else(|| panic!("{done:?}"));
        (line, done)
    }

    /// All rows of all tables.
    pub fn tables(&self) -> Vec<String> {
        let mut views = Database::views(self);
        let tables = ["deals", "customers", "pipelines", "stages", "users", "teams", "members", "settings"];
        tables.iter().flat_map(|table| views.rows(table)).collect()
    }

    /// How often the tables of the model `deals` have been made.
    pub fn build_number(&self) -> Option<i64> {
        Database::found(self, "views", "build", ("checkpoints", "projection = 'deals'"))
    }

    /// How far a build of it has come, as it is written down; none where there is none.
    pub fn build_position(&self) -> Option<i64> {
        Database::found(self, "views", "position", ("builds", "projection = 'deals'"))
    }

    /// Waits until a build has come so far.
    pub fn built_to(&self, position: i64) {
        until("the build should come on", PATIENCE, || self.build_position().filter(|at| *at >= position));
    }

    /// `dealog rebuild deals` on its way.
    pub fn rebuilding(&self) -> Child {
        let mut rebuild = self.command();
        rebuild.args(["rebuild", "deals"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        rebuild.spawn().expect("the binary can be run")
    }
}
