//! Moving trials to the names that they have by meaning, from those that earlier versions gave them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::config::ConfigError;
use super::folder::{RunFolder, Status};
use super::identity::Identity;
use super::names::{is_hash_of, named_hash, trial_names};
use super::results::rebuild;
use super::source::resolved;
use super::trial::TrialError;
use super::{Config, legacy};
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// What is to be done in one experiment's folder.
#[derive(Clone, Debug)]
pub struct Moves {
    /// The folder.
    pub experiment: PathBuf,
    /// Old and new names of the trials that move.
    pub renamed: Vec<(String, String)>,
    /// How many trials have their name already.
    pub kept: usize,
    /// Whether results.csv has names that no folder has, or will have none.
    pub stale: bool,
}

/// Why nothing is moved in an experiment.
#[derive(Debug, thiserror::Error)]
pub enum MovesError {
    /// A folder that can't be read or renamed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A config in a trial's folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A trial that can't be read once it has moved.
    #[error(transparent)]
    Trial(Box<TrialError>),
    /// A process writes to it.
    #[error("{} is running; wait for it to end, or end it", .0.shown())]
    Running(PathBuf),
    /// The name says another config than the folder holds.
    #[error(
        "the name of {} does not belong to its config.toml, which was edited or is of an older version; \
         rename the folder to something without a hash, or remove it",
        .0.shown()
    )]
    Stranger(PathBuf),
    /// Two folders would have one name.
    #[error("{} and {} are the same trial; remove one of them", .0.shown(), .1.shown())]
    Same(PathBuf, PathBuf),
    /// Rebuilding results.csv would lose rows.
    #[error(
        "{} has a row of {trial}, which has no folder; it is rebuilt from the folders, so move it out of the way first",
        .path.shown()
    )]
    Orphan {
        /// The results.csv.
        path: PathBuf,
        /// The trial of the row.
        trial: String,
    },
}

/// What is to be moved in a folder of trials, and so many levels below it.
///
/// # Errors
/// When a folder can't be read, or a trial must not be moved.
pub fn plan_moves(path: &Path, levels: usize) -> Result<Vec<Moves>, MovesError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).map_err(FileError::at("read", path))? {
        folders.push(entry.map_err(FileError::at("read", path))?.path());
    }
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    let mut trials: Vec<(String, Config)> = Vec::new();
    for folder in folders.iter().filter(|folder| folder.join("config.toml").is_file()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A folder that its user named keeps its name.
        let Some(hash) = named_hash(&name) else { continue };
        let config = resolved(folder)?;
        if !is_hash_of(hash, &config) {
            return Err(MovesError::Stranger(folder.clone()));
        }
        trials.push((name, config));
    }
    let mut all = Vec::new();
    if !trials.is_empty() {
        all.push(Moves::among(path, &trials)?);
    } else if levels > 0 {
        for folder in &folders {
            all.extend(plan_moves(folder, levels - 1)?);
        }
    }
    Ok(all)
}

impl From<TrialError> for MovesError {
    fn from(error: TrialError) -> Self {
        Self::Trial(Box::new(error))
    }
}

impl Moves {
    fn among(experiment: &Path, trials: &[(String, Config)]) -> Result<Self, MovesError> {
        let identities: Vec<Identity> = trials.iter().map(|(_, config)| config.identity()).collect();
        let mut renamed = Vec::new();
        let mut seen = HashMap::with_capacity(trials.len());
        for ((old, _), (identity, new)) in trials.iter().zip(identities.iter().zip(trial_names(&identities))) {
            if let Some(first) = seen.insert(identity.number(), old) {
                return Err(MovesError::Same(experiment.join(first), experiment.join(old)));
            }
            if named_hash(old) != Some(&identity.hash()) {
                if RunFolder::status(&experiment.join(old))? == Status::Running {
                    return Err(MovesError::Running(experiment.join(old)));
                }
                renamed.push((old.clone(), new));
            }
        }
        let stale = stale(experiment, trials)?;
        Ok(Self { experiment: experiment.to_owned(), kept: trials.len() - renamed.len(), renamed, stale })
    }

    /// Renames the folders and rebuilds results.csv; done again after it was interrupted, it goes on from there.
    ///
    /// # Errors
    /// Those of the file system, and when a trial's files are damaged.
    pub fn apply(&self) -> Result<(), MovesError> {
        for (old, new) in &self.renamed {
            let from = self.experiment.join(old);
            fs::rename(&from, self.experiment.join(new)).map_err(FileError::at("rename", &from))?;
        }
        if self.stale {
            rebuild(&self.experiment)?;
        }
        Ok(())
    }
}

/// Whether an experiment's results.csv has rows under names that its trials will not have.
fn stale(experiment: &Path, trials: &[(String, Config)]) -> Result<bool, MovesError> {
    let path = experiment.join("results.csv");
    if !path.exists() {
        return Ok(false);
    }
    let folders: HashSet<&str> = trials.iter().map(|(name, _)| name.as_str()).collect();
    // Under an old name as well, where the folder has moved and the table has not been rebuilt.
    let hashes: HashSet<String> = trials.iter().flat_map(|(_, config)| [config.hash(), legacy::hash(config)]).collect();
    let current: HashSet<String> = trials.iter().map(|(_, config)| config.hash()).collect();
    let mut stale = false;
    for row in csv::Reader::from_reader(files::read_text(&path)?.as_bytes()).records().flatten() {
        let trial = row.get(0).unwrap_or_default();
        let hash = named_hash(trial).unwrap_or(trial);
        if !folders.contains(trial) && !hashes.contains(hash) && !experiment.join(trial).is_dir() {
            return Err(MovesError::Orphan { path, trial: trial.to_owned() });
        }
        stale |= hashes.contains(hash) && !current.contains(hash);
    }
    Ok(stale)
}
