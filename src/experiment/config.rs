//! Configs: `ConfigFile` is what a user wrote, `Config` what the program trusts.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::hints;
use super::identity::{Identity, flatten};
use super::overrides::Override;
use super::provenance::Provenance;
use super::source::{Origin, Source};
use crate::checksums::ChecksumError;
use crate::dates::Holdout;
use crate::files::FileError;
use crate::model::{DeviceChoice, EngineKind, ModelConfig};
use crate::training::{BetaConfig, EvaluationConfig, Objective, StepConfig, TrainingConfig};
use serde::{Deserialize, Serialize};

/// What is trained on and what is held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Whether whole conditions or single dates are held out.
    pub split: Holdout,
    /// The share held out.
    pub held_out: f64,
    /// Seed of the split; apart from the run's seed, so that runs of several seeds share their test data.
    pub seed: u64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { split: Holdout::default(), held_out: 0.1, seed: 1 }
    }
}

/// A config as written; every key has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// Seed of initial weights, order and noise.
    pub seed: u64,
    /// Threads that share a batch out; the results depend on it.
    pub threads: u32,
    /// Where it is trained.
    pub device: DeviceChoice,
    /// What computes the training steps.
    pub engine: EngineKind,
    /// What is trained on and what is held out.
    pub data: DataConfig,
    /// Sizes and kinds of the model.
    pub model: ModelConfig,
    /// The KL weight.
    pub beta: BetaConfig,
    /// Other terms of the objective.
    pub objective: Objective,
    /// Steps, batches and the optimizer.
    pub training: StepConfig,
    /// What is measured.
    pub evaluation: EvaluationConfig,
    /// Another config whose values hold where this one gives none; a path relative to this one's folder.
    #[serde(skip_serializing)]
    pub base: Option<String>,
    /// The trials of an experiment; README.md shows how to write them.
    #[serde(skip_serializing)]
    pub sweep: Option<toml::Table>,
    /// Where a resolved config comes from; ignored when it is read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            seed: 1,
            threads: 2,
            device: DeviceChoice::default(),
            engine: EngineKind::default(),
            data: DataConfig::default(),
            model: ModelConfig::default(),
            beta: BetaConfig::default(),
            objective: Objective::default(),
            training: StepConfig::default(),
            evaluation: EvaluationConfig::default(),
            base: None,
            sweep: None,
            provenance: None,
        }
    }
}

/// A config whose values have been checked. There is no other way to make one than [`ConfigFile::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config(pub(super) ConfigFile);

impl Deref for Config {
    type Target = ConfigFile;

    fn deref(&self) -> &ConfigFile {
        &self.0
    }
}

/// Why a config was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not match its checksum.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// No TOML, an unknown key, or a value of the wrong type; the message holds line and column.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the line and a marker below the place.
        message: String,
    },
    /// A value that can't be worked with.
    #[error("{place}: {problem}")]
    Value {
        /// File, line and column, or the `--set` that gave it.
        place: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A chain of bases without end.
    #[error("{0}: its chain of `base` files goes round in a circle")]
    Circle(PathBuf),
}

impl ConfigError {
    pub(super) fn parse(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        Self::Parse { path: path.to_owned(), message: hints::explain(text, error) }
    }

    pub(super) fn value(place: String, problem: String) -> Self {
        Self::Value { place: hints::visible(&place), problem: hints::visible(&problem) }
    }
}

impl ConfigFile {
    /// Reads a config, applies overrides in order, and checks it. A `[sweep]` in it is left aside: this is
    /// the run that the sweep's trials vary.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Config, ConfigError> {
        let source = Source::load(path)?;
        source.resolve(overrides.iter().map(|set| (set, Origin::CommandLine)))
    }
}

impl Config {
    /// The parts that training reads.
    pub fn training(&self) -> TrainingConfig {
        let Self(ConfigFile { seed, training, beta, objective, evaluation, .. }) = self;
        TrainingConfig {
            identity: self.identity().number(),
            seed: *seed,
            training: *training,
            beta: *beta,
            objective: *objective,
            evaluation: *evaluation,
        }
    }

    /// The resolved config as TOML: every key, as it will be used.
    pub fn to_toml(&self, provenance: Option<Provenance>) -> String {
        let file = ConfigFile { provenance, ..self.0.clone() };
        // Every key is a string and every value a plain TOML type, which always serialises.
        toml::to_string_pretty(&file).expect("a config is plain TOML")
    }

    /// Every key as a dotted path, with its value as text, in order.
    pub fn flat(&self) -> Vec<(String, String)> {
        let text = |value| match value {
            toml::Value::String(text) => text,
            value => value.to_string(),
        };
        flatten(self).into_iter().map(|(key, value)| (key, text(value))).collect()
    }

