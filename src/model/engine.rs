//! What an engine is: it computes the objective of a step and follows its gradient.
//!
//! The built-in engine ([`super::cpu`]) computes every shipped kind of model on the CPU. Another program can bring its
//! own: `cvae-torch` does, and [`install`]s it before it runs a command.

use std::fmt::Debug;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::encodings::Encodings;
use super::layout::Layout;
use super::noise::Decode;
use super::update::{AdamHyperparams, EncoderUpdate, TrainingState, UpdateRule};
use super::weights::Model;
use crate::task::{Groups, Rows};

/// What the terms of the objective count for in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveWeights {
    /// Weight of the KL term (Higgins et al. 2017). Infinite: the code is closed, z is the prior's mean 0, the KL is 0
    /// and the encoder is not run.
    pub beta: f64,
    /// Weight of the reconstruction under z from the prior: the hybrid objective of Sohn et al. 2015.
    pub hybrid: f64,
    /// KL below which a latent dimension is not reduced further, nats (Kingma et al. 2016).
    pub free_bits: f64,
    /// Weight of the squared MMD between the aggregated posteriors of some conditions and the prior (Zhao et al. 2019).
    pub mmd: f64,
}

/// Codes from the prior for some conditions, and the rows that they may be paired with.
#[derive(Clone, Debug, Default)]
pub struct PairedCodes {
    /// Rows of each condition, one list after the other.
    pub candidates: Rows,
    /// Length of each condition's list; none is empty.
    pub counts: Vec<usize>,
    /// Each candidate's share of its condition's codes, as the logarithm of its multiple of an even share; empty where
    /// all are even.
    pub log_shares: Vec<f32>,
    /// Codes of a condition, k.
    pub codes: usize,
    /// The most rows that a condition of the data has.
    pub longest: usize,
    /// The codes, standard normal, `[conditions, k, latent]`; nothing where the engine draws them.
    pub z: Vec<f32>,
    /// A number in 0..1 for each code, which chooses its row, `[conditions, k]`; nothing where the engine draws them.
    pub uniform: Vec<f32>,
    /// Whether the rows of a condition share its codes out by these shares.
    pub balanced: bool,
}

impl PairedCodes {
    /// These codes, then others of as many for each condition.
    #[must_use]
    pub fn followed_by(mut self, others: Self) -> Self {
        self.candidates.extend(&others.candidates, 0..others.candidates.len());
        self.counts.extend(others.counts);
        self.log_shares.extend(others.log_shares);
        self.longest = self.longest.max(others.longest);
        self.z.extend(others.z);
        self.uniform.extend(others.uniform);
        self
    }
}

/// Codes from the prior for the hybrid term.
#[derive(Clone, Debug)]
pub enum PriorCodes {
    /// None: no hybrid term.
    None,
    /// One for each row of the batch, `[n, latent]`; nothing where the engine draws them.
    Own(Vec<f32>),
    /// Some for each of a few conditions.
    Paired(PairedCodes),
}

/// What some objectives ask of a step besides; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepOptions<'a> {
    /// Codes k of each row in the importance-weighted bound (Burda et al. 2016); 0 or 1 for the ELBO. From 2 on there are
    /// neither free bits nor a hybrid term.
    pub importance_samples: usize,
    /// Conditions with rows, whose aggregated posteriors the MMD term compares with the prior. They have no codes.
    pub aggregated: Option<&'a PairedCodes>,
    /// How the encoder is updated, where not as all weights are (He et al. 2019).
    pub encoder: Option<EncoderUpdate>,
    /// What moves the weights.
    pub rule: UpdateRule,
    /// Share of the new weights in their running average, in 0..=1; 0 where none is kept.
    pub average_share: f64,
}

/// What one step is computed from.
#[derive(Debug)]
pub struct StepInput<'a> {
    /// The batch, n rows.
    pub rows: &'a Rows,
    /// Standard normal, `[n, latent]`; nothing where the engine draws its own. In the importance-weighted bound
    /// `[k, n, latent]`.
    pub noise: &'a [f32],
    /// Another number at each step of each trial, for an engine that draws its own random numbers.
    pub noise_seed: u64,
    /// Codes from the prior.
    pub prior: &'a PriorCodes,
    /// What the terms count for.
    pub weights: ObjectiveWeights,
    /// How far the step goes.
    pub adam: AdamHyperparams,
    /// What else is asked of it.
    pub options: StepOptions<'a>,
}

/// The terms of the objective, nats per row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// What is minimised: the weighted sum of the others, the MMD term included; or the importance-weighted bound.
    pub loss: f64,
    /// -log p(y | z, c) at z from the posterior, summed over columns.
    pub recon: f64,
    /// KL(q(z | y, c) || N(0, I)), whole, whatever the free bits.
    pub kl: f64,
    /// The reconstruction at z from the prior; 0 without a hybrid term.
    pub prior_recon: f64,
}

