//! Maven Analytics' CRM files: a company that others can have too. They are not part of the repository, a small sample of
//! the same shape is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dealog_tests::{Data, repository};

use crate::Result;

pub(crate) struct Maven {
    folder: PathBuf,
    /// What the table calls it: a run on the sample must not look like one on the whole.
    pub(crate) name: &'static str,
    /// Rows in all files, without their headings.
    pub(crate) rows: usize,
}

impl Maven {
    pub(crate) fn new(folder: Option<&Path>) -> Result<Self> {
        let (folder, name) = match folder {
            Some(folder) => (folder.canonicalize()?, "Maven"),
            None => (repository().join("examples/maven/sample"), "the SAMPLE of Maven"),
        };
        let mut rows = 0;
        for file in ["accounts.csv", "products.csv", "sales_pipeline.csv", "sales_teams.csv"] {
            let path = folder.join(file);
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            rows += text.lines().skip(1).count();
        }
        Ok(Self { folder, name, rows })
    }

    /// `dealog import` into an empty log.
    pub(crate) fn import(&self, data: &Data) {
        let mapping = repository().join("examples/maven/mapping.toml");
        let args = ["import".as_ref(), "--mapping".as_ref(), mapping.as_os_str(), self.folder.as_os_str()];
        data.run(args).succeed();
    }
}
