//! Results in the formats of other tools: tables as Parquet or JSON lines, curves as TensorBoard's event files.
//!
//! Both tables have a fixed, typed set of columns, those of the registry of measures and of the config's keys; what a
//! trial lacks is null. A new measure or key needs nothing here.

mod jsonl;
mod parquet;
mod table;
mod tensorboard;

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

pub use table::{Cell, Column, Kind, Measures};

use crate::checksums::ChecksumPolicy;
use crate::experiment::{Reading, RunTrial, TrialError, trial_folders};
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// A format that results can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A folder of event files for each trial, with its config as hyperparameters.
    Tensorboard,
    /// history.parquet and trials.parquet.
    Parquet,
    /// history.jsonl and trials.jsonl.
    Jsonl,
}

/// What an export has written.
#[derive(Debug, Default)]
pub struct Exported {
    /// Trials written.
    pub trials: usize,
    /// Evaluations written.
    pub rows: usize,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

/// Histories and metrics must match their checksums where a folder has any.
const READING: Reading = Reading { demand: ChecksumPolicy::WithSums, histories: true, results: false };

/// An export that can be brought up to date again and again.
#[derive(Debug)]
pub struct Export {
    roots: Vec<PathBuf>,
    folder: PathBuf,
    format: Format,
    /// What each trial's files looked like when they were last exported.
    seen: std::collections::HashMap<PathBuf, u64>,
    events: tensorboard::Written,
}

impl Export {
    /// An export of the trials in these folders into this one.
    pub fn new(roots: Vec<PathBuf>, folder: PathBuf, format: Format) -> Self {
        let (seen, events) = Default::default();
        Self { roots, folder, format, seen, events }
    }

    /// Writes what is new since the last time: event files are extended, tables are replaced. None where nothing is.
    ///
    /// # Errors
    /// When a file can't be written. Trials that can't be read are left out and named.
    pub fn update(&mut self) -> Result<Option<Exported>, FileError> {
        let found = trial_folders(&self.roots);
        let now = found.iter().map(|(_, folder)| (folder.clone(), fingerprint(folder))).collect();
        let before = std::mem::replace(&mut self.seen, now);
        if self.seen == before {
            return Ok(None);
        }
        files::make_folder(&self.folder)?;
        match self.format {
            Format::Tensorboard => {
                let is_new = |folder: &PathBuf| before.get(folder) != self.seen.get(folder);
                let mut changed = Trials::new(found.into_iter().filter(|(_, folder)| is_new(folder)).collect());
                let (folder, events) = (&self.folder, &mut self.events);
                let measures = Measures::of(changed.0.iter().map(|(_, folder)| folder.as_path()));
                changed.each(|experiment, trial| events.update(folder, &measures, experiment, trial)).map(Some)
            }
            Format::Parquet => self.tables::<parquet::Writer>(Trials::new(found)).map(Some),
            Format::Jsonl => self.tables::<jsonl::Writer>(Trials::new(found)).map(Some),
        }
    }

    /// Writes both tables beside their places, then renames them.
    fn tables<W: table::TableWriter>(&self, mut trials: Trials) -> Result<Exported, FileError> {
        let path = |name: &str| self.folder.join(format!("{name}.{}", W::EXTENSION));
        let measures = Measures::of(trials.0.iter().map(|(_, folder)| folder.as_path()));
        let mut exported = Exported::default();
        table::replace::<W>(&path("history"), table::history_columns(&measures), |history| {
            table::replace::<W>(&path("trials"), table::trial_columns(&measures), |all| {
                let written = trials.each(|experiment, trial| {
                    all.row(table::trial_row(&measures, experiment, trial))?;
                    table::history_rows(&measures, experiment, trial).try_for_each(|row| history.row(row))?;
                    Ok(trial.history.len())
                });
                exported = written?;
                Ok(())
            })
        })?;
        Ok(exported)
    }
}

/// Trials, read one after the other: thousands of histories are never in memory together.
struct Trials(Vec<(String, PathBuf)>);

impl Trials {
    fn new(folders: Vec<(String, PathBuf)>) -> Self {
        Self(folders)
    }

    /// Calls back with each trial and the name of its experiment; adds up the rows that were written.
    fn each(
        &mut self,
        mut write: impl FnMut(&str, &RunTrial) -> Result<usize, FileError>,
    ) -> Result<Exported, FileError> {
        let mut exported = Exported::default();
        let mut names = HashSet::new();
        for (experiment, folder) in &self.0 {
            let skipped = match RunTrial::read(folder, READING) {
                Ok(Some(trial)) if names.insert((experiment, trial.name.clone())) => {
                    exported.trials += 1;
                    exported.rows += write(experiment, &trial)?;
                    continue;
                }
                Ok(Some(_)) => "another trial has the same name and experiment".to_owned(),
                // It was removed a moment ago.
                Ok(None) => continue,
                Err(TrialError::File(error)) if error.cause.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => error.to_string(),
            };
            exported.skipped.push(format!("{} is left out: {skipped}", folder.shown()));
        }
        Ok(exported)
    }
}

/// What tells whether the files that are exported have changed: their sizes and times.
fn fingerprint(folder: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for name in ["config.toml", "history.csv", "metrics.csv", "error.txt"] {
        let found = fs::metadata(folder.join(name)).ok();
        found.map(|found| (found.len(), found.modified().ok())).hash(&mut hasher);
    }
    hasher.finish()
}
