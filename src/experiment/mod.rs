//! Experiments: configs, run folders, and running a trial in one.

mod config;
mod engine;
mod folder;
mod grid;
mod locate;
mod log;
mod metrics;
mod overrides;
mod plan;
mod provenance;
mod release;
mod results;
mod runner;
mod runs;
mod slurm;
mod source;
mod trial;

pub use config::{Config, ConfigError, ConfigFile, DataConfig, Invalid};
pub use engine::{NeedsTorch, needs_torch};
pub use folder::{FolderError, RunFolder, Status};
pub use grid::GridError;
pub use metrics::{Metrics, MetricsError};
pub use overrides::{Override, OverrideError};
pub use plan::{Experiment, PlanError, Trial, trial_name};
pub use provenance::Provenance;
pub use release::{RELEASE, released_model};
pub use results::{Rebuilt, named_hash, rebuild, setting_name, to_csv};
pub use runner::{BUSY, RunnerOptions, SweepEnding, SweepObserver, WORKER, run_experiment};
pub use runs::{Outcome, Reading, Run, RunTrial, Skipped};
pub use slurm::{SlurmError, submit};
pub use trial::{TrialEnding, TrialError, load_model, run_trial, step_seconds, weights_file};