/// Trains models of one shape, each a trial of its own.
pub trait Engine: Debug {
    /// Computes the objective, its gradient and one update of every trial, each from an input of its own.
    ///
    /// # Errors
    /// When the device fails, for lack of memory as a rule.
    fn step(&mut self, inputs: &[StepInput<'_>]) -> Result<(), EngineError>;

    /// For each trial the terms of its steps since the last call, in order. A GPU is waited for here and not in every
    /// step.
    ///
    /// # Errors
    /// As [`Engine::step`].
    fn take_terms(&mut self) -> Result<Vec<Vec<Terms>>, EngineError>;

    /// The device in words, for logs.
    fn device(&self) -> String;

    /// Weights and moments of a trial as they stand.
    ///
    /// # Errors
    /// As [`Engine::step`].
    fn state(&self, trial: usize) -> Result<TrainingState, EngineError>;

    /// Goes on with these trials alone, in this order. Their terms have been taken.
    ///
    /// # Errors
    /// As [`Engine::step`].
    fn retain(&mut self, trials: &[usize]) -> Result<(), EngineError>;

    /// What decodes with a model on this engine's device; none where the CPU does.
    ///
    /// # Errors
    /// As [`Engine::step`].
    fn decoder(&self, _: &Model) -> Result<Option<Box<dyn BulkDecoder>>, EngineError> {
        Ok(None)
    }

    /// Whether it draws noise and codes by itself, from [`StepInput::noise_seed`].
    fn draws(&self) -> bool {
        false
    }
}

/// The decoder of one trained model, with random numbers of its own. A condition's rows and codes depend on its seed alone,
/// whichever others are asked for beside it.
pub trait BulkDecoder: Debug {
    /// `draws` rows for each condition `[conditions, given]`, condition by condition, `[conditions * draws, generated]`.
    ///
    /// # Errors
    /// When the device fails, for lack of memory as a rule.
    fn draw(&self, conditions: &Rows, seeds: &[u64], draws: usize, decode: Decode) -> Result<Rows, EngineError>;

    /// log p(y | z, c) of the rows of these conditions of a table, one condition after the other, each under `codes` codes
    /// from the prior of its own, nats: `[rows, codes]`.
    ///
    /// # Errors
    /// As [`BulkDecoder::draw`].
    fn log_probabilities(
        &self,
        table: &Groups,
        conditions: &[usize],
        seeds: &[u64],
        codes: usize,
    ) -> Result<Vec<f32>, EngineError>;

    /// The posteriors of rows.
    ///
    /// # Errors
    /// As [`BulkDecoder::draw`].
    fn encode(&self, rows: &Rows) -> Result<Encodings, EngineError>;

    /// -log p(y | z, c) of rows at codes `[n, latent]`, nats, mean over the rows.
    ///
    /// # Errors
    /// As [`BulkDecoder::draw`].
    fn mean_cross_entropy(&self, rows: &Rows, z: &[f32]) -> Result<f64, EngineError>;

    /// The row that each code is paired with, as training pairs them where a condition's rows are equally likely.
    ///
    /// # Errors
    /// As [`BulkDecoder::draw`].
    fn paired_rows(&self, codes: &PairedCodes) -> Result<Rows, EngineError>;
}

/// Checks that the memory to train a model can be had, in a process of limited memory at least: a failure to allocate
/// later would end the process.
///
/// # Errors
/// When it can't be had.
pub fn check_memory(layout: &Layout, rows: usize, threads: usize) -> Result<(), EngineError> {
    // Weights, both moments, copies for checkpoints, and a gradient for each thread; rows of activations on their way
    // forward and back, of the trunk for each column and of the widest head's block.
    let weights = layout.len.saturating_mul(6 + threads);
    let activations = rows.saturating_mul(4 * layout.trunk.features + 8 * layout.hidden);
    let bytes = weights.saturating_add(activations).saturating_mul(size_of::<f32>());
    let wanted = Vec::<u8>::new().try_reserve_exact(bytes);
    wanted.map_err(|_| EngineError::Device(format!("{} MiB of memory can't be had", bytes >> 20)))
}

/// Why an engine gave up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// What this engine does not compute.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The system gave no threads.
    #[error("the system gives no more threads ({0}); lower `threads` or close other programs")]
    Threads(String),
    /// The device failed.
    #[error("{0}; with too little memory, lower training.batch_size or model.hidden_dim")]
    Device(String),
    /// The memory of a GPU does not suffice.
    #[error(
        "the GPU's memory does not suffice for {trials} trial(s) at once ({reason}); lower training.batch_size or model.hidden_dim"
    )]
    OutOfMemory {
        /// Trials that were to train as one.
        trials: usize,
        /// What the device said.
        reason: String,
    },
    /// The engine trains fewer trials at a time.
    #[error("this engine trains one trial at a time, not {0}")]
    TooMany(usize),
    /// A GPU is asked for and there is none.
    #[error(
        "device is \"cuda\" and libtorch sees no CUDA device; set device = \"cpu\", or build cvae-torch with a CUDA libtorch"
    )]
    NoCuda,
    /// This program does not have it.
    #[error("{0} needs the program cvae-torch; build it with make torch, or set device = \"cpu\"")]
    NotInstalled(&'static str),
}

/// Where a model is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A CUDA device where there is one and `cvae-torch` is built, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device; an error where there is none.
    Cuda,
}

/// What computes the training steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The built-in engine on the CPU, libtorch on a GPU.
    #[default]
    Builtin,
    /// libtorch on any device, by autograd.
    Torch,
}

/// Makes an engine for trials of this model's shape that start from these states.
pub type MakeEngine = fn(&Model, Vec<TrainingState>, EngineOptions) -> Result<Box<dyn Engine>, EngineError>;

/// How an engine is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads that share a batch out; the results depend on it.
    pub threads: usize,
    /// Where it is run.
    pub device: DeviceChoice,
    /// Which engine was asked for.
    pub engine: EngineKind,
}

static OTHER: OnceLock<MakeEngine> = OnceLock::new();

/// Makes this program train with another engine where a config asks for it. The first call counts.
pub fn install(make: MakeEngine) {
    // A second engine of one program would be an error of its author; the first stays.
    let _ = OTHER.set(make);
}

/// The engine that this program brings beside the built-in one.
pub fn installed() -> Option<MakeEngine> {
    OTHER.get().copied()
}
