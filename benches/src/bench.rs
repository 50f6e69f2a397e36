//! What all measurements share: how long and how often, where the files go, and the companies that are asked.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    time::Duration,
};

use dealog_tests::{Data, Server};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

use crate::{Result, maven::Maven};

/// The day on which the two years of the demo end: the same company in every run.
pub(crate) const DEMO_UNTIL: &str = "2026-07-01";

pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    /// How often each measurement is repeated.
    pub(crate) rounds: usize,
    /// How long a measurement goes on that has no end of its own.
    pub(crate) slice: Duration,
    pub(crate) progress: ProgressBar,
    pub(crate) maven: Maven,
    server: OnceCell<Server>,
    // After the server, which is gone before its files are.
    demo: OnceCell<Data>,
    imported: OnceCell<Data>,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new(rounds: usize, slice: Duration, maven: Option<&Path>) -> Result<Self> {
        let style = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len} rounds {elapsed}")?;
        Ok(Self {
            runtime: runtime::Builder::new_multi_thread().enable_all().build()?,
            rounds,
            slice,
            progress: ProgressBar::new(0).with_style(style),
            maven: Maven::new(maven)?,
            server: OnceCell::new(),
            demo: OnceCell::new(),
            imported: OnceCell::new(),
            folder: tempfile::tempdir()?,
        })
    }

    /// A place for files that goes when the bench goes.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Repeats a measurement.
    pub(crate) fn rounds(&self, what: &'static str, mut round: impl FnMut() -> Result<()>) -> Result<()> {
        self.progress.set_message(what);
        for _ in 0..self.rounds {
            round()?;
            self.progress.inc(1);
        }
        Ok(())
    }

    /// The sample company.
    pub(crate) fn demo(&self) -> &Data {
        self.demo.get_or_init(|| {
            let data = Data::on_sqlite();
            data.run(["demo", "--no-serve", "--until", DEMO_UNTIL]).succeed();
            data
        })
    }

    /// The company that Maven's files were imported into.
    pub(crate) fn imported(&self) -> &Data {
        self.imported.get_or_init(|| {
            let data = Data::on_sqlite();
            self.maven.import(&data);
            data
        })
    }

    /// The one server of Maven's data that all requests go to.
    pub(crate) fn server(&self) -> &Server {
        self.server.get_or_init(|| Server::start(self.imported(), &[]))
    }
}
