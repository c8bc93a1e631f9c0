//! Files that are never half written: written beside their place, flushed to disk, then renamed.
//! What is not a file, a pipe, a device or an open descriptor, is written to as it is.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

mod streams;

use crate::printable::ShownPath;
use streams::linked;
pub use streams::{is_standard_output, stream};

/// A file operation that failed, with the file and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {}", said(.action, .cause), path = .path.shown())]
pub struct FileError {
    /// What was tried: read, write, ...
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said; it is part of the message, and no cause to be said again.
    pub cause: io::Error,
}

/// What the system said, and what to do; for what a remedy says by itself, the remedy alone.
fn said(action: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge if action != "read" => {
            "the limit on the size of files is reached; raise it (ulimit -f) and run the same command again".to_owned()
        }
        io::ErrorKind::IsADirectory => "it is a folder, name a file".to_owned(),
        io::ErrorKind::InvalidData if error.get_ref().is_none() => "it is not text, name another file".to_owned(),
        io::ErrorKind::FileTooLarge => "it is too large for what it should be, name another file".to_owned(),
        _ => format!("{error}{}", remedy(error)),
    }
}

fn remedy(error: &io::Error) -> &'static str {
    if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) {
        return "; it is closed, or open for something else; open it, as with 3> FILE";
    }
    if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) {
        return "; raise the limit on open files (ulimit -n), or run fewer trials side by side (--jobs)";
    }
    match error.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; check its permissions or choose another place",
        io::ErrorKind::StorageFull => "; free some room and run the same command again",
        io::ErrorKind::QuotaExceeded => "; free some room within your quota and run the same command again",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a place that can be written to",
        io::ErrorKind::AlreadyExists => "; a file has that name, choose another place",
        io::ErrorKind::NotADirectory => "; a folder is meant, and a part of it is a file, check the path",
        _ => "",
    }
}

impl FileError {
    /// Adds action and path to an error of the system.
    pub fn at(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |cause| Self { action, path: path.clone(), cause }
    }
}

/// An error of writing CSV as one of the system where it is that, so that a closed pipe and a full disk are known.
pub fn of_csv(error: csv::Error) -> io::Error {
    match error.is_io_error() {
        true => match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            _ => io::ErrorKind::Other.into(),
        },
        false => io::Error::other(error),
    }
}

/// Partial files that are being written, each with the file that it is to replace.
static PARTIALS: Mutex<Vec<(PathBuf, PathBuf)>> = Mutex::new(Vec::new());

fn partials() -> MutexGuard<'static, Vec<(PathBuf, PathBuf)>> {
    PARTIALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what this process has written in part; returns the files that it was for. From then on no file is
/// begun or replaced: the process is about to end.
pub fn abandon() -> Vec<PathBuf> {
    let mut partials = partials();
    let removed = partials.drain(..).filter(|(partial, _)| fs::remove_file(partial).is_ok());
    let removed = removed.map(|(_, path)| path).collect();
    std::mem::forget(partials);
    removed
}

/// Replaces a file: `write` fills a partial file beside it, which is flushed to disk and renamed.
/// Where `write` fails, the partial file is removed and what stood in the place stays. A link's file is replaced,
/// not the link, and a file keeps its permissions.
///
/// # Errors
/// Those of `write`, and of the file system.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), FileError> {
    if path.is_dir() {
        return Err(FileError::at("write", path)(io::ErrorKind::IsADirectory.into()));
    }
    if let Some(mut stream) = stream(path)? {
        let made = tempfile::NamedTempFile::new();
        let whole = made.map_err(FileError::at("make a temporary file in", &std::env::temp_dir()))?;
        let copied = write(whole.path()).and_then(|()| io::copy(&mut File::open(whole.path())?, &mut stream));
        return copied.map(drop).map_err(FileError::at("write", path));
    }
    let place = linked(path);
    sweep(&place);
    let partial = Partial::begin(&place, path);
    let kept = fs::metadata(&place).ok().map(|found| found.permissions());
    let replaced = fill(&partial.0, kept, write).and_then(|_until_renamed| {
        // Whoever ends this process holds the list, and the file stays what it was.
        let _unless_abandoned = partials();
        fs::rename(&partial.0, &place)
    });
    replaced.map_err(FileError::at("write", path))
}

