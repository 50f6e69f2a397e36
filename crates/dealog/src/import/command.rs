//! `dealog import`: the mapping, the files, and the report.

use std::path::Path;

use super::{Mapping, Options, import};
use crate::{
    open::{self, Failure, count_bar},
    out,
    settings::Settings,
};

/// Imports the files of `folder` into the log of the data folder, and prints the report.
pub(crate) async fn run(settings: &Settings, mapping: &Path, folder: &Path, options: Options) -> Result<(), Failure> {
    let mapping = Mapping::read(mapping)?;
    let store = open::log(settings).await?;
    let commands = open::commands(settings, &store);
    let bar = count_bar("Importing");
    let report = import(&commands, &mapping, folder, options, &bar).await;
    bar.finish_and_clear();
    store.close().await;
    out::print(report?)
}
