//! Experiments as their folders describe them: every trial, whether it finished, failed or still runs.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::config_file::ConfigFile;
use super::folder::FolderError;
use super::metrics::Metrics;
use super::names::{is_hash_of, named_hash};
use super::provenance::Provenance;
use super::source::resolved;
use super::trial::{TrialError, weights_file};
use crate::checksums::{self, ChecksumPolicy};
use crate::files::{self, FileError};
use crate::metrics::{Measure, Row, Table, TableError};
use crate::printable::ShownPath;

/// The state of a trial.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It finished with these metrics.
    Finished(Metrics),
    /// It failed or diverged, for this reason.
    Failed(String),
    /// It has neither metrics nor an error: it runs, or is to be resumed.
    Unfinished,
}

/// A trial.
#[derive(Clone, Debug)]
pub struct RunTrial {
    /// Its name.
    pub name: String,
    /// Its folder; none where a row of results.csv is all that is left of it.
    pub folder: Option<PathBuf>,
    /// Every key of its config.
    pub config: Vec<(String, String)>,
    /// What it was trained with, where its config says so.
    pub provenance: Option<Provenance>,
    /// Its state.
    pub outcome: Outcome,
    /// Its evaluations, where they were asked for.
    pub history: Vec<Row>,
}

/// A folder of trials.
#[derive(Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its trials, by name.
    pub trials: Vec<RunTrial>,
    /// The trials that can't be read.
    pub skipped: Vec<Skipped>,
}

/// A trial that can't be read.
#[derive(Debug)]
pub struct Skipped {
    /// Its folder.
    pub folder: PathBuf,
    /// Why.
    pub reason: TrialError,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is left out: {}", self.folder.shown(), self.reason)
    }
}

/// What is read of trials.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Which checksums metrics must have.
    pub demand: ChecksumPolicy,
    /// Whether histories are read.
    pub histories: bool,
    /// Whether rows of results.csv stand for trials whose folders are gone.
    pub results: bool,
}

impl Reading {
    /// What tables are made of: the metrics alone, which must have checksums.
    pub const METRICS: Self = Self { demand: ChecksumPolicy::Always, histories: false, results: false };
    /// What charts are made of: everything that is there.
    pub const ALL: Self = Self { demand: ChecksumPolicy::WithSums, histories: true, results: true };
}

/// How many levels of folders may lie above a trial.
const LEVELS: usize = 3;

impl RunTrial {
    /// Reads the trial in a folder; none where the folder holds no config.
    ///
    /// # Errors
    /// When a file is damaged, or the folder's name is that of another trial.
    pub fn read(folder: &Path, reading: Reading) -> Result<Option<Self>, TrialError> {
        let (metrics, error) = (folder.join("metrics.csv"), folder.join("error.txt"));
        if !folder.join("config.toml").is_file() && !metrics.exists() {
            return Ok(None);
        }
        let (name, config) = (name_of(folder), resolved(folder)?);
        // A trial's name ends in the hash of its config; a folder that the user named does not.
        if named_hash(&name).is_some_and(|hash| !is_hash_of(hash, &config)) {
            return Err(FolderError::OtherName(folder.to_owned()).into());
        }
        let outcome = if metrics.exists() {
            Outcome::Finished(Metrics::read_with(&metrics, reading.demand)?)
        } else if error.exists() {
            Outcome::Failed(files::read_text(&error)?.trim().to_owned())
        } else {
            Outcome::Unfinished
        };
        let history = if reading.histories { history(&folder.join("history.csv"), &outcome)? } else { Vec::new() };
        let provenance = config.provenance.clone();
        Ok(Some(Self { name, folder: Some(folder.to_owned()), config: config.flat(), provenance, outcome, history }))
    }

    /// Checks a row of results.csv against the trial's own folder.
    ///
    /// # Errors
    /// When the two differ in a value that both have.
    fn confirm(&self, row: &Self, results: &Path) -> Result<(), TableError> {
        let stale = |column: &str, found: &str, expected: &str| TableError::Stale {
            path: results.to_owned(),
            trial: self.name.clone(),
            column: column.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        for (key, found) in &row.config {
            match self.value(key) {
                Some(expected) if expected != found => return Err(stale(key, found, expected)),
                _ => {}
            }
        }
        let (Some(own), Some(listed)) = (self.metrics(), row.metrics()) else { return Ok(()) };
        for measure in Measure::of_metrics([]).into_iter().filter(|measure| own.has(*measure) && listed.has(*measure)) {
            let [expected, found] = [own, listed].map(|row| row.record(&[measure]).concat());
            if expected != found {
                return Err(stale(measure.name(), &found, &expected));
            }
        }
        Ok(())
    }

    /// The value of a key of its config.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Its metrics, where it finished.
    pub fn metrics(&self) -> Option<&Metrics> {
        match &self.outcome {
            Outcome::Finished(metrics) => Some(metrics),
            _ => None,
        }
    }

    /// The folder, where it holds weights.
    pub fn weights(&self) -> Option<&Path> {
        self.folder.as_deref().filter(|folder| weights_file(folder).is_ok())
    }
}

/// The rows of a history, where there is one. The last line of a run in progress may be half written.
fn history(path: &Path, outcome: &Outcome) -> Result<Vec<Row>, TrialError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = checksums::read_text(path, ChecksumPolicy::WithSums).map_err(TableError::from)?;
    let whole = match outcome {
        Outcome::Finished(_) => text.as_str(),
        _ => text.rfind('\n').map_or("", |end| &text[..=end]),
    };
    let rows = Table::parse(path, whole)?.measures()?;
    // An evaluation that charts can't place is no evaluation.
    match rows.iter().all(|row| row.has(Measure::Epoch)) {
        true => Ok(rows),
        false => Err(TableError::Column { path: path.to_owned(), column: Measure::Epoch.name().to_owned() }.into()),
    }
}