/// Removes partial files of the same place whose process was killed: nobody holds their lock.
fn sweep(place: &Path) {
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Whatever can't be looked at is left where it is: it disturbs nobody.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let stale = is_partial(&entry.file_name().to_string_lossy(), &name.to_string_lossy())
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if stale && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A partial file on the list; with the value it leaves the list, and its folder where it was not renamed.
struct Partial(PathBuf);

impl Partial {
    fn begin(place: &Path, path: &Path) -> Self {
        let partial = partial_path(place);
        partials().push((partial.clone(), path.to_owned()));
        Self(partial)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        partials().retain(|(known, _)| *known != self.0);
        // It may never have been made; the error that matters is the first one.
        let _ = fs::remove_file(&self.0);
    }
}

/// Has a partial file written and flushed to disk, with the permissions of the file that it is to replace. The file is
/// locked as long as what is returned lives.
fn fill(partial: &Path, keep: Option<Permissions>, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<File> {
    // Made before it is written to, so that nobody reads meanwhile what only its owner may read.
    let mode = keep.as_ref().map_or(0o666, |keep| (keep.mode() & 0o777) | 0o600);
    let file = claim(partial, mode)?;
    write(partial)?;
    if let Some(keep) = keep
        && file.metadata()?.permissions() != keep
    {
        file.set_permissions(keep)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Makes a partial file and locks it, before anyone can take it for one that was left behind.
fn claim(partial: &Path, mode: u32) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(mode).open(partial)?;
        match file.try_lock() {
            // It is being removed this instant; another one is made.
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            // Without locks nothing that is left behind is ever removed.
            _ if partial.exists() => return Ok(file),
            _ => {}
        }
    }
}

/// More links than the system itself follows go round in a circle; opening the last tells of it.
const LINKS: usize = 40;

/// Replaces a file by this text.
///
/// # Errors
/// Those of the file system.
pub fn replace_text(path: &Path, text: &str) -> Result<(), FileError> {
    replace(path, |partial| fs::write(partial, text))
}

/// Bytes of a name that names of partial files begin with: with what follows they stay within the 255 that file systems
/// take.
const STEM: usize = 200;

/// What the names of a file's partial files begin with.
fn stem(name: &str) -> &str {
    &name[..name.floor_char_boundary(STEM)]
}

/// Where a file is written before it is renamed: hidden, beside its place, and another each time.
pub fn partial_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = stem(&name);
    // Processes of several machines that share a folder may have the same id.
    let moment = jiff::Timestamp::now().subsec_nanosecond();
    path.with_file_name(format!(".{name}.{}-{moment}.partial", std::process::id()))
}

/// Whether a file's name is that of a partial file of this one.
pub fn is_partial(name: &str, of: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let own = name.strip_prefix('.').and_then(|name| name.strip_prefix(stem(of)));
    let own = own.and_then(|name| name.strip_prefix('.'));
    let own = own.and_then(|name| name.strip_suffix(".partial")).and_then(|name| name.split_once('-'));
    own.is_some_and(|(process, moment)| digits(process) && digits(moment))
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

/// Reads a whole file that has a size: no pipe, which would have to be waited for, and no device, which may have no end.
///
/// # Errors
/// Those of the file system, when it is not a regular file, and when it is larger than `most` bytes.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    check_regular(path)?;
    let read = || {
        let file = File::open(path)?;
        if file.metadata()?.len() > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::new();
        // It may grow while it is read.
        let length = file.take(most + 1).read_to_end(&mut bytes)?;
        if length as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    };
    read().map_err(FileError::at("read", path))
}

/// Checks that there is a regular file, or a link to one: opening a pipe could hang.
///
/// # Errors
/// When there is something else, or nothing.
pub fn check_regular(path: &Path) -> Result<(), FileError> {
    let found = fs::metadata(path).map_err(FileError::at("read", path))?;
    let cause = match found {
        _ if found.is_file() => return Ok(()),
        _ if found.is_dir() => io::ErrorKind::IsADirectory.into(),
        _ => io::Error::other("it is a pipe or a device, name a regular file"),
    };
    Err(FileError::at("read", path)(cause))
}

/// Opens a regular file: a pipe in its place would have to be waited for.
///
/// # Errors
/// As [`check_regular`], and those of the file system.
pub fn open_regular(path: &Path) -> Result<File, FileError> {
    check_regular(path)?;
    File::open(path).map_err(FileError::at("read", path))
}

/// Makes a folder and those above it.
///
/// # Errors
/// Those of the file system.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::at("make the folder", path))
}

#[cfg(test)]
mod tests;
