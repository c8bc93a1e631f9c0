//! results.csv: one row for each finished trial, rebuilt from the trials, so that it cannot drift from them.

use std::path::Path;

use super::config_file::ConfigFile;
use super::metrics::{Metrics, MetricsError, columns_of};
use super::runs::{Reading, Run, RunTrial, Skipped};
use super::trial::TrialError;
use crate::files;

/// The finished ones of these trials as CSV: name, every key of the config, every metric that one of them has.
///
/// # Errors
/// When a value can't be written as CSV.
pub fn to_csv<'a>(trials: impl IntoIterator<Item = &'a RunTrial>) -> Result<String, csv::Error> {
    let finished: Vec<(&RunTrial, &Metrics)> =
        trials.into_iter().filter_map(|trial| Some((trial, trial.metrics()?))).collect();
    let mut columns = columns_of(finished.iter().map(|(_, metrics)| &***metrics));
    columns.retain(|column| finished.is_empty() || finished.iter().any(|(_, metrics)| metrics.has(*column)));
    let defaults = ConfigFile::default().check().map(|config| config.flat()).unwrap_or_default();
    let config = finished.first().map_or(&defaults, |(trial, _)| &trial.config);
    let keys: Vec<&str> = config.iter().map(|(key, _)| key.as_str()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = columns.iter().map(|column| column.name());
    writer.write_record(["trial"].into_iter().chain(keys.iter().copied()).chain(names))?;
    for (trial, metrics) in finished {
        let values = keys.iter().map(|key| trial.value(key).unwrap_or_default().to_owned());
        writer.write_record([trial.name.clone()].into_iter().chain(values).chain(metrics.record(&columns)))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a rebuilt results.csv holds.
#[derive(Debug)]
pub struct Rebuilt {
    /// Number of trials in it.
    pub finished: usize,
    /// The trials that can't be read, and are not in it.
    pub skipped: Vec<Skipped>,
}

/// Rebuilds an experiment's results.csv from its trials.
///
/// # Errors
/// When the folder can't be read or the file can't be written.
pub fn rebuild(experiment: &Path) -> Result<Rebuilt, TrialError> {
    let (mut trials, mut skipped) = (Vec::new(), Vec::new());
    for run in Run::find(experiment, Reading::METRICS)? {
        // Not those of other experiments inside.
        if run.folder == experiment {
            trials.extend(run.trials);
            skipped.extend(run.skipped);
        }
    }
    let path = experiment.join("results.csv");
    if path.exists() {
        files::check_regular(&path)?;
    }
    let damaged = |error: csv::Error| MetricsError::Format { path: path.clone(), reason: error.to_string() };
    let text = to_csv(&trials).map_err(damaged)?;
    files::replace_text(&path, &text)?;
    Ok(Rebuilt { finished: trials.iter().filter(|trial| trial.metrics().is_some()).count(), skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_of_which_nothing_has_finished_has_a_header() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(rebuild(folder.path()).unwrap().finished, 0);
        let text = files::read_text(&folder.path().join("results.csv")).unwrap();
        assert!(text.starts_with("trial,seed,") && text.contains(",greedy_pass,") && text.lines().count() == 1);
        assert!(Run::find(folder.path(), Reading::ALL).unwrap().is_empty());
        // As earlier versions left it.
        std::fs::write(folder.path().join("results.csv"), "").unwrap();
        assert!(Run::find(folder.path(), Reading::ALL).unwrap().is_empty());
    }
}
