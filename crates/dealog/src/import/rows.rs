//! CSV files: rows with the line on which an editor shows them.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

use super::{
    ImportError,
    mapping::{Aliases, Format},
};

/// Bytes of one file. A file is read as a whole, so that nothing is sent before all rows are known.
pub(crate) const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Rows of one file; the commands that they lead to are kept in memory, one or two kilobytes a row.
pub(crate) const FILE_ROWS_MAX: u64 = 1_000_000;

/// Columns of a file.
pub(crate) const COLUMNS_MAX: usize = 1_000;
/// Bytes of a row. The reader keeps where each cell of it ends, which is eight times as much.
pub(crate) const ROW_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a cell: as many as the data of an event has.
pub(crate) const CELL_BYTES_MAX: usize = 64 * 1024;

/// A file by its place in the report.
pub(super) type FileId = usize;

/// A file with the columns that the mapping needs.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) file: FileId,
    pub(super) name: String,
    columns: HashMap<String, usize>,
    aliases: Aliases,
    records: Vec<(u64, StringRecord)>,
    /// Rows that are not rows of this table, and why.
    pub(super) broken: Vec<(u64, String)>,
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'t> {
    table: &'t Table,
    record: &'t StringRecord,
    /// The line of the file on which it begins; the header is on line 1.
    pub(super) line: u64,
}

impl<'t> Row<'t> {
    /// What stands in a column, in the spelling that the aliases give it; empty where nothing does.
    pub(super) fn cell(&self, column: &str) -> &'t str {
        let raw = self.raw(column);
        self.table.aliases.get(column).and_then(|aliases| aliases.get(raw)).map_or(raw, String::as_str)
    }

    /// The same, where it is not empty.
    pub(super) fn filled(&self, column: &str) -> Option<&'t str> {
        Some(self.cell(column)).filter(|text| !text.is_empty())
    }

    /// What stands in a column, as the file has it.
    pub(super) fn raw(&self, column: &str) -> &'t str {
        self.table.columns.get(column).and_then(|index| self.record.get(*index)).unwrap_or_default()
    }
}

impl Table {
    /// Reads a file and checks that it has the columns in `needed`.
    pub(super) fn read<'a>(
        folder: &Path,
        (file, name): (FileId, &str),
        format: &Format,
        aliases: &'a Aliases,
        needed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ImportError> {
        let path = folder.join(name);
        let unreadable = |source| ImportError::File { path: path.clone(), source };
        let mut bytes = Vec::new();
        let Some(opened) = open_within(folder, &path).map_err(unreadable)? else {
            return Err(ImportError::Elsewhere { file: name.into() });
        };
        opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(ImportError::TooLarge { file: name.into(), what: "bytes", max: FILE_BYTES_MAX });
        }
        let mut table = Self {
            file,
            name: name.to_owned(),
            columns: HashMap::new(),
            aliases: aliases.clone(),
            records: Vec::new(),
            broken: Vec::new(),
        };
        table.fill(&bytes, format, needed.into_iter().chain(aliases.keys().map(String::as_str))).map_err(|error| {
            match error {
                Unfit::Csv(error) => unreadable(io::Error::other(error)),
                Unfit::Import(error) => error,
            }
        })?;
        Ok(table)
    }

    /// The rows that are whole.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.records.iter().map(|(line, record)| Row { table: self, record, line: *line })
    }

    /// How many rows the file has, the broken ones among them.
    pub(super) fn len(&self) -> u64 {
        (self.records.len() + self.broken.len()) as u64
    }

    fn fill<'a>(&mut self, bytes: &[u8], format: &Format, needed: impl Iterator<Item = &'a str>) -> Result<(), Unfit> {
        // Flexible, because a row of another length is to be reported here like any other bad row.
        let end = Cell::new(ROW_BYTES_MAX);
        let rows = Bounded { bytes, read: 0, end: &end };
        let mut reader =
            ReaderBuilder::new().delimiter(format.delimiter()).flexible(true).trim(Trim::All).from_reader(rows);
        let too_long = |line| ImportError::RowTooLong { file: self.name.clone(), line, max: ROW_BYTES_MAX };
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) if is_too_long(&error) => return Err(too_long(1).into()),
            Err(error) => return Err(error.into()),
        };
        if header.len() > COLUMNS_MAX {
            let (file, max) = (self.name.clone(), COLUMNS_MAX as u64);
            return Err(ImportError::TooLarge { file, what: "columns", max }.into());
        }
        self.columns = columns(&self.name, &header, needed)?;
        let mut lines = Lines { bytes, read: 0, line: 1 };
        let mut record = StringRecord::new();
        loop {
            // Where the record will begin; what the reader itself calls its line depends on how lines end.
            let start = reader.position().byte();
            end.set(usize::try_from(start).unwrap_or(usize::MAX).saturating_add(ROW_BYTES_MAX));
            match reader.read_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let line = lines.line_at(start);
                    let (found, expected) = (record.len(), header.len());
                    if found != expected {
                        self.broken.push((line, format!("the row has {found} columns, and the header has {expected}")));
                    } else if record.iter().any(|cell| cell.len() > CELL_BYTES_MAX) {
                        self.broken.push((line, format!("a cell has more than {CELL_BYTES_MAX} bytes")));
                    } else {
                        self.records.push((line, record.clone()));
                    }
                }
                Err(error) if is_too_long(&error) => {
                    let (file, line) = (self.name.clone(), lines.line_at(start));
                    return Err(ImportError::RowTooLong { file, line, max: ROW_BYTES_MAX }.into());
                }
                Err(error) if matches!(error.kind(), ErrorKind::Utf8 { .. }) => {
                    self.broken.push((lines.line_at(start), "the row is not UTF-8: save the file as UTF-8".into()));
                }
                Err(error) => return Err(error.into()),
            }
            if self.len() > FILE_ROWS_MAX {
                let error = ImportError::TooLarge { file: self.name.clone(), what: "rows", max: FILE_ROWS_MAX };
                return Err(error.into());
            }
        }
    }
}

