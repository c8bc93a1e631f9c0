//! Reading records of CSV or of Parquet, with errors in the words of a table.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read, Take};
use std::path::Path;
use std::rc::Rc;

use super::{TableError, parquet};
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// Opens a file for reading.
///
/// # Errors
/// When it can't be read.
pub(crate) fn open(path: &Path) -> Result<impl Read + use<>, FileError> {
    files::check_regular(path)?;
    Ok(BufReader::with_capacity(1 << 18, File::open(path).map_err(FileError::at("read", path))?))
}

/// What is read ahead, and the rest of it.
type Text<R> = Chain<Cursor<Vec<u8>>, Take<R>>;

/// CSV as it is; Parquet, which its first bytes tell, as CSV.
fn text<R: Read>(mut source: R, path: &Path) -> Result<Text<R>, TableError> {
    let failed = |error| TableError::File(FileError::at("read", path)(error));
    let mut head = Vec::new();
    source.by_ref().take(parquet::MAGIC.len() as u64).read_to_end(&mut head).map_err(failed)?;
    if [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| head.starts_with(*mark)) {
        let problem = "UTF-16 text; convert the file, as with iconv -f UTF-16 -t UTF-8".to_owned();
        return Err(TableError::Format { path: path.to_owned(), line: 1, problem });
    }
    if head != parquet::MAGIC {
        return Ok(Cursor::new(head).chain(source.take(u64::MAX)));
    }
    source.read_to_end(&mut head).map_err(failed)?;
    let text = parquet::to_csv(&head).map_err(|problem| {
        let code = "import pandas, sys; pandas.read_parquet(sys.argv[1]).to_csv(sys.argv[2], index=False)";
        let remedy = format!("else convert it to CSV, as with python3 -c '{code}' {} table.csv", path.shown());
        TableError::Format { path: path.to_owned(), line: 0, problem: format!("{problem}; {remedy}") }
    })?;
    Ok(Cursor::new(text).chain(source.take(0)))
}

/// Counts the quotes that go through it.
struct Counted<R> {
    inner: R,
    quotes: Rc<Cell<usize>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.quotes.set(self.quotes.get() + bytes[..count].iter().filter(|byte| **byte == b'"').count());
        Ok(count)
    }
}

/// Records of a table with a header.
pub struct Records<'a, R> {
    reader: csv::Reader<Counted<Text<R>>>,
    quotes: Rc<Cell<usize>>,
    path: &'a Path,
    /// Names of the columns.
    pub names: Vec<String>,
    record: csv::ByteRecord,
}

impl<'a, R: Read> Records<'a, R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it is none: empty, with empty or repeated names, or not UTF-8.
    pub fn new(source: R, path: &'a Path) -> Result<Self, TableError> {
        let quotes = Rc::new(Cell::new(0));
        let source = Counted { inner: text(source, path)?, quotes: Rc::clone(&quotes) };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
        let header = reader.byte_headers().map_err(|error| fault(path, &error))?.clone();
        let wrong = |problem: String| TableError::Format { path: path.to_owned(), line: 1, problem };
        let mut names = Vec::new();
        for (place, name) in header.iter().enumerate() {
            let name = name.strip_prefix(b"\xef\xbb\xbf").filter(|_| place == 0).unwrap_or(name);
            let name = std::str::from_utf8(name).map_err(|_| wrong(format!("the header is {NOT_UTF8}")))?;
            names.push(name.trim().to_owned());
        }
        // A field of several lines is one whose quotes are not closed, as good as always.
        if let Some(name) = names.iter().find(|name| name.contains('\n')) {
            let begin = name.lines().next().unwrap_or_default();
            return Err(wrong(format!(
                "the quotes around {begin:?} are not closed on this line; close or remove them"
            )));
        }
        if names.is_empty() {
            return Err(wrong("the file is empty; the first line must name the columns".to_owned()));
        }
        if let (1, Some(mark)) = (names.len(), names[0].chars().find(|mark| [';', '\t', '|'].contains(mark))) {
            return Err(wrong(format!("one column, with {mark:?} in its name; fields must be separated by commas")));
        }
        if let Some(place) = names.iter().position(String::is_empty) {
            return Err(wrong(format!("column {} has no name; give it one in the header", place + 1)));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(wrong(format!("two columns are called {twice:?}; rename one of them")));
        }
        Ok(Self { reader, quotes, path, names, record: csv::ByteRecord::new() })
    }

    /// The next record, with its line; none at the end.
    ///
    /// # Errors
    /// When it has another number of fields than the header, can't be read, or ends within quotes.
    pub fn read(&mut self) -> Result<Option<(&csv::ByteRecord, u64)>, TableError> {
        let before = self.record.position().map_or(1, csv::Position::line);
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| fault(self.path, &error))?;
        let line = self.record.position().map_or(0, csv::Position::line);
        // Quotes come in pairs. A field whose quotes are not closed would take the rest of the file in.
        if !more && !self.quotes.get().is_multiple_of(2) {
            return Err(self.wrong(before, UNCLOSED.to_owned()));
        }
        Ok(more.then_some((&self.record, line)))
    }

    /// An error of a row.
    pub fn wrong(&self, line: u64, problem: String) -> TableError {
        TableError::Format { path: self.path.to_owned(), line, problem }
    }
}

/// What a quote without another one is.
const UNCLOSED: &str =
    "a quote is not closed, here or in a line before; close or remove it, and write \"\" for a quote within quotes";
/// What text of another encoding is.
pub const NOT_UTF8: &str = "not UTF-8 text; convert the file, as with iconv -f LATIN1 -t UTF-8";

fn fault(path: &Path, error: &csv::Error) -> TableError {
    let line = error.position().map_or(0, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let quotes = "a comma within a field needs quotes around the field";
            format!("{len} fields where the header has {expected_len}; {quotes}")
        }
        csv::ErrorKind::Io(error) => {
            return FileError::at("read", path)(std::io::Error::new(error.kind(), error.to_string())).into();
        }
        _ => error.to_string(),
    };
    TableError::Format { path: path.to_owned(), line, problem }
}
