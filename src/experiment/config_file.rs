//! What a config says, as it was written: every key with its default.

use serde::{Deserialize, Serialize};

use super::provenance::Provenance;
use crate::dates::Holdout;
use crate::model::{DeviceChoice, EngineKind, ModelConfig};
use crate::training::{BetaConfig, EvaluationConfig, Objective, StepConfig};

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
