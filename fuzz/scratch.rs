//! Where the children write their inputs, and where each notes what it is at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
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

/// How many mutated inputs of each target a child has parsed and how many were accepted, in the order of
/// [`Target::ALL`], and by how many bytes it grew.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    targets: BTreeMap<usize, (u64, u64)>,
    pub growth: u64,
}

impl Counts {
    pub fn count(&mut self, target: Target, accepted: bool) {
        let counts = self.targets.entry(target as usize).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(accepted));
    }

    pub fn of(&self, target: Target) -> (u64, u64) {
        self.targets.get(&(target as usize)).copied().unwrap_or_default()
    }

    pub fn add(&mut self, other: &Self) {
        for (target, (parsed, accepted)) in &other.targets {
            let counts = self.targets.entry(*target).or_default();
            *counts = (counts.0 + parsed, counts.1 + accepted);
        }
        self.growth = self.growth.max(other.growth);
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = format!("{}\n", self.growth);
        for (target, (parsed, accepted)) in &self.targets {
            text += &format!("{target} {parsed} {accepted}\n");
        }
        Ok(fs::write(path, text)?)
    }

    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)?;
        let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let (growth, targets) = numbers.split_first().context("an empty file of counts")?;
        let targets = targets.chunks_exact(3).map(|counts| (counts[0] as usize, (counts[1], counts[2])));
        Ok(Self { targets: targets.collect(), growth: *growth })
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

    pub fn counts_of(&self, job: u64) -> PathBuf {
        Self::counts_in(&self.path, job)
    }

    /// Where a child leaves its counts.
    pub fn counts_in(root: &Path, job: u64) -> PathBuf {
        root.join(format!("counts{job}"))
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
