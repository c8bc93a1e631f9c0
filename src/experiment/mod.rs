//! Experiments: configs, run folders, and running a trial in one.

mod config;
mod folder;
mod grid;
mod locate;
mod log;
mod metrics;
mod provenance;
mod source;
mod trial;

pub use config::{Config, ConfigError, ConfigFile, DataConfig, DeviceChoice, Invalid, Override, OverrideError};
pub use folder::{FolderError, RunFolder, Status};
pub use metrics::{Metrics, MetricsError};
pub use provenance::Provenance;
pub use trial::{TrialEnding, TrialError, load_model, run_trial};
