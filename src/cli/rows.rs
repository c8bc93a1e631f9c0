//! Tables of rows as commands read and write them: CSV with a header.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::exit::BadInput;
use super::input::Input;
use super::{closed, is_standard_stream, output};
use crate::files::{self, FileError};
use crate::task::table::{Records, TableError};

/// A table in memory.
pub struct Rows {
    /// What messages call it.
    pub name: String,
    /// Names of its columns.
    pub names: Vec<String>,
    /// Its records, with their lines.
    pub records: Vec<(csv::ByteRecord, u64)>,
}

impl Rows {
    /// Reads a file, or standard input (`-`).
    ///
    /// # Errors
    /// When it can't be read, is no table, or has no rows.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let input = Input::open(path)?;
        let name = input.name();
        let refused = |error: TableError| match error {
            TableError::File(error) => anyhow::Error::from(error),
            error => BadInput(error.to_string()).into(),
        };
        let mut reader = Records::new(input.reader(), Path::new(&name)).map_err(refused)?;
        let mut records = Vec::new();
        while let Some((record, line)) = reader.read().map_err(refused)? {
            records.push((record.clone(), line));
        }
        if records.is_empty() {
            return Err(BadInput(format!("{name} holds no rows below its header")).into());
        }
        Ok(Self { name: name.clone(), names: reader.names, records })
    }
}

/// Writes to a file, which is replaced, to a pipe, or to standard output (`-`). Returns whether all of it was read.
///
/// # Errors
/// When it can't be written.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<bool> {
    if is_standard_stream(path) || files::is_standard_output(path) {
        let mut out = BufWriter::new(output::stdout());
        let written = closed::check().and_then(|()| fill(&mut out)).and_then(|()| out.flush());
        return match written {
            // A reader that has seen enough, such as `head`, is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                drop(out.into_parts());
                Ok(false)
            }
            written => Ok(written.map(|()| true).map_err(output::stdout_failed())?),
        };
    }
    let write = |file: File| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        fill(&mut out)?;
        out.flush()
    };
    match files::stream(path)? {
        Some(stream) => write(stream).map_err(FileError::at("write", path))?,
        None => files::replace(path, |partial| write(File::create(partial)?))?,
    }
    Ok(true)
}
