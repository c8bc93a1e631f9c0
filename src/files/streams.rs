//! Paths that stand for something to write to as it is: open descriptors (/dev/stdout, /dev/fd/3), pipes and devices.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use super::{FileError, LINKS};

/// The open pipe, device or descriptor that a path stands for, whose place nothing may take; none for a file, or the
/// place of one. Nothing is cut off: it goes on where its other writers stand.
///
/// # Errors
/// When it can't be opened.
pub fn stream(path: &Path) -> Result<Option<File>, FileError> {
    let opened = match descriptor(path) {
        Some(Descriptor::Own(number)) => duplicate(number, path).map(Some),
        Some(Descriptor::Other) => OpenOptions::new().append(true).open(path).map(Some),
        None if fs::metadata(path).is_ok_and(|place| !place.is_file()) => {
            OpenOptions::new().write(true).open(path).map(Some)
        }
        None => Ok(None),
    };
    opened.map_err(FileError::at("write", path))
}

/// Whether a path stands for this process's standard output.
pub fn is_standard_output(path: &Path) -> bool {
    matches!(descriptor(path), Some(Descriptor::Own(1)))
}

/// An open file that a path leads to by its number.
#[derive(Debug, PartialEq, Eq)]
enum Descriptor {
    /// Of this process.
    Own(i32),
    /// Of another process.
    Other,
}

/// The descriptor that a path leads to, by way of links or not.
fn descriptor(path: &Path) -> Option<Descriptor> {
    let mut place = path.to_owned();
    for _ in 0..LINKS {
        let folder = place.parent().and_then(|folder| folder.canonicalize().ok());
        if let Some(process) = folder.as_deref().and_then(process_of) {
            let number = place.file_name()?.to_str()?.parse().ok()?;
            let own = process.is_none_or(|process| process == std::process::id());
            return Some(if own { Descriptor::Own(number) } else { Descriptor::Other });
        }
        let target = fs::read_link(&place).ok()?;
        place = place.parent().unwrap_or(Path::new("")).join(target);
    }
    None
}

/// The process whose open files this folder lists, where it is such a folder; without a number for that of whoever
/// looks.
fn process_of(folder: &Path) -> Option<Option<u32>> {
    let parts: Vec<&str> = folder.components().map(|part| part.as_os_str().to_str()).collect::<Option<_>>()?;
    let root = Component::RootDir.as_os_str().to_str()?;
    match parts.as_slice() {
        [first, "proc", process, "fd"] | [first, "proc", process, "task", _, "fd"] if *first == root => {
            process.parse().ok().map(Some)
        }
        [first, "dev", "fd"] if *first == root => Some(None),
        _ => None,
    }
}

/// Another descriptor of the same open file: it shares the place in it, which a file opened anew would not.
fn duplicate(number: i32, path: &Path) -> io::Result<File> {
    let owned = match number {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        number => return duplicate_of(number, path),
    };
    owned.map(File::from)
}

#[cfg(target_os = "linux")]
fn duplicate_of(number: i32, path: &Path) -> io::Result<File> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let found = pidfd_open(getpid(), PidfdFlags::empty())
        .and_then(|process| pidfd_getfd(process, number, PidfdGetfdFlags::empty()));
    match found {
        Ok(file) => Ok(File::from(file)),
        Err(rustix::io::Errno::BADF) => Err(rustix::io::Errno::BADF.into()),
        // An old or closed-off system.
        Err(_) => opened_again(path),
    }
}

#[cfg(not(target_os = "linux"))]
fn duplicate_of(_: i32, path: &Path) -> io::Result<File> {
    opened_again(path)
}

/// Opens what is not a file by its path; of a file the place would be lost.
fn opened_again(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return Err(io::Error::other("this descriptor of a file can't be shared here; name the file, or use -"));
    }
    OpenOptions::new().write(true).open(path)
}

/// Where a path leads by way of links, also where nothing is there yet.
pub(super) fn linked(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&place) else { break };
        place = place.parent().unwrap_or(Path::new("")).join(target);
    }
    place
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn descriptors_are_known_by_every_name() {
        for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1"] {
            assert!(is_standard_output(Path::new(path)), "{path}");
        }
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
        assert!(is_standard_output(&link));
        assert_eq!(descriptor(Path::new("/proc/1/fd/1")), Some(Descriptor::Other));
        for path in ["/dev/null", "/dev/stderr", "/tmp/1", "1", "/dev/fd/x"] {
            assert!(!is_standard_output(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_descriptor_of_a_file_is_written_to_where_it_stands() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"old, ").unwrap();
        let path = format!("/dev/fd/{}", file.as_raw_fd());
        crate::files::replace_text(Path::new(&path), "new").unwrap();
        file.write_all(b", after").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "old, new, after");
        let closed = stream(Path::new("/dev/fd/987")).unwrap_err().to_string();
        assert!(closed.contains("/dev/fd/987"), "{closed}");
    }
}