    /// The same config with another seed.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self(ConfigFile { seed, ..self.0.clone() })
    }

    /// What tells this config's trial from others.
    pub fn identity(&self) -> Identity {
        Identity::of(self)
    }

    /// Twelve hexadecimal digits that tell this config's trial from any other.
    pub fn hash(&self) -> String {
        self.identity().hash()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Schedule;

    fn parse(text: &str, sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let source = Source::of_text(text, Path::new("a.toml")).map_err(|error| error.to_string())?;
        source.resolve(sets.iter().map(|set| (set, Origin::CommandLine))).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_config_is_the_default_one_and_survives_a_round_trip() {
        let config = parse("", &[]).unwrap();
        assert_eq!(*config, ConfigFile::default());
        let again = parse(&config.to_toml(None), &[]).unwrap();
        assert_eq!(config, again);
        assert_eq!(config.hash(), again.hash());
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused_with_line_and_column() {
        let error = parse("seed = 1\n[training]\nstep = 3\n", &[]).unwrap_err();
        assert!(error.contains("a.toml") && error.contains("line 3, column 1"), "{error}");
        assert!(error.contains("unknown field `step`") && error.contains("`steps`"), "{error}");
        let error = parse("[training]\nsteps = \"many\"\n", &[]).unwrap_err();
        assert!(error.contains("line 2, column 9"), "{error}");
        let error = parse("[beta]\nschedule = \"sudden\"\n", &[]).unwrap_err();
        assert!(error.contains("line 2") && error.contains("phased"), "{error}");
        for (text, expected) in [
            ("seed = -1", "`-1`, expected a whole number from 0 up"),
            ("seed = 1.5", "number `1.5`, expected a whole number from 0 up"),
            ("data = 3", "`3`, expected a section of keys"),
            ("[model]\nheads = 3", "expected text in quotes"),
            ("[beta]\nvalue = \"x\"", "string \"x\", expected a number"),
        ] {
            let error = parse(text, &[]).unwrap_err();
            assert!(error.ends_with(expected), "{error}");
        }
        assert!(parse("", &["training=3"]).unwrap_err().ends_with("`3`, expected a section of keys"));
    }

    #[test]
    fn impossible_values_are_refused_with_line_and_column() {
        let error = parse("[training]\nsteps = 0\n", &[]).unwrap_err();
        assert!(error.starts_with("a.toml:2:9: training.steps: 0 is not between 1 and"), "{error}");
        let error = parse("[data]\nheld_out = nan\n", &[]).unwrap_err();
        assert!(error.starts_with("a.toml:2:12: data.held_out"), "{error}");
    }

    #[test]
    fn a_schedule_that_cannot_finish_is_an_error() {
        let error = parse("[training]\nsteps = 500\n[beta]\nschedule = \"linear\"\nrise = 501\n", &[]).unwrap_err();
        assert_eq!(
            error,
            "a.toml:5:8: beta.rise: this schedule needs 501 steps to reach beta.value, but training.steps is 500; \
             lower beta.rise or raise training.steps"
        );
        // Blamed is what was set last, not the default that it does not fit.
        let error = parse("[training]\nsteps = 401\n", &[]).unwrap_err();
        assert!(error.starts_with("a.toml:2:9: beta.rise: this schedule needs 402 steps"), "{error}");
        let error = parse("[training]\nsteps = 900\n", &["seed=2", "training={ steps = 401 }"]).unwrap_err();
        assert!(error.starts_with("--set training={ steps = 401 }: beta.rise: "), "{error}");
        let error = parse("", &["training.batch_size=32"]).unwrap_err();
        assert!(error.starts_with("--set training.batch_size=32: objective.codes: "), "{error}");
        assert!(parse("[training]\nsteps = 100\n", &["beta.schedule=constant"]).unwrap_err().contains("warm_up"));
        let cyclical = "[training]\nsteps = 16000\n[beta]\nschedule = \"cyclical\"\ncycles = 4\n";
        assert!(parse(&format!("{cyclical}rise = 4000\n"), &[]).is_ok());
        assert!(parse(&format!("{cyclical}rise = 4001\n"), &[]).is_err());
    }

    #[test]
    fn overrides_replace_values_and_name_themselves_when_they_are_wrong() {
        let config = parse("seed = 1\n", &["seed=7", "beta.schedule=constant", "model.latent_dim = 2"]).unwrap();
        assert_eq!((config.seed, config.beta.schedule, config.model.latent_dim), (7, Schedule::Constant, 2));
        let error = parse("", &["training.step=3"]).unwrap_err();
        assert!(error.starts_with("--set training.step=3: unknown field `step`"), "{error}");
        let error = parse("", &["training.steps=0"]).unwrap_err();
        assert!(error.starts_with("--set training.steps=0: training.steps: 0 is not between"), "{error}");
        assert!(parse("", &["sweep.seeds=[1, 2]"]).unwrap_err().contains("edit the config"));
        assert!(parse("seed = 1", &["seed.x=3"]).unwrap_err().contains("seed is no section"));
    }
}
