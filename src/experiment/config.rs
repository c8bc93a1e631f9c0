//! Configs that the program trusts, and why others are refused.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::config_file::ConfigFile;
use super::hints;
use super::identity::{Identity, flatten};
use super::provenance::Provenance;
use crate::checksums::ChecksumError;
use crate::files::FileError;
use crate::printable::ShownPath;
use crate::training::TrainingConfig;

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
    #[error("{path}: {message}", path = .path.shown())]
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
    #[error("{0}: its chain of `base` files goes round in a circle; take `base` out of one of them")]
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
        self.values().into_iter().map(|(key, value)| (key, text(value))).collect()
    }

    /// Every key as a dotted path, with its value, in order.
    pub fn values(&self) -> Vec<(String, toml::Value)> {
        flatten(self)
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
