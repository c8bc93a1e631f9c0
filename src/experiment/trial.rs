//! Running one trial in its folder, and loading what it left.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::config::{Config, ConfigError};
use super::engine::engine_of;
use super::folder::{FolderError, RELEASE_WEIGHTS, RunFolder, TRIAL_WEIGHTS};
use super::log::Logged;
use super::metrics::{Metrics, MetricsError};
use super::source::resolved;
use crate::checksums::SUMS;
use crate::dates::{Condition, Split, SplitError, ValidDates};
use crate::files::{self, FileError};
use crate::metrics::TableError;
use crate::model::{EngineError, Model, WeightsError};
use crate::task::dates;
use crate::training::{Ending, Observer, Phase, Progress, Row, Schedule, Trainer, TrainingError};

/// How a trial ended.
#[derive(Debug)]
pub enum TrialEnding {
    /// It is done.
    Finished(Box<Metrics>),
    /// It was stopped after this step and can be taken up.
    Interrupted(u64),
}

/// Why a trial failed.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A config or weights in a folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its data.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Training.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Its metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A table of results.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder without weights.
    #[error(
        "{} holds no weights: neither {RELEASE_WEIGHTS} nor {TRIAL_WEIGHTS}; name a release or a finished run",
        .0.display()
    )]
    NoWeights(PathBuf),
    /// A folder with the weights of a release and of a trial: one config can't be that of both.
    #[error(
        "{} holds both {RELEASE_WEIGHTS} and {TRIAL_WEIGHTS}; remove the one that is not of its config.toml",
        .0.display()
    )]
    TwoWeights(PathBuf),
    /// An invariant of this program did not hold.
    #[error("training broke down: {0}; with too little memory, lower training.batch_size or model.hidden_dim")]
    Panicked(String),
    /// Its engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The first line of what a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    text.lines().next().unwrap_or(text).chars().take(400).collect()
}

/// Trains a config in its folder, from where an earlier process left it; a finished trial is not repeated.
///
/// # Errors
/// When the folder can't be used or training fails; the reason is kept in the folder's error.txt.
pub fn run_trial(folder: &RunFolder, config: &Config, observer: &mut impl Observer) -> Result<TrialEnding, TrialError> {
    if folder.metrics().exists() {
        // The process that finished it may have been killed before it cleaned up.
        folder.clean()?;
        return Ok(TrialEnding::Finished(Box::new(Metrics::read(&folder.metrics())?)));
    }
    // What an earlier attempt died of is history once another one begins, and so are the checksums of one that
    // was killed before its metrics were there.
    for stale in [folder.error(), folder.path().join(SUMS)] {
        if stale.exists() {
            std::fs::remove_file(&stale).map_err(FileError::at("remove", &stale))?;
        }
    }
    let mut observer = Logged::new(observer, &folder.log())?;
    let training = AssertUnwindSafe(|| train(folder, config, &mut observer));
    // A panic is a fault of this program; the trial's folder says so, and other trials go on.
    let ending = catch_unwind(training).unwrap_or_else(|panic| Err(TrialError::Panicked(panic_message(&*panic))));
    match &ending {
        Ok(TrialEnding::Finished(_)) => observer.note("finished"),
        Ok(TrialEnding::Interrupted(step)) => observer.note(&format!("interrupted after step {step}")),
        Err(error) => {
            observer.note(&format!("failed: {error}"));
            // Where it can't be written, a full disk is as likely as not the very reason, and is told in any case.
            let _ = files::replace_text(&folder.error(), &format!("{error}\n"));
        }
    }
    ending
}

