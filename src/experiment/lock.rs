//! The lock on a trial's folder, which keeps two processes apart and is freed by the system when its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::files::FileError;

/// Set to `off` where the file system has no locks: then nothing keeps two processes apart.
const MODE: &str = "CVAE_LOCKS";

/// A lock that is held as long as the value lives; without a file where locks are switched off.
#[derive(Debug)]
pub struct Lock {
    // Held, not read: the system frees the lock with the file, even when the process is killed.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock of this file; none where another process holds it.
    ///
    /// # Errors
    /// When the file can't be made or opened, or the file system has no locks.
    pub fn take(path: &Path) -> Result<Option<Self>, FileError> {
        is_there(path)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path);
        let file = file.map_err(FileError::at("open", path))?;
        if is_off() {
            return Ok(Some(Self { _file: None }));
        }
        // Whoever asks for the trial's status holds the lock for an instant.
        for _ in 0..5 {
            if !held(file.try_lock(), path)? {
                return Ok(Some(Self { _file: Some(file) }));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(None)
    }

    /// Whether a process holds the lock of this file, which need not be there. Nobody holds what is not a file.
    ///
    /// # Errors
    /// When it can't be read or the file system has no locks.
    pub fn is_held(path: &Path) -> Result<bool, FileError> {
        if path.metadata().is_ok_and(|found| !found.is_file()) || !is_there(path)? {
            return Ok(false);
        }
        // For reading: whoever may look at a trial may ask who runs it.
        let file = File::open(path).map_err(FileError::at("read", path))?;
        if is_off() { Ok(false) } else { held(file.try_lock_shared(), path) }
    }
}

/// Whether there is such a file.
fn is_there(path: &Path) -> Result<bool, FileError> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A pipe would hang, or be locked by nobody.
        Ok(found) if !found.is_file() => {
            Err(FileError::at("read", path)(io::Error::other("it is not a file; remove it")))
        }
        found => found.map_err(FileError::at("read", path)).map(|_| true),
    }
}

/// Checks that CVAE_LOCKS, where it is set, has a value that is known.
///
/// # Errors
/// Where it says something else.
pub fn check_lock_mode() -> Result<(), String> {
    match std::env::var_os(MODE) {
        Some(mode) if !["", "on", "off"].iter().any(|known| mode == *known) => {
            Err(format!("{MODE} is {:?} in the environment; set it to off where there are no locks, or unset it", mode))
        }
        _ => Ok(()),
    }
}

fn is_off() -> bool {
    std::env::var_os(MODE).is_some_and(|mode| mode == "off")
}

/// What an attempt says about other holders.
fn held(attempt: Result<(), TryLockError>, path: &Path) -> Result<bool, FileError> {
    match attempt {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(FileError::at("lock", path)(io::Error::other(format!(
            "{error}; choose a folder on a file system with locks, or set {MODE}=off and never let two processes run \
             one trial"
        )))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_cannot_be_had_is_an_error_and_not_another_process() {
        let path = Path::new("trial/lock");
        assert!(!held(Ok(()), path).unwrap());
        assert!(held(Err(TryLockError::WouldBlock), path).unwrap());
        // ENOLCK of NFS without its lock daemon.
        let error = held(Err(TryLockError::Error(io::Error::from_raw_os_error(37))), path).unwrap_err().to_string();
        assert!(error.starts_with("cannot lock trial/lock: ") && error.contains("set CVAE_LOCKS=off"), "{error}");
    }

    #[test]
    fn whoever_may_read_a_lock_may_ask_for_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!Lock::is_held(&path).unwrap());
        let lock = Lock::take(&path).unwrap().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(Lock::is_held(&path).unwrap());
        drop(lock);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(!Lock::is_held(&path).unwrap());
        assert!(Lock::take(&path).unwrap_err().to_string().contains("it is not a file"));
    }
}
