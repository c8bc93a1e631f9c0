//! Training: schedules, the optimizer, the loop, its history and its checkpoints.
//!
//! A step is a function of weights, moments, seed and step number alone, so that a run resumed from a
//! checkpoint ends with the same weights, bit for bit, as one that was never interrupted.

mod baseline;
mod checkpoint;
mod config;
mod data;
mod evaluation;
mod history;
mod measures;
mod observer;
mod optimizer;
mod order;
mod schedule;
mod trainer;
mod trial_loop;

/// What an evaluation logs; the observer of a run sees it.
pub use crate::metrics::Row;
pub use baseline::{Counted, count_baseline};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use config::{
    BetaConfig, EvaluationConfig, Every, Objective, Optimizer, Schedule, StepConfig, TrainingConfig, TurnRule,
};
pub use data::TrialData;
pub use evaluation::{Drawn, EvalBudget, Evaluation, Exact, TestData, evaluate};
pub use history::{History, HistoryError};
pub use observer::{Ending, Observer, Progress, TrainingError};
pub use optimizer::{adam_hyperparams, evaluated, learning_rate};
pub use schedule::{BetaSchedule, Phase, ScheduleState, Turn};
pub use trainer::{Ended, Trainer};
pub use trial_loop::TrialLoop;
