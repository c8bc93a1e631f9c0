//! What a run tells about itself: where it stands, how it ended, and why it could not go on.

use super::checkpoint::CheckpointError;
use super::evaluation::Evaluation;
use super::history::HistoryError;
use super::schedule::Phase;
use crate::metrics::Row;
use crate::model::EngineError;

/// What a run tells about itself while it goes on.
pub trait Observer {
    /// A step is done.
    fn step(&mut self, progress: Progress);
    /// A phase of the schedule has begun.
    fn phase(&mut self, step: u64, phase: Phase);
    /// An evaluation is under way, this share of it done.
    fn evaluating(&mut self, share: f64);
    /// An evaluation is done.
    fn evaluated(&mut self, row: &Row);
    /// Whether the run shall end now, with a checkpoint; asked after every step and during evaluations.
    fn interrupted(&self) -> bool;
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn step(&mut self, progress: Progress) {
        (**self).step(progress);
    }

    fn phase(&mut self, step: u64, phase: Phase) {
        (**self).phase(step, phase);
    }

    fn evaluating(&mut self, share: f64) {
        (**self).evaluating(share);
    }

    fn evaluated(&mut self, row: &Row) {
        (**self).evaluated(row);
    }

    fn interrupted(&self) -> bool {
        (**self).interrupted()
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The KL weight.
    pub beta: f64,
    /// The loss of the last step read, nats.
    pub loss: f64,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// All steps are done; the last evaluation.
    Finished(Box<Evaluation>),
    /// Stopped after this step; a checkpoint holds everything.
    Interrupted(u64),
}

/// Why a run ended before its last step.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The loss is not a number or far too large.
    #[error(
        "the loss {} at step {step} (reconstruction {recon}, KL {kl}, beta {beta}, learning rate {learning_rate:.2e}); \
         lower training.learning_rate or training.gradient_clip, or raise training.warm_up",
        if loss.is_finite() { format!("diverged to {loss:.1} nats") } else { format!("became {loss}") }
    )]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// The loss, nats.
        loss: f64,
        /// Its reconstruction term.
        recon: f64,
        /// Its KL term.
        kl: f64,
        /// The KL weight.
        beta: f64,
        /// The learning rate.
        learning_rate: f64,
    },
    /// There are fewer training dates than one batch takes.
    #[error("training.batch_size is {batch} and there are only {dates} training rows; lower it")]
    BatchTooLarge {
        /// The config's batch size.
        batch: i64,
        /// Number of training dates.
        dates: i64,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
