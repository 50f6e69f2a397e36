//! What a company's data is kept in: a folder of SQLite files, or a PostgreSQL database. A test reads the same for both.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dealog_test_postgres::Fresh;
use tempfile::TempDir;

use crate::{Database, Run, command};

/// A place for the data of one company, which goes when this goes. It has a home folder to run commands in, with their
/// settings (`dealog.toml`).
pub struct Data {
    home: TempDir,
    database: Option<Fresh>,
}

impl Data {
    /// On the database that `TEST_DATABASE` names: `sqlite`, which is the default, or `postgres`.
    pub fn fresh() -> Self {
        match env::var("TEST_DATABASE").unwrap_or_else(|_| "sqlite".into()).as_str() {
            "sqlite" => Self::on_sqlite(),
            "postgres" => Self::on_postgres(),
            other => panic!("TEST_DATABASE is {other}: sqlite and postgres are known"),
        }
    }

    /// In files, for tests that are about these.
    pub fn on_sqlite() -> Self {
        Self { home: TempDir::new().expect("a folder can be made"), database: None }
    }

    /// In a database of its own on the server that `TEST_POSTGRES` names.
    pub fn on_postgres() -> Self {
        Self::within(Fresh::blocking())
    }

    /// In this database.
    pub fn within(database: Fresh) -> Self {
        Self { database: Some(database), ..Self::on_sqlite() }
    }

    /// The same with these limits, as lines of a `dealog.toml`.
    #[must_use]
    pub fn with_limits(self, limits: &str) -> Self {
        self.set(&format!("[limits]\n{limits}\n"));
        self
    }

    /// What `dealog.toml` says from now on.
    pub fn set(&self, settings: &str) {
        fs::write(self.home().join("dealog.toml"), settings).expect("settings can be written");
    }

    /// Where commands run.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the files.
    pub fn folder(&self) -> PathBuf {
        assert!(self.database.is_none(), "only SQLite keeps files: begin this test with `Data::on_sqlite`");
        self.home().join("data")
    }

    /// The address of the PostgreSQL database, if it is one.
    pub fn database(&self) -> Option<&str> {
        self.database.as_ref().map(Fresh::url)
    }

    /// Where it is, as `dealog copy` is told.
    pub fn place(&self) -> String {
        self.database().map_or_else(|| self.folder().display().to_string(), str::to_owned)
    }

    /// Whether no dealog has made anything here yet.
    pub fn is_untouched(&self) -> bool {
        match self.database() {
            None => !self.folder().exists(),
            Some(_) => !["log", "views"].iter().any(|schema| Database::has_schema(self, schema)),
        }
    }

    /// The binary over this data.
    pub fn command(&self) -> Command {
        self.over_this(command(self.home()))
    }

    /// `dealog` with these arguments over this data, which comes to an end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        Run::of(self.command()).args(args)
    }

    /// The one place that knows by which settings the binary finds the data.
    pub(crate) fn over_this(&self, mut command: Command) -> Command {
        match self.database() {
            None => command.env("DEALOG_DATA", self.folder()),
            Some(url) => command.env("DEALOG_DATABASE", url),
        };
        command
    }
}
