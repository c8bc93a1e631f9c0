//! Experiments as their folders tell of them: every trial, whatever became of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::config::ConfigFile;
use super::source::resolved;
use super::table::{Table, TableError};
use super::trial::{TrialError, weights_file};
use crate::files::{self, FileError};

/// What became of a trial.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It finished; its metrics are a table of one row.
    Finished(Table),
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
    /// Its folder, where it has one: a row of results.csv may be all that is left of it.
    pub folder: Option<PathBuf>,
    /// Every key of its config.
    pub config: Vec<(String, String)>,
    /// What became of it.
    pub outcome: Outcome,
}

/// A folder of trials.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its trials, by name.
    pub trials: Vec<RunTrial>,
}

impl RunTrial {
    /// Reads the trial in a folder; none where the folder holds no config.
    ///
    /// # Errors
    /// When a file is damaged.
    fn read(folder: &Path) -> Result<Option<Self>, TrialError> {
        if !folder.join("config.toml").is_file() {
            return Ok(None);
        }
        let config = resolved(folder)?.flat();
        let (metrics, error) = (folder.join("metrics.csv"), folder.join("error.txt"));
        let outcome = if metrics.exists() {
            let table = Table::read(&metrics)?;
            if table.is_empty() {
                return Err(TableError::Format { path: metrics, reason: "it has no row".to_owned() }.into());
            }
            Outcome::Finished(table)
        } else if error.exists() {
            Outcome::Failed(files::read_text(&error)?.trim().to_owned())
        } else {
            Outcome::Unfinished
        };
        Ok(Some(Self { name: name_of(folder), folder: Some(folder.to_owned()), config, outcome }))
    }

    /// Checks a row of results.csv against what the folder of this trial says.
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
        for column in own.header().iter().filter(|column| listed.has(column)) {
            let value = |table: &Table| -> Result<String, TableError> {
                Ok(table.texts(column)?.next().unwrap_or_default().to_owned())
            };
            let (expected, found) = (value(own)?, value(listed)?);
            if !alike(&expected, &found) {
                return Err(stale(column, &found, &expected));
            }
        }
        Ok(())
    }

    /// The value of a key of its config.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Its metrics, where it finished.
    pub fn metrics(&self) -> Option<&Table> {
        match &self.outcome {
            Outcome::Finished(table) => Some(table),
            _ => None,
        }
    }

    /// Its history, where it has one with rows.
    ///
    /// # Errors
    /// When the file is damaged, which a checksum tells where the trial has finished.
    pub fn history(&self) -> Result<Option<Table>, TrialError> {
        let path = self.folder.as_ref().map(|folder| folder.join("history.csv"));
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(None) };
        Ok(Some(Table::read(&path)?).filter(|table| !table.is_empty()))
    }

    /// The folder, where it holds weights.
    pub fn weights(&self) -> Option<&Path> {
        self.folder.as_deref().filter(|folder| weights_file(folder).is_ok())
    }
}

impl Run {
    /// The folders of trials at a path: a trial's own, an experiment's, or those of the experiments inside.
    ///
    /// # Errors
    /// When a folder can't be read or a file is damaged.
    pub fn find(path: &Path) -> Result<Vec<Self>, TrialError> {
        if let Some(trial) = RunTrial::read(path)? {
            return Ok(vec![Self { name: name_of(path), folder: path.to_owned(), trials: vec![trial] }]);
        }
        let mut folders = Vec::new();
        for entry in fs::read_dir(path).map_err(FileError::at("read", path))? {
            folders.push(entry.map_err(FileError::at("read", path))?.path());
        }
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        let mut trials = Vec::new();
        for folder in &folders {
            trials.extend(RunTrial::read(folder)?);
        }
        let results = path.join("results.csv");
        if results.exists() {
            for row in rows(&Table::read(&results)?)? {
                match trials.iter().find(|trial| trial.name == row.name) {
                    Some(trial) => trial.confirm(&row, &results)?,
                    None => trials.push(row),
                }
            }
        }
        if !trials.is_empty() {
            return Ok(vec![Self { name: name_of(path), folder: path.to_owned(), trials }]);
        }
        let mut runs = Vec::new();
        for folder in &folders {
            runs.extend(Self::find(folder)?);
        }
        Ok(runs)
    }
}

/// Whether two cells say the same, as text or as numbers.
fn alike(left: &str, right: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    left == right || number(left).zip(number(right)).is_some_and(|(left, right)| left == right)
}

/// The trials of a results.csv.
fn rows(table: &Table) -> Result<Vec<RunTrial>, TableError> {
    let names: Vec<String> = table.texts("trial")?.map(str::to_owned).collect();
    let defaults = ConfigFile::default().check().map(|config| config.flat()).unwrap_or_default();
    let trial = |(row, name): (usize, String)| {
        let table = table.row(row);
        // A key that is newer than the table had its default, which keeps what was there before it.
        let value = |(key, default): &(String, String)| {
            let given = if table.has(key) { table.texts(key)?.next().map(str::to_owned) } else { None };
            Ok((key.clone(), given.unwrap_or_else(|| default.clone())))
        };
        let config = defaults.iter().map(value).collect::<Result<_, TableError>>()?;
        Ok(RunTrial { name, folder: None, config, outcome: Outcome::Finished(table) })
    };
    names.into_iter().enumerate().map(trial).collect()
}

fn name_of(folder: &Path) -> String {
    // Of `.` or `..` only the full path knows the name.
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    full.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}
