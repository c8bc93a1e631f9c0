//! Where the children write their inputs, and where each notes what it is at.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::targets::Target;

/// An input of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub target: Target,
    pub number: u64,
}

impl Place {
    /// What a child has noted last.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes: [u8; 9] = fs::read(path).ok()?.try_into().ok()?;
        let number = u64::from_le_bytes(bytes[1..].try_into().ok()?);
        Some(Self { target: *Target::ALL.get(usize::from(bytes[0]))?, number })
    }
}

/// A folder in memory, where there is one: every input is a file, and flushed to disk as runs flush theirs.
pub struct Scratch {
    path: PathBuf,
    place: Option<File>,
    // Removed with the value that made it.
    _made: Option<TempDir>,
}

impl Scratch {
    pub fn new() -> std::io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let made = made.or_else(|_| tempfile::tempdir())?;
        Ok(Self { path: made.path().to_owned(), place: None, _made: Some(made) })
    }

    /// A child's own part of the leader's folder.
    pub fn within(root: &Path, job: u64) -> std::io::Result<Self> {
        let path = root.join(format!("files{job}"));
        fs::create_dir_all(&path)?;
        Ok(Self { path, place: Some(File::create(place_in(root, job))?), _made: None })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn place_of(&self, job: u64) -> PathBuf {
        place_in(&self.path, job)
    }

    /// Notes what comes next, so that the leader knows what a child died of.
    pub fn note(&self, place: Place) -> std::io::Result<()> {
        let mut bytes = [0; 9];
        bytes[0] = place.target as u8;
        bytes[1..].copy_from_slice(&place.number.to_le_bytes());
        self.place.as_ref().map_or(Ok(()), |file| file.write_all_at(&bytes, 0))
    }
}

fn place_in(root: &Path, job: u64) -> PathBuf {
    root.join(format!("place{job}"))
}
