//! Going on from a finished trial with more steps, as a trial of its own.
//!
//! The new trial counts its steps on from where the other one ended, and its schedules see that count: it begins with a
//! checkpoint that holds the other one's weights, phase and, where its last checkpoint was kept, Adam's moments. From then
//! on it is resumed like any other. Its config says where it came from in the key `from`, which is a part of its name.

use std::path::{Path, PathBuf};

use super::config::Config;
use super::folder::{FolderError, RunFolder};
use super::log::note;
use super::runs::{Reading, RunTrial};
use super::trial::{TrialError, load_model, weights_file};
use crate::checksums::{ChecksumPolicy, sha256};
use crate::files;
use crate::metrics::{Measure, Row};
use crate::model::{Model, TrainingState};
use crate::printable::ShownPath;
use crate::training::{BetaSchedule, Checkpoint, History, Phase, ScheduleState, evaluated};

/// A finished trial that another one goes on from.
#[derive(Debug)]
pub struct Predecessor {
    folder: PathBuf,
    config: Config,
    model: Model,
    /// Its last evaluation.
    last: Row,
    /// Its phase at the end.
    phase: Phase,
    /// Seconds that it was trained for.
    seconds: f64,
}

/// Why a trial can't go on from another one.
#[derive(Debug, thiserror::Error)]
pub enum ContinuationError {
    /// The other trial can't be read.
    #[error(transparent)]
    Trial(Box<TrialError>),
    /// There is no trial there.
    #[error("{} is not the folder of a trial: it has no config.toml; cvae runs lists trials", .0.shown())]
    NoTrial(PathBuf),
    /// It has not finished.
    #[error("{} is not a finished trial; the command that started it continues it", .0.shown())]
    Unfinished(PathBuf),
    /// It is a release: how training stood at its end is not known.
    #[error("{} is a release, which has no history.csv; name the folder of the trial", .0.shown())]
    Release(PathBuf),
    /// The config does not fit what was trained.
    #[error("{key}: {problem}")]
    Misfit {
        /// The key.
        key: String,
        /// Both values, and what to do.
        problem: String,
    },
}

impl<E: Into<TrialError>> From<E> for ContinuationError {
    fn from(error: E) -> Self {
        Self::Trial(Box::new(error.into()))
    }
}

/// Sections and keys that may differ from those of the trial before. All others say what is trained, and on what.
const FREE: [&str; 9] = ["seed", "threads", "device", "engine", "from", "beta", "objective", "training", "evaluation"];

impl Predecessor {
    /// Reads a finished trial.
    ///
    /// # Errors
    /// When it has not finished, or a file is missing or damaged.
    pub fn load(folder: &Path) -> Result<Self, ContinuationError> {
        let reading = Reading { demand: ChecksumPolicy::Always, histories: true, results: false };
        let unfinished = || ContinuationError::Unfinished(folder.to_owned());
        let trial = RunTrial::read(folder, reading)?.ok_or_else(|| ContinuationError::NoTrial(folder.to_owned()))?;
        let metrics = trial.metrics().ok_or_else(unfinished)?;
        let phase = Phase::named(metrics.words(Measure::Phase)).unwrap_or(Phase::Align);
        let seconds = metrics.number(Measure::TrainSeconds).max(0.0);
        let release = || ContinuationError::Release(folder.to_owned());
        let last = trial.history.last().cloned().ok_or_else(release)?;
        let (model, config) = load_model(folder)?;
        Ok(Self { folder: folder.to_owned(), config, model, last, phase, seconds })
    }

    /// What its successor's key `from` says: the hash of its identity.
    pub fn hash(&self) -> String {
        self.config.hash()
    }

    /// What its config says of a key.
    pub fn value(&self, key: &str) -> Option<toml::Value> {
        self.config.values().into_iter().find(|(of, _)| of == key).map(|(_, value)| value)
    }

    fn steps(&self) -> u64 {
        self.config.training.steps
    }

