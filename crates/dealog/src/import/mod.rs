//! `dealog import`: CSV files of another system into events, by a mapping.
//!
//! What a company did before it had Dealog is worth as much as what it does now, so an import writes the same events that
//! the same deals would have left had they been worked here, at the times at which they happened. It goes through the
//! same commands and rules as everything else; nothing is written around them.
//!
//! Everything about an import follows from the files and the mapping alone:
//!
//! - **Ids derive from the source's ids**, and each step of a row (created, entered a stage, closed) is a command with a
//!   key of its own. To import again adds nothing, and a row that has moved on in a newer export adds only its new steps.
//! - **The order is fixed**: rows in the order of the file, in chunks; within a chunk the first steps of all rows, then
//!   the second ones, and so on. Appends are queued in that order and commits take them from the front of the queue, so
//!   whatever kills an import leaves the beginning of the very log that it would have written, and the next run writes
//!   the rest of it.
//! - **A row fails alone.** All files are read before anything is sent; a row that cannot be understood is left out and
//!   reported with its line, column and value, and so is one that the rules refuse.

pub(crate) mod command;
mod mapping;
mod plan;
mod report;
mod rows;
mod run;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod values;

use std::{io, path::Path, path::PathBuf};

use dealog_commands::{CommandError, Commands};
use dealog_events::{Currency, Slug, settings::FieldKind};
use dealog_store::StoreError;
use indicatif::ProgressBar;

use self::report::VALUE_CHARS_MAX;
use crate::out::shortened;

pub(crate) use mapping::{Mapping, MappingError};
pub(crate) use report::{Report, Skipped};

/// How an import deals with what it meets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Stop at the first bad row: before anything is sent where reading finds it, else after the commands that were under
    /// way when the rules refused it.
    pub(crate) strict: bool,
}

/// Why an import stopped. What had been appended until then stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// A file of the mapping's could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than one import takes.
    #[error("{file} has more than {max} {what}; split it and import the parts one after another")]
    TooLarge {
        /// Which.
        file: String,
        /// What there is too much of.
        what: &'static str,
        /// How much one import takes.
        max: u64,
    },
    /// A row has no end in sight.
    #[error(
        "{file}:{line}: the row that begins here has more than {max} bytes: where a quotation mark is never closed, all that \
         follows is one cell"
    )]
    RowTooLong {
        /// The file.
        file: String,
        /// The line on which it begins.
        line: u64,
        /// How much a row may have.
        max: usize,
    },
    /// A file changed after its rows were checked.
    #[error("{file} was changed while it was imported; run the import again to go on with what it has now")]
    Changed {
        /// Which.
        file: String,
    },
    /// A file that is no file of the folder.
    #[error("{file} is not a plain file within the folder that is imported")]
    Elsewhere {
        /// What the mapping names.
        file: String,
    },
    /// The header of a file is not what the mapping says.
    #[error("{file} has {found} column called `{column}`; its columns are: {}", listed(columns))]
    Column {
        /// The file.
        file: String,
        /// The column that the mapping names.
        column: String,
        /// What was found instead: no such column, or more than one.
        found: &'static str,
        /// The header.
        columns: Vec<String>,
    },
    /// The company reports in another currency than the source's amounts are in.
    #[error(
        "the files are in {source_currency} by the mapping, and the company reports in {company}: convert them first"
    )]
    Currency {
        /// The company's.
        company: Currency,
        /// The mapping's.
        source_currency: Currency,
    },
    /// The company has a field of that name which holds something else.
    #[error(
        "the company's field `{field}` is of kind {company:?}, and in the mapping it is {mapped:?}: map another slug"
    )]
    FieldKind {
        /// The field.
        field: Slug,
        /// What it holds.
        company: FieldKind,
        /// What the mapping says.
        mapped: FieldKind,
    },
    /// What all rows need (settings, pipeline) was refused.
    #[error("{what} could not be set up: {source}")]
    Setup {
        /// What.
        what: &'static str,
        /// Why.
        source: CommandError,
    },
    /// A bad row, and the import was to be strict.
    #[error("stopped at a bad row, as --strict asks, after {events} new events: {skipped}")]
    Strict {
        /// The row.
        skipped: Box<Skipped>,
        /// How many events had been appended.
        events: u64,
    },
    /// The log did not take a command, for reasons that have nothing to do with the row.
    #[error("stopped after {events} new events; run the import again to go on: {source}")]
    Command {
        /// Why.
        source: CommandError,
        /// How many events had been appended.
        events: u64,
    },
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Names of columns, as many as a person reads.
fn listed(columns: &[String]) -> String {
    const LISTED_MAX: usize = 30;
    let mut listed: Vec<_> = columns.iter().take(LISTED_MAX).map(|name| shortened(name, VALUE_CHARS_MAX)).collect();
    if columns.len() > LISTED_MAX {
        listed.push(format!("and {} more", columns.len() - LISTED_MAX));
    }
    listed.join(", ")
}

/// Imports the files of `folder` that the mapping names. `progress` counts commands; to end it is left to the caller, who
/// began it.
pub(crate) async fn import(
    commands: &Commands,
    mapping: &Mapping,
    folder: &Path,
    options: Options,
    progress: &ProgressBar,
) -> Result<Report, ImportError> {
    let (mut plan, mut report) = plan::Plan::read(mapping, folder, commands.now())?;
    if let (true, Some(first)) = (options.strict, report.skipped.first()) {
        return Err(ImportError::Strict { skipped: Box::new(first.clone()), events: 0 });
    }
    progress.set_length(plan.steps);
    report.events += settings::merge(commands, plan.ids(), mapping).await?;
    let mut sending = run::Sending { commands, options, report: &mut report, progress };
    for items in plan.few() {
        sending.send(items.into_iter().map(Ok)).await?;
    }
    sending.send(plan.customers()?).await?;
    sending.send(plan.deals()?).await?;
    Ok(report)
}
