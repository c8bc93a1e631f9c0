//! Configs: `ConfigFile` is what a user wrote, `Config` what the program trusts.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::overrides::Override;
use super::provenance::Provenance;
use super::source::{Origin, Source};
use crate::checksums::ChecksumError;
use crate::dates::Held;
use crate::files::FileError;
use crate::model::{DeviceChoice, EngineKind, ModelConfig, Pairing};
use crate::training::{BetaConfig, EvaluationConfig, Objective, Schedule, StepConfig, TrainingConfig};

/// What is trained on and what is held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Whether whole conditions or single dates are held out.
    pub split: Held,
    /// The share held out.
    pub held_out: f64,
    /// Seed of the split; apart from the run's seed, so that runs of several seeds share their test data.
    pub seed: u64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { split: Held::default(), held_out: 0.1, seed: 1 }
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
    #[serde(skip_serializing_if = "EngineKind::is_builtin")]
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
pub struct Config(ConfigFile);

impl Deref for Config {
    type Target = ConfigFile;

    fn deref(&self) -> &ConfigFile {
        &self.0
    }
}

/// A value that can't be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Dotted path of the key.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
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
    pub(super) fn parse(path: &Path, error: &toml::de::Error) -> Self {
        Self::Parse { path: path.to_owned(), message: in_plain_words(error.to_string().trim_end()) }
    }
}

/// What a parser says of types, in the words of a config's author.
pub(super) fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("expected u64", "expected a whole number from 0 up"),
        ("expected u32", "expected a whole number from 0 up"),
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        (" as i128", ""),
        ("wanted string or table", "expected text in quotes"),
        ("`base`, `sweep`, `provenance`", "`base`, `sweep`"),
        ("floating point", "number"),
    ];
    let message = WORDS.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours));
    // "expected struct DataConfig": the name means nothing outside of the source.
    match message.split_once("expected struct ") {
        Some((before, name)) => {
            let rest = name.trim_start_matches(|letter: char| letter.is_alphanumeric());
            format!("{before}expected a section of keys{rest}")
        }
        None => message,
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

    /// Checks every value.
    ///
    /// # Errors
    /// The first value that can't be worked with.
    pub fn check(self) -> Result<Config, Invalid> {
        let ConfigFile { data, model, beta, objective, training, evaluation, .. } = &self;
        let steps = training.steps;
        between("threads", self.threads, 1, 1024)?;
        between("data.held_out", data.held_out, 0.001, 0.9)?;
        between("model.latent_dim", model.latent_dim, 1, 1024)?;
        between("model.hidden_dim", model.hidden_dim, 4, 8192)?;
        between("model.angles", model.angles, 1, 8192)?;
        between("training.steps", steps, 1, 1_000_000_000)?;
        // About as many dates are trained on; how many exactly, the split decides, and training checks again.
        let dates = 146_462.0 * (1.0 - data.held_out);
        between("training.batch_size", training.batch_size, 1, dates as i64)?;
        between("training.learning_rate", training.learning_rate, 1e-9, 10.0)?;
        between("training.final_share", training.final_share, 0.0, 1.0)?;
        between("training.second_moment", training.second_moment, 0.0, 0.999_999)?;
        between("training.late_second_moment", training.late_second_moment, 0.0, 0.999_999)?;
        // At this most, a step at the highest learning rate leaves nothing.
        between("training.weight_decay", training.weight_decay, 0.0, 1.0 / training.learning_rate)?;
        between("training.gradient_clip", training.gradient_clip, 1e-9, f64::INFINITY)?;
        between("training.divergence", training.divergence, 12.0, f64::INFINITY)?;
        between("training.checkpoint_every", training.checkpoint_every, 1, u64::MAX)?;
        between("evaluation.every", evaluation.every, 1, u64::MAX)?;
        between("evaluation.samples", evaluation.samples, 1, 1_000_000)?;
        between("evaluation.final_samples", evaluation.final_samples, 1, 1_000_000)?;
        between("objective.hybrid", objective.hybrid, 0.0, 1e6)?;
        between("objective.codes", objective.codes, 1, 1_000_000)?;
        if objective.codes > training.batch_size && objective.pairing != Pairing::Own {
            let (codes, batch) = (objective.codes, training.batch_size);
            let problem =
                format!("{codes} codes are more than training.batch_size ({batch}); lower one or raise the other");
            return Err(Invalid { key: "objective.codes", problem });
        }
        between("objective.free_bits", objective.free_bits, 0.0, 1e6)?;
        between("evaluation.importance", evaluation.importance, 0, 1_000_000)?;
        between("beta.value", beta.value, 0.0, 1e6)?;
        between("beta.low", beta.low, 0.0, 1e6)?;
        between("beta.high", beta.high, 0.0, f64::INFINITY)?;
        between("beta.calendar", beta.calendar, 0.0, 100.0)?;
        between("beta.code", beta.code, 0.0, 100.0)?;
        between("beta.cycles", beta.cycles, 1, 1_000_000)?;
        let never_ends = |key, takes: String| {
            Err(Invalid { key, problem: format!("{takes}, but training.steps is {steps}; lower it or train longer") })
        };
        if training.warm_up >= steps {
            return never_ends(
                "training.warm_up",
                format!("a warm-up of {} steps takes longer than the run", training.warm_up),
            );
        }
        let rises = match beta.schedule {
            Schedule::Constant => 0,
            Schedule::Cyclical => beta.cycles.saturating_mul(beta.rise.max(1)),
            // The phases before the rise take a step each at the least.
            Schedule::Phased => beta.rise.saturating_add(2),
            Schedule::Linear => beta.rise,
        };
        if rises > steps {
            return never_ends("beta.rise", format!("this schedule needs {rises} steps to reach beta.value"));
        }
        Ok(Config(self))
    }
}

