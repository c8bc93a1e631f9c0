//! Experiments: configs, run folders, and running a trial in one.

mod baseline;
mod check;
mod config;
mod config_file;
mod continuation;
mod data;
mod engine;
mod folder;
mod grid;
mod groups;
mod hints;
mod identity;
mod launchers;
mod legacy;
mod live;
mod locate;
mod lock;
mod log;
mod metrics;
mod moves;
mod names;
mod overrides;
mod plan;
mod probe;
mod provenance;
mod release;
mod removal;
mod results;
mod runs;
mod source;
mod status;
mod trial;

pub use check::Invalid;
pub use config::{Config, ConfigError};
pub use config_file::{ConfigFile, DataConfig, TruthKind};
pub use continuation::{ContinuationError, Predecessor};
pub use data::{DataError, steps_of_sample};
pub use engine::{NeedsTorch, needs_torch, torch_program};
pub use folder::{FolderError, RunFolder, Status};
pub use grid::GridError;
pub use groups::{TOGETHER, groups};
pub use hints::{keys_like, nearest};
pub use identity::Identity;
pub use launchers::{
    BUSY, ENDED, LAUNCHERS, LaunchError, Launched, Launcher, Order, Submission, Submitted, SweepEnding, SweepObserver,
    TrialEnd, WORKER, is_worker, split_words,
};
pub use live::{LiveRuns, LiveTrial, Point, trial_folders};
pub use lock::check_lock_mode;
pub use metrics::{Metrics, MetricsError};
pub use moves::{Moves, MovesError, plan_moves};
pub use names::{labels, named_hash, trial_folder, trial_name, trial_names};
pub use overrides::{Override, OverrideError};
pub use plan::{Experiment, PlanError, Trial};
pub use probe::step_seconds;
pub use provenance::Provenance;
pub use release::{RELEASE, released_model};
pub use removal::{Left, forget, remove_trial};
pub use results::{Rebuilt, rebuild, to_csv};
pub use runs::{Outcome, Reading, Run, RunTrial, Skipped};
#[cfg(test)]
use source::Source;
pub use trial::{TrialEnding, TrialError, first_model, load_model, prepared, run_trial, run_trials, weights_file};
