// Matrix products need it, in one module, which allows it.
#![deny(unsafe_code)]
#![warn(missing_docs)]
//! `cvae`: a research workbench for conditional generation of discrete data whose truth is known.
//!
//! A condition goes in, one of the rows that meet it comes out. Every condition's rows can be listed, so that pass rate,
//! coverage and distance from the truth are computed and not estimated. The home task is dates: given a weekday, a
//! month, a leap-year flag and a decade, generate a date that meets all four.
//!
//! # Tour
//! Dependencies point down this list, never up.
//!
//! | module | what is in it |
//! |---|---|
//! | [`cli`] | one file per command: arguments and orchestration |
//! | [`analysis`], [`figures`], [`page`], [`export`] | what is concluded from results; charts; the HTML page; formats of other tools |
//! | [`experiment`] | configs, sweep grids, trial folders, launchers, tables of results |
//! | [`training`] | data order, schedules, the loop, history and checkpoints |
//! | [`metrics`] | the registry of measures, exact marginals, pass rates, diversity, latent diagnostics |
//! | [`model`] | configuration, weights on disk, the trait [`model::Engine`], the built-in engine, sampling |
//! | [`task`] | schemas, rows, and the task of dates with its exact truth |
//! | [`files`], [`checksums`], [`random`], [`printable`], [`caught`] | what all of them stand on |
//!
//! # Example
//! Train a small model for some steps, and draw from it.
//!
//! ```
//! use cvae::model::{
//!     CpuEngine, Decode, Engine, EngineKind, EngineOptions, DeviceChoice, Model, ModelConfig, ObjectiveWeights,
//!     PriorCodes, Sampler, StepInput, StepOptions, TrainingState,
//! };
//! use cvae::random::{Purpose, normal, stream};
//! use cvae::task::{Rows, dates};
//! use cvae::training::{StepConfig, adam_hyperparams};
//!
//! // The data: every date with its condition, as value indices.
//! let valid = dates::ValidDates::new();
//! let days: Vec<_> = valid.conditions().iter().flat_map(|condition| valid.of(*condition).to_vec()).collect();
//! let data = dates::rows(&days);
//!
//! // A small model without a latent code yet: an infinite KL weight keeps z at 0.
//! let config = ModelConfig { latent_dim: 2, hidden_dim: 32, angles: 16, ..ModelConfig::default() };
//! let mut model = Model::new(config, dates::schema(), 1);
//! let options = EngineOptions { threads: 1, device: DeviceChoice::Cpu, engine: EngineKind::Builtin };
//! let mut engine = CpuEngine::new(&model.layout, TrainingState::new(model.weights.clone()), options)?;
//! let steps = StepConfig { steps: 200, warm_up: 10, ..StepConfig::default() };
//! let weights = ObjectiveWeights { beta: f64::INFINITY, hybrid: 0.0, free_bits: 0.0, mmd: 0.0 };
//! let mut batch = Rows::default();
//! for step in 0..steps.steps {
//!     let rows: Vec<u32> = (0..128).map(|row| (step as u32 * 128 + row) * 7919 % data.len() as u32).collect();
//!     batch.gather(&data, &rows);
//!     let noise = normal(&mut stream(1, Purpose::Noise, step), 128 * 2);
//!     let adam = adam_hyperparams(&steps, step);
//!     let (prior, options) = (PriorCodes::None, StepOptions::default());
//!     engine.step(&[StepInput { rows: &batch, noise: &noise, noise_seed: 0, prior: &prior, weights, adam, options }])?;
//! }
//! let terms = engine.take_terms()?.remove(0);
//! assert!(terms[199].loss < terms[0].loss - 2.0, "the loss falls from about 12 nats: {terms:?}");
//!
//! // Ten dates for one condition.
//! model.weights = engine.state(0)?.weights;
//! let mut asked = Rows::new(4);
//! (0..10).for_each(|_| asked.push(&valid.conditions()[100].row()));
//! let sampler = Sampler::new(&model, Decode::Greedy, Some(1));
//! let drawn = sampler.draw(&asked, &mut stream(1, Purpose::Samples, 0));
//! assert_eq!(drawn.len(), 10);
//! # Ok::<(), cvae::model::EngineError>(())
//! ```
pub mod analysis;
pub mod caught;
pub mod checksums;
pub mod cli;
pub mod experiment;
pub mod export;
pub mod figures;
pub mod files;
pub mod metrics;
pub mod model;
pub mod page;
pub mod printable;
pub mod random;
mod signals;
pub mod task;
pub mod training;

pub use task::dates;
