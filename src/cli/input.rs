//! Files of lines as commands read them: once, or twice, so that nothing is written before all is checked. Each is
//! opened once, since what a pipe gave is gone.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::exit::BadInput;
use super::is_standard_stream;
use crate::dates::Lines;
use crate::files::FileError;
use crate::printable::ShownPath;

/// An open input.
#[derive(Debug)]
pub struct Input {
    name: PathBuf,
    file: File,
    kind: Kind,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file with a size, which can be read again.
    File,
    /// A pipe or a terminal, or standard input, whatever that is.
    Stream,
    /// A device, of which many have no end.
    Device,
}

/// What a device may give before it is taken for one without an end.
const DEVICE: u64 = 1 << 20;
/// The longest line, be it a bad one, before an input is taken for no text.
const LINE: u64 = 64 << 20;
/// What a temporary file, or memory, may hold: some hundred million lines.
const MOST: u64 = 4 << 30;

impl Input {
    /// Opens a file, a pipe, or standard input (`-`), to be read once.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path) -> Result<Self, BadInput> {
        let (name, standard) = match is_standard_stream(path) {
            true => (PathBuf::from("standard input"), true),
            false => (path.to_owned(), false),
        };
        let open = || {
            let file = if standard { File::from(io::stdin().as_fd().try_clone_to_owned()?) } else { File::open(path)? };
            let found = file.metadata()?.file_type();
            let kind = match found {
                _ if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
                _ if found.is_file() && !standard => Kind::File,
                _ if found.is_char_device() && !file.is_terminal() || found.is_block_device() => Kind::Device,
                _ => Kind::Stream,
            };
            Ok((file, kind))
        };
        let (file, kind) = open().map_err(|error| BadInput(FileError::at("read", &name)(error).to_string()))?;
        Ok(Self { name, file, kind })
    }

    /// The same, to be read several times: what is no file is taken in by way of a temporary one.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open_for_rereading(path: &Path) -> anyhow::Result<Self> {
        let mut input = Self::open(path)?;
        if input.kind != Kind::File {
            input.file = spool(&mut Limited::new(&input.file, input.kind, MOST), &input.name)?;
            input.kind = Kind::File;
        }
        Ok(input)
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        self.name.shown().to_string()
    }

    /// Adds the input's name to an error of reading it.
    pub fn failed(&self) -> impl Fn(io::Error) -> FileError + use<> {
        FileError::at("read", &self.name)
    }

    /// Its bytes, up to 4 GiB of them: for what is held in memory.
    pub fn reader(self) -> impl Read {
        BufReader::with_capacity(1 << 18, Limited::new(self.file, self.kind, MOST))
    }

    /// Its lines; those of a file from the first.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn lines(&mut self) -> Result<Lines<impl io::BufRead + '_>, FileError> {
        if self.kind == Kind::File {
            self.file.rewind().map_err(FileError::at("read", &self.name))?;
        }
        let limited = Limited::new(&self.file, self.kind, u64::MAX);
        Ok(Lines::new(BufReader::with_capacity(1 << 16, limited)))
    }
}

/// Something to read that ends with an error where it turns out to be no text of lines.
struct Limited<R> {
    inner: R,
    kind: Kind,
    most: u64,
    read: u64,
    /// Bytes since the last end of a line.
    line: u64,
}

impl<R: Read> Limited<R> {
    fn new(inner: R, kind: Kind, most: u64) -> Self {
        Self { inner, kind, most, read: 0, line: 0 }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        self.line = match buffer[..length].iter().rposition(|byte| *byte == b'\n') {
            Some(end) => (length - end - 1) as u64,
            None => self.line + length as u64,
        };
        let problem = match self.kind {
            Kind::Device if self.read > DEVICE => "it is a device without an end, name a file",
            _ if self.line > LINE => "a line of it has no end, name a file of lines",
            _ if self.read > self.most => "it goes on beyond 4 GiB; name a file, or less of it",
            _ => return Ok(length),
        };
        Err(io::Error::other(problem))
    }
}

/// A temporary file that holds what an input gives, up to its end.
fn spool(input: &mut impl Read, name: &Path) -> Result<File, FileError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of an endless input of this byte before it is given up.
    fn given_up(byte: u8, kind: Kind, most: u64) -> (u64, String) {
        let mut limited = Limited::new(io::repeat(byte), kind, most);
        let error = io::copy(&mut limited, &mut io::sink()).unwrap_err();
        (limited.read, error.to_string())
    }

    #[test]
    fn inputs_without_an_end_are_given_up() {
        let (read, said) = given_up(0, Kind::Device, u64::MAX);
        assert!(read < 2 * DEVICE && said.contains("a device without an end"), "{read} {said}");
        let (read, said) = given_up(b'x', Kind::Stream, u64::MAX);
        assert!(read < 2 * LINE && said.contains("a line of it has no end"), "{read} {said}");
        let (read, said) = given_up(b'\n', Kind::Stream, 1 << 20);
        assert!(read < 2 << 20 && said.contains("goes on beyond 4 GiB"), "{read} {said}");
    }
}
