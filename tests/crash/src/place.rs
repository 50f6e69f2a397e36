//! Where a log is, and how to run the binary over it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::{
    broken::{Broken, Result, When as _},
    postgres::Database,
};

/// How long a command may take that nothing is wrong with.
const BOUND: Duration = Duration::from_mins(1);

/// Each kill of a server may cost the time of a lease, in which the read models stand still.
pub(crate) const LEASE_MS: u64 = 1_000;

/// A log and its read models, in a folder or in a PostgreSQL database.
pub(crate) struct Place {
    /// All that belongs to it: logs of servers, the shim's file, and without PostgreSQL the databases.
    pub(crate) folder: PathBuf,
    pub(crate) postgres: Option<Database>,
}

/// What is done to a process: variables of its environment, and the database by another way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) database: Option<String>,
    pub(crate) stderr: Stderr,
}

/// Where a process logs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stderr {
    /// To a file, which takes everything.
    #[default]
    File,
    /// To a pipe, whose other end may stop reading.
    Pipe,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }
}

impl Place {
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// `dealog` with these arguments.
    pub(crate) fn dealog(&self, args: &[&str], faults: &Faults) -> Command {
        let mut command = Command::from(dealog_tests::command(&self.folder));
        command.args(args).arg("--data").arg(self.data());
        if let Some(postgres) = &self.postgres {
            command.env("DEALOG_DATABASE", faults.database.as_deref().unwrap_or(&postgres.url));
        }
        command
            .env("DEALOG_LIMITS__PROJECTION_LEASE_MS", LEASE_MS.to_string())
            .env("DEALOG_LOG_FORMAT", "json")
            .envs(faults.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// The same, to its end. Gives its exit code and what it printed.
    pub(crate) async fn run(&self, args: &[&str], faults: &Faults) -> Result<(Option<i32>, String)> {
        let output = timeout(BOUND, self.dealog(args, faults).output()).await;
        let output = output.map_err(|_| Broken(format!("dealog {args:?} does not end")))??;
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        Ok((output.status.code(), said.concat()))
    }

    /// Which is safe as long as there is no server: they are made anew.
    pub(crate) async fn remove_read_models(&self) -> Result<()> {
        if let Some(postgres) = &self.postgres {
            return postgres.execute("DROP SCHEMA IF EXISTS views CASCADE").await;
        }
        for entry in self.data().read_dir()? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("views.db") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Looks for damage in a copy of the log alone, in this folder.
    pub(crate) async fn check_copy(&self, folder: &Path) -> Result<String> {
        let mut command = Command::from(dealog_tests::command(&self.folder));
        command.args(["check", "--data"]).arg(folder).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(BOUND, command.output()).await;
        let output = output.map_err(|_| Broken("dealog check of a copy does not end".into()))??;
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        if output.status.success() { Ok(said) } else { Err(Broken(format!("a copy of log.db is not whole: {said}"))) }
    }

    /// Runs a command line to its good end.
    pub(crate) async fn succeed(&self, args: &[&str]) -> Result<String> {
        match self.run(args, &Faults::none()).await? {
            (Some(0), said) => Ok(said),
            (code, said) => Err(Broken(format!("dealog {args:?} ended with {code:?}: {said}"))),
        }
    }
}

/// A binary without failpoints would let half of the trouble pass by and call that a success.
pub(crate) async fn check_binary(folder: &Path) -> Result<()> {
    let output = Command::from(dealog_tests::command(folder)).arg("--version").output().await.when("the binary")?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    if version.contains("failpoints") {
        return Ok(());
    }
    Err(Broken(format!(
        "the binary {} has no failpoints: build it with `cargo build --features dealog/failpoints`, as `just crash` does",
        dealog_tests::binary().display()
    )))
}
