//! What a config says, as it was written: every key with its default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::provenance::Provenance;
use crate::dates::Holdout;
use crate::model::{DeviceChoice, EngineKind, ModelConfig};
use crate::task;
use crate::training::{BetaConfig, EvaluationConfig, Objective, StepConfig};

/// What is trained on and what is held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Whether whole conditions, classes of conditions (`structured`) or single rows are held out; of a sample it is always
    /// rows.
    pub split: Holdout,
    /// The share held out for validation.
    pub held_out: f64,
    /// The share of the rest that is sealed: read by `cvae inspect --all --sealed` alone, once per recipe.
    pub sealed: f64,
    /// Given columns that the conditions of a class share in a structured split; empty: all but the first.
    pub split_by: Vec<String>,
    /// Seed of the split; apart from the run's seed, so that runs of several seeds share their test data.
    pub seed: u64,
    /// An exact task that the program knows, where neither `network` nor `table` is set.
    pub task: String,
    /// A Bayesian network, `.bif` or `.bif.gz`.
    pub network: String,
    /// A table of categories, CSV with a header or Parquet.
    pub table: String,
    /// Given columns of a table or a network.
    pub given: Vec<String>,
    /// Generated columns in their order; empty: all others.
    pub generate: Vec<String>,
    /// The table's column of weights, if any.
    pub weight: String,
    /// What a table is: a sample of observations, or the whole population.
    pub truth: TruthKind,
    /// Columns of a table that are cut into so many bins, at quantiles; 0 keeps every value apart.
    pub bins: BTreeMap<String, u32>,
}

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TruthKind {
    /// Observations: single rows are held out, and validity is against what was observed.
    #[default]
    Sample,
    /// Everything there is, with its probabilities.
    Population,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            split: Holdout::default(),
            held_out: 0.1,
            sealed: 0.0,
            split_by: Vec::new(),
            seed: 1,
            task: task::DATES.to_owned(),
            network: String::new(),
            table: String::new(),
            given: Vec::new(),
            generate: Vec::new(),
            weight: String::new(),
            truth: TruthKind::default(),
            bins: BTreeMap::new(),
        }
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
    /// Hash of the finished trial that this one goes on from; empty for one that begins at step 0. `cvae train --from` sets it.
    pub from: String,
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
            from: String::new(),
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
