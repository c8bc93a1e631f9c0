//! Files that are never half written: written beside their place, flushed to disk, then renamed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file operation that failed, with the file and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{}", remedy(.source))]
pub struct FileError {
    /// What was tried: read, write, ...
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; check its permissions or choose another place",
        io::ErrorKind::StorageFull => "; free some room and run the same command again",
        io::ErrorKind::IsADirectory => "; it is a folder, name a file",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a place that can be written to",
        io::ErrorKind::AlreadyExists => "; a file has that name, choose another place",
        io::ErrorKind::NotADirectory => "; a part of the path is a file, check the path",
        io::ErrorKind::InvalidData => "; it is no text, name another file",
        io::ErrorKind::FileTooLarge => "; it is too large for what it should be, name another file",
        _ => "",
    }
}

impl FileError {
    /// Adds action and path to an error of the system.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

/// Replaces a file: `write` fills a partial file beside it, which is flushed to disk and renamed.
/// Where `write` fails, the partial file is removed and what stood in the place stays.
///
/// # Errors
/// Those of `write`, and of the file system.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), FileError> {
    if path.is_dir() {
        return Err(FileError::at("write", path)(io::ErrorKind::IsADirectory.into()));
    }
    // A device or a pipe, such as /dev/null, takes what is written and must not be replaced.
    if fs::metadata(path).is_ok_and(|place| !place.is_file()) {
        return write(path).map_err(FileError::at("write", path));
    }
    let partial = partial_path(path);
    let written =
        write(&partial).and_then(|()| File::open(&partial)?.sync_all()).and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // The partial file may never have been made; the error that matters is the first one.
        let _ = fs::remove_file(&partial);
        FileError::at("write", path)(error)
    })
}

/// Replaces a file by this text.
///
/// # Errors
/// Those of the file system.
pub fn replace_text(path: &Path, text: &str) -> Result<(), FileError> {
    replace(path, |partial| fs::write(partial, text))
}

/// Where a file is written before it is renamed: hidden, beside its place, and another each time.
pub fn partial_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Processes of several machines that share a folder may have the same id.
    let moment = jiff::Timestamp::now().subsec_nanosecond();
    path.with_file_name(format!(".{name}.{}-{moment}.partial", std::process::id()))
}

/// No text that is read as a whole, a config or a table, comes near this many bytes.
const LARGEST_TEXT: u64 = 256 << 20;
/// Nor do the weights of the largest model.
const LARGEST: u64 = 8 << 30;

/// Reads a whole file.
///
/// # Errors
/// Those of the file system, and when it is larger than 8 GiB.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    read_at_most(path, LARGEST)
}

/// Reads a whole file as text.
///
/// # Errors
/// Those of the file system, when it is no UTF-8, and when it is larger than 256 MiB.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    let text = String::from_utf8(read_at_most(path, LARGEST_TEXT)?);
    text.map_err(|_| FileError::at("read", path)(io::ErrorKind::InvalidData.into()))
}

fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let read = || {
        let file = File::open(path)?;
        // A device such as /dev/zero has no end, and no size to judge it by.
        let most = if file.metadata()?.is_file() { most } else { most.min(LARGEST_TEXT) };
        let mut bytes = Vec::new();
        let length = file.take(most + 1).read_to_end(&mut bytes)?;
        if length as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    };
    read().map_err(FileError::at("read", path))
}

/// Makes a folder and those above it.
///
/// # Errors
/// Those of the file system.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::at("make the folder", path))
}

/// Checks that a file can be opened, for readers whose own errors don't name it.
///
/// # Errors
/// Those of the file system.
pub fn check_readable(path: &Path) -> Result<(), FileError> {
    let found = File::open(path).and_then(|file| file.metadata()).map_err(FileError::at("read", path))?;
    if found.is_dir() { Err(FileError::at("read", path)(io::ErrorKind::IsADirectory.into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        replace_text(Path::new("/dev/null"), "text").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace_text(&path, "old").unwrap();
        let failed = replace(&path, |partial| {
            fs::write(partial, "ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.unwrap_err().to_string().ends_with("free some room and run the same command again"));
        assert_eq!(read_text(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let error = replace_text(folder.path(), "").unwrap_err().to_string();
        assert!(error.contains("it is a folder, name a file"), "{error}");
        assert!(check_readable(folder.path()).unwrap_err().to_string().contains("it is a folder"));
    }
}