    /// Checks that a config goes on from this trial: more steps, the same model and data, and a KL weight that begins where
    /// it ended.
    ///
    /// # Errors
    /// The first key that does not fit.
    pub fn check(&self, config: &Config) -> Result<(), ContinuationError> {
        let folder = self.folder.shown();
        let misfit = |key: &str, problem| Err(ContinuationError::Misfit { key: key.to_owned(), problem });
        let (steps, done) = (config.training.steps, self.steps());
        if steps <= done {
            let problem = format!(
                "it counts the steps of {folder} in, which has done {done}, and is {steps}; set more, as in --set \
                 training.steps={}",
                done + done.div_ceil(2)
            );
            return misfit("training.steps", problem);
        }
        for ((key, value), (_, before)) in config.values().iter().zip(self.config.values()) {
            let section = key.split('.').next().unwrap_or(key);
            if !FREE.contains(&section) && *value != before {
                let problem =
                    format!("it is {value}, and {before} in {folder}, which can only go on with --set {key}={before}");
                return misfit(key, problem);
            }
        }
        let schedule = config.beta.schedule(steps, true, None);
        let (next, last) = (self.schedule(config).beta(&schedule, done - 1), self.beta());
        let by_step = matches!(schedule, BetaSchedule::Linear { .. } | BetaSchedule::Cyclical { .. });
        let agree = next == last || last.is_finite() && (next - last).abs() <= 1e-6 * last.abs().max(1.0);
        if by_step && !agree {
            let problem = format!(
                "at step {done} of {steps} this schedule comes to a KL weight of {next:.4}, and {folder} ended with \
                 {last:.4}; {}, or set beta.schedule=constant and beta.value",
                match schedule {
                    BetaSchedule::Cyclical { .. } => "choose beta.cycles so that a cycle has as many steps as before",
                    _ => "choose beta.rise and beta.value so that the two agree",
                }
            );
            return misfit("beta.schedule", problem);
        }
        Ok(())
    }

    /// The last KL weight.
    fn beta(&self) -> f64 {
        self.last.number(Measure::Beta)
    }

    /// Where the schedule of a config stands after this trial's last step.
    fn schedule(&self, config: &Config) -> ScheduleState {
        let BetaSchedule::Phased { rise, .. } = config.beta.schedule(config.training.steps, true, None) else {
            return ScheduleState::new(&config.beta.schedule(config.training.steps, true, None));
        };
        let is_phased = matches!(self.config.beta.schedule(self.steps(), true, None), BetaSchedule::Phased { .. });
        let since = if is_phased && self.last.has(Measure::PhaseSince) {
            self.last.count(Measure::PhaseSince)
        } else {
            // Earlier versions did not log it: how much of the rise was done tells the weight that it had come to.
            let before = &self.config.beta;
            let share = (self.beta() - before.low) / (before.value - before.low);
            let is_rising = is_phased && self.phase == Phase::Align && share < 1.0 - 1e-9;
            let risen = if is_rising { (share.max(0.0) * before.rise as f64).round() as u64 } else { rise };
            (self.steps() - 1).saturating_sub(risen)
        };
        let mean = |measure| Some(self.last.number(measure)).filter(|mean| mean.is_finite());
        let terms = (mean(Measure::TrainRecon), mean(Measure::TrainKl));
        ScheduleState::resumed(self.phase, since, terms)
    }

    /// Writes the checkpoint that a trial of a config begins with, unless it has begun; says what was taken over.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn hand_over(&self, folder: &RunFolder, config: &Config) -> Result<Option<String>, ContinuationError> {
        if folder.metrics().exists() || folder.checkpoint().exists() {
            return Ok(None);
        }
        let step = self.steps();
        let own = self.folder.join("checkpoint").join("checkpoint.safetensors");
        let kept = if own.exists() {
            let (state, training) =
                Checkpoint::load(&own, &self.model.layout).map_err(crate::training::TrainingError::from)?;
            let evaluated = evaluated(&self.config.training, &training);
            (state.step == step && evaluated == self.model.weights).then_some((state, training))
        } else {
            None
        };
        let has_moments = kept.is_some();
        let (moments_since, training) = match kept {
            Some((state, training)) => (state.moments_since, training),
            None => (step, TrainingState::new(self.model.weights.clone())),
        };
        let given = self.model.schema.given.iter().map(|column| column.name.as_str());
        let history = History::begin(&folder.history(), &Measure::of_history(given))
            .map_err(crate::training::TrainingError::from)?;
        let state = Checkpoint {
            step,
            schedule: self.schedule(config),
            seconds: self.seconds,
            history: history.digest(),
            run: config.hash(),
            moments_since,
            ..Checkpoint::default()
        };
        let weights = weights_file(&self.folder)?;
        let digest = sha256(&files::read_bytes(&weights).map_err(FolderError::from)?);
        let moments =
            if has_moments { "Adam's moments with it" } else { "Adam's moments begin at 0: its checkpoint is gone" };
        let words = format!("goes on from {} after step {step}; {moments}", self.folder.shown());
        note(&folder.log(), &format!("{words}; SHA-256 of its weights {digest}"));
        state.save(&folder.checkpoint(), &self.model.layout, training).map_err(crate::training::TrainingError::from)?;
        Ok(Some(words))
    }
}