fn between<T: PartialOrd + fmt::Display>(key: &'static str, value: T, least: T, most: T) -> Result<(), Invalid> {
    // NaN is between nothing.
    if value >= least && value <= most {
        return Ok(());
    }
    Err(Invalid { key, problem: format!("{value} is not between {least} and {most}") })
}

impl Config {
    /// The parts that training reads.
    pub fn training(&self) -> TrainingConfig {
        let Self(ConfigFile { seed, training, beta, objective, evaluation, .. }) = self;
        TrainingConfig { seed: *seed, training: *training, beta: *beta, objective: *objective, evaluation: *evaluation }
    }

    /// The resolved config as TOML: every key, as it will be used.
    pub fn to_toml(&self, provenance: Option<Provenance>) -> String {
        let file = ConfigFile { provenance, ..self.0.clone() };
        // Every key is a string and every value a plain TOML type, which always serialises.
        toml::to_string_pretty(&file).expect("a config is plain TOML")
    }

    /// Every key as a dotted path, with its value as text, in order.
    pub fn flat(&self) -> Vec<(String, String)> {
        let table: toml::Table = toml::from_str(&self.to_toml(None)).unwrap_or_default();
        let text = |value: &toml::Value| match value {
            toml::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let flatten = |(key, value): (&String, &toml::Value)| match value {
            toml::Value::Table(section) => {
                section.iter().map(|(name, value)| (format!("{key}.{name}"), text(value))).collect()
            }
            value => vec![(key.clone(), text(value))],
        };
        table.iter().flat_map(flatten).collect()
    }

    /// The same config with another seed.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self(ConfigFile { seed, ..self.0.clone() })
    }

    /// Twelve hexadecimal digits that tell this config from any other: 48 bits, since with 32 two of
    /// 100,000 trials would as likely as not share theirs.
    pub fn hash(&self) -> String {
        // JSON, since it is many times faster to write and the hash of 100,000 trials is asked for at once.
        let values = ConfigFile { provenance: None, ..self.0.clone() };
        let text = serde_json::to_vec(&values).expect("a config is plain JSON");
        let digest = Sha256::digest(text);
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
             lower it or train longer"
        );
        assert!(parse("[training]\nsteps = 401\n", &[]).unwrap_err().contains("(default value): beta.rise"));
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

    #[test]
    fn the_hash_tells_configs_apart_and_ignores_where_they_come_from() {
        let config = parse("", &[]).unwrap();
        assert_ne!(config.hash(), parse("", &["seed=2"]).unwrap().hash());
        let text = config.to_toml(Some(Provenance {
            version: "9".into(),
            commit: "abc".into(),
            dirty: true,
            device: "cpu".into(),
        }));
        assert!(text.contains("commit = \"abc\""));
        assert_eq!(parse(&text, &[]).unwrap().hash(), config.hash());
    }
}
