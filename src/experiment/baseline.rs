//! Trials of baselines: counted and measured at once, with the run folder of any other trial but for weights.

use super::config::Config;
use super::folder::RunFolder;
use super::metrics::Metrics;
use super::trial::TrialError;
use crate::metrics::Measure;
use crate::task::Truth;
use crate::training::{History, Observer, Phase, TrainingError, TrialData, count_baseline};

/// Counts the training rows of a trial and writes its history and metrics; `floor` is the entropy of its test rows.
pub(super) fn run_baseline(
    (folder, config): (&RunFolder, &Config),
    train: &Truth,
    (data, floor): (&TrialData<'_>, f64),
    observer: &mut impl Observer,
) -> Result<Metrics, TrialError> {
    let budget = (config.evaluation.final_samples, config.threads as usize);
    let counted = count_baseline(&config.model, train, data, budget)
        .ok_or_else(|| TrialError::Panicked("the data have no conditions".to_owned()))?;
    let given = train.schema().given.iter().map(|column| column.name.as_str());
    let mut history = History::begin(&folder.history(), &Measure::of_history(given)).map_err(TrainingError::from)?;
    history.append(&counted.row).map_err(TrainingError::from)?;
    observer.evaluated(&counted.row);
    let metrics = Metrics::new(Phase::Align, counted.seconds, floor, &counted.evaluation);
    metrics.write(&folder.metrics(), &["config.toml", "history.csv"])?;
    folder.clean(config.training.keep_checkpoint)?;
    Ok(metrics)
}
