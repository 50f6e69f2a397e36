//! CSV files: rows with the line on which an editor shows them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read, Seek as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

use super::{
    ImportError,
    mapping::{Aliases, Format},
};

/// Bytes of one file.
pub(crate) const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Rows of one file. The import keeps about sixty bytes for each, to find duplicates and to report what became of the row.
pub(crate) const FILE_ROWS_MAX: u64 = 1_000_000;

/// Columns of a file.
pub(crate) const COLUMNS_MAX: usize = 1_000;
/// Bytes of a row. The reader keeps where each cell of it ends, which is eight times as much.
pub(crate) const ROW_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a cell: as many as the data of an event has.
pub(crate) const CELL_BYTES_MAX: usize = 64 * 1024;

/// A file by its place in the report.
pub(super) type FileId = usize;

/// A file with the columns that the mapping needs. Its rows stay in the file, which is read again each time they are needed.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) file: FileId,
    pub(super) name: String,
    path: PathBuf,
    opened: File,
    /// Its length, and when it was written last.
    written: (u64, SystemTime),
    delimiter: u8,
    columns: HashMap<String, usize>,
    aliases: Aliases,
}

/// What begins on a line of the file: a row of the table, or the reason why it is not one.
#[derive(Debug)]
pub(super) struct Found {
    /// Which one of the file, from 1.
    pub(super) number: u64,
    /// The line of the file on which it begins; the header is on line 1.
    pub(super) line: u64,
    record: Result<StringRecord, String>,
}

impl Found {
    /// The row, if it is whole; else what is wrong with it.
    pub(super) fn row<'t>(&'t self, table: &'t Table) -> Result<Row<'t>, &'t str> {
        let record = self.record.as_ref().map_err(String::as_str)?;
        Ok(Row { table, record, line: self.line })
    }
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

    /// The file that it is in.
    pub(super) fn file(&self) -> FileId {
        self.table.file
    }

    /// What stands in a column, as the file has it.
    pub(super) fn raw(&self, column: &str) -> &'t str {
        self.table.columns.get(column).and_then(|index| self.record.get(*index)).unwrap_or_default()
    }
}

impl Table {
    /// Opens a file and checks that it has the columns in `needed`.
    pub(super) fn open<'a>(
        folder: &Path,
        (file, name): (FileId, &str),
        format: &Format,
        aliases: &'a Aliases,
        needed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ImportError> {
        let path = folder.join(name);
        let unreadable = |source| ImportError::File { path: path.clone(), source };
        let Some(opened) = open_within(folder, &path).map_err(unreadable)? else {
            return Err(ImportError::Elsewhere { file: name.into() });
        };
        let written = written(&opened).map_err(unreadable)?;
        if written.0 > FILE_BYTES_MAX {
            return Err(ImportError::TooLarge { file: name.into(), what: "bytes", max: FILE_BYTES_MAX });
        }
        let mut table = Self {
            file,
            name: name.to_owned(),
            path,
            opened,
            written,
            delimiter: format.delimiter(),
            columns: HashMap::new(),
            aliases: aliases.clone(),
        };
        let header = table.rows()?.header;
        table.columns = columns(name, &header, needed.into_iter().chain(aliases.keys().map(String::as_str)))?;
        Ok(table)
    }

    /// Reads everything after the header, row by row. All readings share one file position, so finish one before you start the
    /// next.
    pub(super) fn rows(&self) -> Result<Rows<'_>, ImportError> {
        let mut file = &self.opened;
        file.rewind().map_err(|source| self.unreadable(source))?;
        // Flexible, because a row of another length is to be reported like any other bad row.
        let source = Source { file: BufReader::new(file), read: 0, end: ROW_BYTES_MAX as u64, breaks: VecDeque::new() };
        let reader = ReaderBuilder::new().delimiter(self.delimiter).flexible(true).trim(Trim::All).from_reader(source);
        let (header, lines) = (StringRecord::new(), Lines { passed: 0, line: 1 });
        let mut rows = Rows { table: self, reader, header, lines, rows: 0, ended: false };
        rows.read_header()?;
        Ok(rows)
    }

    /// Refuses a file that was written to since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), ImportError> {
        let written = written(&self.opened).map_err(|source| self.unreadable(source))?;
        if written == self.written { Ok(()) } else { Err(ImportError::Changed { file: self.name.clone() }) }
    }

    fn unreadable(&self, source: io::Error) -> ImportError {
        ImportError::File { path: self.path.clone(), source }
    }
}