/// Opens a plain file that lies in the folder, wherever links lead; none where it does not. A pipe or a device would be waited
/// for, or have no end.
fn open_within(folder: &Path, path: &Path) -> io::Result<Option<File>> {
    let path = path.canonicalize()?;
    if !path.starts_with(folder.canonicalize()?) || !fs::metadata(&path)?.is_file() {
        return Ok(None);
    }
    let file = File::open(&path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Bytes up to where the row that is read must have ended.
struct Bounded<'a> {
    bytes: &'a [u8],
    read: usize,
    end: &'a Cell<usize>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.get(self.read..).unwrap_or_default();
        let allowed = left.get(..self.end.get().saturating_sub(self.read)).unwrap_or(left);
        if allowed.is_empty() && !left.is_empty() && !buffer.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = { allowed }.read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

fn is_too_long(error: &csv::Error) -> bool {
    matches!(error.kind(), ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge)
}

enum Unfit {
    Csv(csv::Error),
    Import(ImportError),
}

impl From<csv::Error> for Unfit {
    fn from(error: csv::Error) -> Self {
        Self::Csv(error)
    }
}

impl From<ImportError> for Unfit {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

fn columns<'a>(
    file: &str,
    header: &StringRecord,
    needed: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, usize>, ImportError> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, column) in header.iter().enumerate() {
        places.entry(column).or_default().push(index);
    }
    let mut columns = HashMap::new();
    for column in needed {
        let found = match places.get(column).map(Vec::as_slice) {
            Some([index]) => {
                columns.insert(column.to_owned(), *index);
                continue;
            }
            Some(_) => "more than one",
            None => "no",
        };
        let columns = header.iter().map(ToOwned::to_owned).collect();
        return Err(ImportError::Column { file: file.into(), column: column.into(), found, columns });
    }
    Ok(columns)
}

/// Counts lines along with the reader. The reader leaves the second half of a line break, and blank lines, to the record
/// that follows them; a person looks for a row where its text begins.
struct Lines<'a> {
    bytes: &'a [u8],
    read: usize,
    line: u64,
}

impl Lines<'_> {
    fn line_at(&mut self, start: u64) -> u64 {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let (skipped, ahead) = rest.split_at_checked(start.saturating_sub(self.read)).unwrap_or((rest, &[]));
        let breaks = ahead.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = skipped.iter().chain(ahead.iter().take(breaks));
        self.line += passed.filter(|byte| **byte == b'\n').count() as u64;
        self.read += skipped.len() + breaks;
        self.line
    }
}
