//! Files of conditions as commands read them: twice, so that nothing is written before all is checked.

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::{Path, PathBuf};

use super::is_standard_stream;
use crate::dates::Lines;
use crate::files::{self, FileError};

/// An input that can be read from its start again.
#[derive(Debug)]
pub struct Input {
    name: PathBuf,
    file: File,
}

impl Input {
    /// Opens a file, or takes in standard input (`-`) or a pipe by way of a temporary file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let (name, file) = if is_standard_stream(path) {
            let name = PathBuf::from("standard input");
            let file = spool(io::stdin().lock(), &name)?;
            (name, file)
        } else {
            files::check_readable(path)?;
            let file = File::open(path).map_err(FileError::at("read", path))?;
            let is_file = file.metadata().map_err(FileError::at("read", path))?.is_file();
            let file = if is_file { file } else { spool(file, path)? };
            (path.to_owned(), file)
        };
        Ok(Self { name, file })
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        self.name.display().to_string()
    }

    /// Adds the input's name to an error of reading it.
    pub fn failed(&self) -> impl FnOnce(io::Error) -> FileError + use<> {
        FileError::at("read", &self.name)
    }

    /// Its lines, from the first.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn lines(&mut self) -> Result<Lines<BufReader<&File>>, FileError> {
        self.file.rewind().map_err(FileError::at("read", &self.name))?;
        Ok(Lines::new(BufReader::with_capacity(1 << 16, &self.file)))
    }
}

/// A temporary file that holds what an input gives, up to its end.
fn spool(mut input: impl io::Read, name: &Path) -> Result<File, FileError> {
    let folder = std::env::temp_dir();
    // The error of one without a name does not say where it was to lie.
    let mut file = tempfile::tempfile_in(&folder).map_err(|error| {
        FileError::at("make a temporary file in", &folder)(io::Error::other(format!(
            "{error}; set TMPDIR to a folder that can be written to"
        )))
    })?;
    let mut part = vec![0; 1 << 16];
    loop {
        match input.read(&mut part) {
            Ok(0) => return Ok(file),
            Ok(length) => io::Write::write_all(&mut file, &part[..length])
                .map_err(FileError::at("write a temporary file in", &folder))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::at("read", name)(error)),
        }
    }
}