/// The rows of a file, one after another. After an error there are no more.
pub(super) struct Rows<'t> {
    table: &'t Table,
    reader: csv::Reader<Source<'t>>,
    header: StringRecord,
    lines: Lines,
    rows: u64,
    ended: bool,
}

impl Rows<'_> {
    fn read_header(&mut self) -> Result<(), ImportError> {
        self.header = match self.reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(self.error(error, 0)),
        };
        if self.header.len() > COLUMNS_MAX {
            let (file, max) = (self.table.name.clone(), COLUMNS_MAX as u64);
            return Err(ImportError::TooLarge { file, what: "columns", max });
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Found>, ImportError> {
        let columns = self.header.len();
        // Where the record will begin; what the reader itself calls its line depends on how lines end.
        let start = self.reader.position().byte();
        self.reader.get_mut().end = start.saturating_add(ROW_BYTES_MAX as u64);
        let mut record = StringRecord::new();
        let record = match self.reader.read_record(&mut record) {
            Ok(false) => return Ok(None),
            Ok(true) if record.len() != columns => {
                Err(format!("the row has {} columns, and the header has {columns}", record.len()))
            }
            Ok(true) if record.iter().any(|cell| cell.len() > CELL_BYTES_MAX) => {
                Err(format!("a cell has more than {CELL_BYTES_MAX} bytes"))
            }
            Ok(true) => Ok(record),
            Err(error) if matches!(error.kind(), ErrorKind::Utf8 { .. }) => {
                Err("the row is not UTF-8: save the file as UTF-8".into())
            }
            Err(error) => return Err(self.error(error, start)),
        };
        self.rows += 1;
        if self.rows > FILE_ROWS_MAX {
            let file = self.table.name.clone();
            return Err(ImportError::TooLarge { file, what: "rows", max: FILE_ROWS_MAX });
        }
        Ok(Some(Found { number: self.rows, line: self.line_at(start), record }))
    }

    fn line_at(&mut self, start: u64) -> u64 {
        self.lines.line_at(start, &mut self.reader.get_mut().breaks)
    }

    fn error(&mut self, error: csv::Error, start: u64) -> ImportError {
        if matches!(error.kind(), ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge) {
            let (file, line) = (self.table.name.clone(), self.line_at(start));
            return ImportError::RowTooLong { file, line, max: ROW_BYTES_MAX };
        }
        self.table.unreadable(io::Error::other(error))
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Found, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn written(file: &File) -> io::Result<(u64, SystemTime)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified()?))
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

/// The bytes of a file, up to the last place where the current row may end.
struct Source<'t> {
    file: BufReader<&'t File>,
    read: u64,
    end: u64,
    /// Line breaks that were read and not passed yet, with their places.
    breaks: VecDeque<(u64, u8)>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.fill_buf()?;
        let allowed = usize::try_from(self.end.saturating_sub(self.read)).unwrap_or(usize::MAX);
        let allowed = left.get(..allowed).unwrap_or(left);
        if allowed.is_empty() && !left.is_empty() && !buffer.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = { allowed }.read(buffer)?;
        self.file.consume(read);
        let places = (self.read..).zip(buffer.get(..read).unwrap_or_default());
        self.breaks
            .extend(places.filter(|(_, byte)| matches!(byte, b'\r' | b'\n')).map(|(place, byte)| (place, *byte)));
        self.read += read as u64;
        Ok(read)
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
struct Lines {
    passed: u64,
    line: u64,
}

impl Lines {
    fn line_at(&mut self, start: u64, breaks: &mut VecDeque<(u64, u8)>) -> u64 {
        self.passed = self.passed.max(start);
        while let Some((place, byte)) = breaks.front().copied()
            && place <= self.passed
        {
            breaks.pop_front();
            let is_half = byte == b'\r' && breaks.front() == Some(&(place + 1, b'\n'));
            self.line += u64::from(!is_half);
            // A line break right at the start: the text begins after it.
            self.passed += u64::from(place == self.passed);
        }
        self.line
    }
}
