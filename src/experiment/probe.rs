//! How long a training step of a config takes here.

use std::time::{Duration, Instant};

use super::config::Config;
use super::engine::engine_of;
use super::trial::{TrialError, prepared};
use crate::files::FileError;
use crate::training::{Every, Observer, Phase, Progress, Row, Schedule, Trainer, TrialData, TrialLoop};

/// Seconds that a training step of this config takes on this machine, timed over a few; nothing is evaluated.
///
/// # Errors
/// When the config can't be trained here.
pub fn step_seconds(config: &Config) -> Result<f64, TrialError> {
    if config.model.kind.is_baseline() {
        return Ok(0.0);
    }
    let scratch = tempfile::tempdir().map_err(FileError::at("make a folder in", &std::env::temp_dir()))?;
    let mut training = config.training();
    // It is stopped before its last step, and before an evaluation.
    training.training.steps = training.training.steps.max(u64::from(u32::MAX));
    training.evaluation.every = Every::Steps(u64::MAX);
    // The terms of the last phase from the start: those that most steps of a run compute.
    training.beta.schedule = Schedule::Constant;
    let (population, split) = prepared(&config.data)?;
    let data = TrialData::new(&population, &split);
    let files = (scratch.path().join("history.csv"), scratch.path().join("checkpoint.safetensors"));
    let files = (files.0.as_path(), files.1.as_path());
    let trial = TrialLoop::new(training, config.model, &data, config.threads as usize, files)?;
    let mut trainer = Trainer::new(vec![trial], engine_of(config)?)?;
    let (mut failed, mut probe) = (None, [Probe { began: Instant::now() }]);
    trainer.run(&mut probe, &mut |_, _, _, ending| failed = ending.err());
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(trainer.trials()[0].seconds() / trainer.trials()[0].step() as f64),
    }
}

/// Ends a run when it has been timed.
struct Probe {
    began: Instant,
}

impl Observer for Probe {
    fn step(&mut self, _: Progress) {}
    fn phase(&mut self, _: u64, _: Phase) {}
    fn evaluating(&mut self, _: f64) {}
    fn evaluated(&mut self, _: &Row) {}
    fn interrupted(&self) -> bool {
        const TIME: Duration = Duration::from_millis(500);
        self.began.elapsed() >= TIME
    }
}
