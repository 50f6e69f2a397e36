//! What came of an import: rows taken and left out, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use comfy_table::{CellAlignment, Table, presets};

use super::rows::FileId;
use crate::out::shortened;

/// Rows left out that are listed one by one; of more, only how many.
const LISTED_MAX: usize = 50;
/// Characters of a value, of a column's name and of a file's that are shown.
pub(super) const VALUE_CHARS_MAX: usize = 60;
/// Characters of a reason, which may repeat what stands in the row.
const REASON_CHARS_MAX: usize = 400;

/// What came of an import.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    files: Vec<FileReport>,
    /// Rows left out, in the order in which that was found: by reading all of them first, then by the rules.
    pub(crate) skipped: Vec<Skipped>,
    /// Rows that say something else than an earlier import was told. What is in the log stays.
    differing: BTreeSet<Place>,
    /// Whether the mapping's pipeline is not the one that an earlier import set up.
    pipeline_differs: bool,
    /// Events appended by this run.
    pub(crate) events: u64,
}

/// How many rows of a file went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// All of them.
    pub(crate) read: u64,
    /// Those that led to a new event.
    pub(crate) taken: u64,
    /// Those of which nothing was new.
    pub(crate) already_there: u64,
    /// Those left out, wholly or from some step on.
    pub(crate) skipped: u64,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// The file.
    pub(crate) file: String,
    /// The line on which the row begins; the header is on line 1.
    pub(crate) line: u64,
    /// The column at fault, where it is one.
    pub(crate) column: Option<String>,
    /// What stands there.
    pub(crate) value: String,
    /// Why that will not do, and what would.
    pub(crate) reason: String,
}

/// A row by its file and line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) file: FileId,
    pub(super) line: u64,
}

#[derive(Debug, Clone, Default)]
struct FileReport {
    name: String,
    read: u64,
    /// Whether its rows are only looked up and lead to nothing of their own.
    lookup: bool,
    rows: BTreeMap<u64, Came>,
}

/// What came of a row. A later one outweighs an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    AlreadyThere,
    Taken,
    Skipped,
}

impl Report {
    /// A file by its name, and how many of its rows went where; a file that is used twice is in the list twice.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, Rows)> {
        self.files.iter().map(|file| {
            let count = |what: Came| file.rows.values().filter(|came| **came == what).count() as u64;
            let (taken, already_there) = (count(Came::Taken), count(Came::AlreadyThere));
            let rows = Rows { read: file.read, taken, already_there, skipped: count(Came::Skipped) };
            (file.name.as_str(), rows)
        })
    }

    /// Rows that say something else than an earlier import was told, by file and line.
    pub(crate) fn differing(&self) -> impl Iterator<Item = (&str, u64)> {
        self.differing.iter().filter_map(|place| Some((self.files.get(place.file)?.name.as_str(), place.line)))
    }

    pub(super) fn begin(&mut self, file: &str) -> FileId {
        self.files.push(FileReport { name: file.to_owned(), ..FileReport::default() });
        self.files.len() - 1
    }

    pub(super) fn read(&mut self, file: FileId, rows: u64) {
        if let Some(file) = self.files.get_mut(file) {
            file.read = rows;
        }
    }

    pub(super) fn look_up(&mut self, file: FileId) {
        if let Some(file) = self.files.get_mut(file) {
            file.lookup = true;
        }
    }

    pub(super) fn taken(&mut self, place: Option<Place>, events: u32) {
        self.events += u64::from(events);
        self.note(place, Came::Taken);
    }

    pub(super) fn already_there(&mut self, place: Option<Place>) {
        self.note(place, Came::AlreadyThere);
    }

    pub(super) fn differs(&mut self, place: Option<Place>) {
        self.note(place, Came::AlreadyThere);
        match place {
            Some(place) => drop(self.differing.insert(place)),
            None => self.pipeline_differs = true,
        }
    }

    pub(super) fn skip(&mut self, place: Place, column: Option<String>, value: &str, reason: &str) -> Skipped {
        self.note(Some(place), Came::Skipped);
        let file = self.files.get(place.file).map(|file| file.name.clone()).unwrap_or_default();
        let skipped = Skipped { file, line: place.line, column, value: value.to_owned(), reason: reason.to_owned() };
        self.skipped.push(skipped.clone());
        skipped
    }

    fn note(&mut self, place: Option<Place>, came: Came) {
        let Some(place) = place else { return };
        if let Some(file) = self.files.get_mut(place.file) {
            file.rows.entry(place.line).and_modify(|before| *before = came.max(*before)).or_insert(came);
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| shortened(text, VALUE_CHARS_MAX);
        write!(f, "{}:{}: ", short(&self.file), self.line)?;
        if let Some(column) = &self.column {
            write!(f, "{} `{}`: ", short(column), short(&self.value))?;
        }
        f.write_str(&shortened(&self.reason, REASON_CHARS_MAX))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["file", "rows", "taken", "already there", "skipped"]);
        for (file, (name, rows)) in self.files.iter().zip(self.files()) {
            let [taken, already_there] = [rows.taken, rows.already_there].map(|rows| rows.to_string());
            let [taken, already_there] =
                if file.lookup { ["looked up".into(), String::new()] } else { [taken, already_there] };
            let (read, skipped) = (rows.read.to_string(), rows.skipped.to_string());
            table.add_row([shortened(name, VALUE_CHARS_MAX), read, taken, already_there, skipped]);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        writeln!(f, "{table}\n\n{} new events", self.events)?;
        list(f, "skipped:", self.skipped.len(), self.skipped.iter())?;
        if self.pipeline_differs {
            writeln!(f, "\nThe pipeline in the mapping is not the one of an earlier import, which stays as it is.")?;
        }
        let differing = self.differing().map(|(file, line)| format!("{}:{line}", shortened(file, VALUE_CHARS_MAX)));
        list(
            f,
            "not applied, since an earlier import of the same row was told something else (change it in Dealog):",
            self.differing.len(),
            differing,
        )
    }
}

/// A title and as many lines as a person reads.
fn list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    count: usize,
    lines: impl Iterator<Item = impl fmt::Display>,
) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    lines.take(LISTED_MAX).try_for_each(|line| writeln!(f, "  {line}"))?;
    match count.saturating_sub(LISTED_MAX) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}
