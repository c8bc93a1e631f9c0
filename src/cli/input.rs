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
            let file = spool(io::stdin().lock()).map_err(FileError::at("read", &name))?;
            (name, file)
        } else {
            files::check_readable(path)?;
            let file = File::open(path).map_err(FileError::at("read", path))?;
            let is_file = file.metadata().map_err(FileError::at("read", path))?.is_file();
            let file = if is_file { file } else { spool(file).map_err(FileError::at("read", path))? };
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

fn spool(mut input: impl io::Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    Ok(file)
}