fn train<O: Observer>(
    folder: &RunFolder,
    config: &Config,
    observer: &mut Logged<'_, O>,
) -> Result<TrialEnding, TrialError> {
    let valid = ValidDates::new();
    let split = Split::new(&valid, config.data.split, config.data.held_out, config.data.seed)?;
    let files = (folder.history(), folder.checkpoint());
    let files = (files.0.as_path(), files.1.as_path());
    let mut trainer = Trainer::new(config.training(), config.model, (&valid, &split), engine_of(config)?, files)?;
    let on = trainer.device();
    observer.note(&match trainer.step() {
        0 => format!("started on {on}"),
        step => format!("resumed after step {step} on {on}"),
    });
    let evaluation = match trainer.run(observer)? {
        Ending::Interrupted(step) => return Ok(TrialEnding::Interrupted(step)),
        Ending::Finished(evaluation) => evaluation,
    };
    trainer.model().save(&folder.model())?;
    let test_conditions: Vec<Condition> = split.test.iter().map(|date| Condition::of(*date)).collect();
    let floor = valid.mean_entropy(&test_conditions);
    let metrics = Metrics::new(trainer.phase(), trainer.seconds(), floor, &evaluation);
    metrics.write(&folder.metrics(), &["config.toml", "history.csv", TRIAL_WEIGHTS])?;
    folder.clean()?;
    Ok(TrialEnding::Finished(Box::new(metrics)))
}

/// Seconds that a training step of this config takes on this machine, timed over a few.
///
/// # Errors
/// When the config can't be trained here.
pub fn step_seconds(config: &Config) -> Result<f64, TrialError> {
    const STEPS: u64 = 12;
    let scratch = tempfile::tempdir().map_err(FileError::at("make a folder in", &std::env::temp_dir()))?;
    let mut training = config.training();
    training.training.steps = STEPS;
    (training.evaluation.every, training.evaluation.final_samples) = (STEPS, 1);
    // The terms of the last phase from the start: those that most steps of a run compute.
    training.beta.schedule = Schedule::Constant;
    let valid = ValidDates::new();
    let split = Split::new(&valid, config.data.split, config.data.held_out, config.data.seed)?;
    let files = (scratch.path().join("history.csv"), scratch.path().join("checkpoint.safetensors"));
    let files = (files.0.as_path(), files.1.as_path());
    let mut trainer = Trainer::new(training, config.model, (&valid, &split), engine_of(config)?, files)?;
    trainer.run(&mut Silent)?;
    Ok(trainer.seconds() / STEPS as f64)
}

/// Nobody listens.
struct Silent;

impl Observer for Silent {
    fn step(&mut self, _: Progress) {}
    fn phase(&mut self, _: u64, _: Phase) {}
    fn evaluating(&mut self, _: f64) {}
    fn evaluated(&mut self, _: &Row) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// The weights of a release or a finished trial in this folder.
///
/// # Errors
/// When there are none, or those of both.
pub fn weights_file(folder: &Path) -> Result<PathBuf, TrialError> {
    let (release, trial) = (folder.join(RELEASE_WEIGHTS), folder.join(TRIAL_WEIGHTS));
    match (release.exists(), trial.exists()) {
        (true, true) => Err(TrialError::TwoWeights(folder.to_owned())),
        (true, false) => Ok(release),
        (false, true) => Ok(trial),
        (false, false) => Err(TrialError::NoWeights(folder.to_owned())),
    }
}

/// Loads the model of a finished trial or a release: a folder with config.toml and weights, which a release
/// calls cvae.safetensors and a trial model.safetensors.
///
/// # Errors
/// When a file is missing or damaged, or the two don't fit each other.
pub fn load_model(folder: &Path) -> Result<(Model, Config), TrialError> {
    let config = resolved(folder)?;
    let model = Model::load(config.model, dates::schema(), &weights_file(folder)?)?;
    Ok((model, config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_a_release_or_of_a_trial_and_never_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let error = weights_file(folder.path()).unwrap_err().to_string();
        assert!(error.contains("neither cvae.safetensors nor model.safetensors"), "{error}");
        for name in [TRIAL_WEIGHTS, RELEASE_WEIGHTS] {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert_eq!(weights_file(folder.path()).unwrap(), path);
            std::fs::remove_file(path).unwrap();
        }
        for name in [TRIAL_WEIGHTS, RELEASE_WEIGHTS] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(matches!(weights_file(folder.path()), Err(TrialError::TwoWeights(_))));
    }
}