impl Run {
    /// The folders of trials at a path: a trial's own, an experiment's, or those of the experiments inside. Trials that
    /// can't be read are set aside.
    ///
    /// # Errors
    /// When a folder can't be read, or a results.csv says otherwise than its trials.
    pub fn find(path: &Path, reading: Reading) -> Result<Vec<Self>, TrialError> {
        let mut runs = Vec::new();
        match RunTrial::read(path, reading).transpose() {
            Some(trial) => {
                let mut run = Self::of(path);
                run.add(path, trial);
                runs.push(run);
            }
            None => Self::collect(path, reading, LEVELS, &mut runs)?,
        }
        Ok(runs)
    }

    fn of(folder: &Path) -> Self {
        Self { name: name_of(folder), folder: folder.to_owned(), trials: Vec::new(), skipped: Vec::new() }
    }

    fn add(&mut self, folder: &Path, trial: Result<RunTrial, TrialError>) {
        match trial {
            Ok(trial) => self.trials.push(trial),
            Err(reason) => self.skipped.push(Skipped { folder: folder.to_owned(), reason }),
        }
    }

    fn collect(path: &Path, reading: Reading, levels: usize, runs: &mut Vec<Self>) -> Result<(), TrialError> {
        let folders = folders_in(path)?;
        let mut run = Self::of(path);
        for folder in &folders {
            if let Some(trial) = RunTrial::read(folder, reading).transpose() {
                run.add(folder, trial);
            }
        }
        let results = path.join("results.csv");
        if reading.results && results.exists() {
            let known: HashSet<String> = folders.iter().map(|folder| name_of(folder)).collect();
            // A table that can't be opened stands for itself, and the folders for the trials; one that differs from them
            // is damaged.
            let rows = match rows(&results) {
                Err(reason @ TrialError::File(_)) => {
                    run.skipped.push(Skipped { folder: results.clone(), reason });
                    Vec::new()
                }
                rows => rows?,
            };
            for row in rows {
                match run.trials.iter().find(|trial| trial.name == row.name) {
                    Some(trial) => trial.confirm(&row, &results)?,
                    // A folder that can't be read stands for itself.
                    None if known.contains(&row.name) => {}
                    None => run.trials.push(row),
                }
            }
        }
        if !run.trials.is_empty() || !run.skipped.is_empty() {
            runs.push(run);
        } else if levels > 0 {
            for folder in &folders {
                Self::collect(folder, reading, levels - 1, runs)?;
            }
        }
        Ok(())
    }
}

/// The folders inside a folder, by name.
fn folders_in(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).map_err(FileError::at("read", path))? {
        folders.push(entry.map_err(FileError::at("read", path))?.path());
    }
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    Ok(folders)
}

/// The trials of a results.csv.
fn rows(path: &Path) -> Result<Vec<RunTrial>, TrialError> {
    let table = Table::read(path, ChecksumPolicy::WithSums)?;
    // Earlier versions left the file empty while nothing had finished.
    if table.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = table.texts("trial")?.map(str::to_owned).collect();
    let defaults = ConfigFile::default().check().map(|config: Config| config.flat()).unwrap_or_default();
    let mut trials = Vec::new();
    for (place, (name, metrics)) in names.into_iter().zip(table.measures()?).enumerate() {
        let row = table.row(place);
        // A key that is newer than the table had its default, which keeps what was there before it.
        let value = |(key, default): &(String, String)| {
            let given = if row.has(key) { row.texts(key)?.next().map(str::to_owned) } else { None };
            Ok((key.clone(), given.unwrap_or_else(|| default.clone())))
        };
        let config = defaults.iter().map(value).collect::<Result<_, TableError>>()?;
        let outcome = Outcome::Finished(metrics.into());
        trials.push(RunTrial { name, folder: None, config, provenance: None, outcome, history: Vec::new() });
    }
    Ok(trials)
}

fn name_of(folder: &Path) -> String {
    // Of `.` or `..` only the full path knows the name.
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    full.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}
