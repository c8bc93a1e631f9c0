//! results.csv: one row for each finished trial, rebuilt from the trials, so that it cannot drift from them.

use std::fs;
use std::path::Path;

use super::config::Config;
use super::folder::FolderError;
use super::metrics::{Metrics, MetricsError};
use super::names::{is_hash_of, named_hash};
use super::source::resolved;
use super::trial::TrialError;
use crate::files::{self, FileError};

/// A finished trial as its folder tells of it.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The trial's name.
    pub trial: String,
    /// Its resolved config.
    pub config: Config,
    /// Its metrics.
    pub metrics: Metrics,
}

impl Finished {
    /// Reads a finished trial; none where the folder holds no metrics.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>, TrialError> {
        let metrics = folder.join("metrics.csv");
        if !metrics.exists() {
            return Ok(None);
        }
        let trial = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let config = resolved(folder)?;
        // A trial's name ends in the hash of its config; a folder that the user named does not.
        if named_hash(&trial).is_some_and(|hash| !is_hash_of(hash, &config)) {
            return Err(FolderError::OtherConfig(folder.to_owned()).into());
        }
        Ok(Some(Self { trial, config, metrics: Metrics::read(&metrics)? }))
    }

    /// The finished trials in the folders inside this one, by name.
    ///
    /// # Errors
    /// When the folder can't be read or a file is damaged.
    pub fn read_all(experiment: &Path) -> Result<Vec<Self>, TrialError> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(experiment).map_err(FileError::at("read", experiment))? {
            folders.push(entry.map_err(FileError::at("read", experiment))?.path());
        }
        folders.sort();
        let mut finished = Vec::new();
        for folder in folders {
            finished.extend(Self::read(&folder)?);
        }
        Ok(finished)
    }
}

/// Finished trials as CSV: name, every key of the config, every metric.
///
/// # Errors
/// When a value can't be written as CSV.
pub fn to_csv(finished: &[Finished]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut headed = false;
    for Finished { trial, config, metrics } in finished {
        let (keys, values): (Vec<String>, Vec<String>) = config.flat().into_iter().unzip();
        let [header, row] = metrics.records()?;
        if !headed {
            writer.write_record(std::iter::once("trial".to_owned()).chain(keys).chain(header))?;
            headed = true;
        }
        writer.write_record(std::iter::once(trial.clone()).chain(values).chain(row))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Rebuilds an experiment's results.csv from its trials; returns how many it holds.
///
/// # Errors
/// When a trial's files are damaged or the file can't be written.
pub fn rebuild(experiment: &Path) -> Result<usize, TrialError> {
    let finished = Finished::read_all(experiment)?;
    let path = experiment.join("results.csv");
    let damaged = |error: csv::Error| MetricsError::Format { path: path.clone(), reason: error.to_string() };
    let text = to_csv(&finished).map_err(damaged)?;
    files::replace_text(&path, &text)?;
    Ok(finished.len())
}
