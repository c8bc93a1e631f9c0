//! Experiments: configs, run folders, and running a trial in one.

mod config;
mod engine;
mod folder;
mod grid;
mod launchers;
mod locate;
mod lock;
mod log;
mod metrics;
mod overrides;
mod plan;
mod provenance;
mod release;
mod results;
mod runs;
mod settings;
mod source;
mod table;
mod trial;

pub use config::{Config, ConfigError, ConfigFile, DataConfig, Invalid};
pub use engine::{NeedsTorch, needs_torch};
pub use folder::{FolderError, RunFolder, Status};
pub use grid::GridError;
pub use launchers::{
    BUSY, LAUNCHERS, LaunchError, Launched, Launcher, Order, Submitted, SweepEnding, SweepObserver, WORKER,
};
pub use metrics::{Metrics, MetricsError};
pub use overrides::{Override, OverrideError};
pub use plan::{Experiment, PlanError, Trial, trial_name};
pub use provenance::Provenance;
pub use release::{RELEASE, released_model};
pub use results::{Finished, named_hash, rebuild, to_csv};
pub use runs::{Outcome, Run, RunTrial};
pub use settings::{Mean, Setting, UNCHANGED, settings, short, values, varying};
pub use table::{Table, TableError};
pub use trial::{TrialEnding, TrialError, load_model, run_trial, step_seconds};
