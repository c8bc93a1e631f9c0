//! The parts of a config that training reads, as written; `experiment::config` checks their values.

use serde::{Deserialize, Serialize};

use super::schedule::{BetaSchedule, Turn};
use crate::model::Pairing;
use crate::random::Noise;

/// Steps, batches and the optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepConfig {
    /// Optimizer steps of the whole run.
    pub steps: u64,
    /// Dates of a step.
    pub batch_size: i64,
    /// Dates of the first step, from which batches grow evenly to `batch_size` at the last (Smith et al. 2018); 0 where all
    /// are alike. Other than 0: built-in engine alone.
    pub first_batch_size: i64,
    /// Peak learning rate of Adam.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from 0 to its peak; a cosine decay follows.
    pub warm_up: u64,
    /// The last learning rate as a share of the peak.
    pub final_share: f64,
    /// Share of the steps after which the learning rate goes back from its last value to its peak (a warm restart, Loshchilov
    /// and Hutter 2017); 0 for none.
    pub restart: f64,
    /// Decay of Adam's second moments in the first tenth of the steps.
    pub second_moment: f64,
    /// The same in all later steps.
    pub late_second_moment: f64,
    /// Decoupled decay (Loshchilov and Hutter 2019) of the weights with which the decoder's heads read the trunk's
    /// angles, and of the heads' hidden layers: a step takes this share of them, times the learning rate, times the
    /// learning rate as a share of its peak (Defazio 2025, [arXiv](https://arxiv.org/abs/2506.02285)).
    pub weight_decay: f64,
    /// Largest norm of the gradient over all weights; longer ones are shortened to it.
    pub gradient_clip: f64,
    /// A loss above this many nats per date ends the run as diverged; a uniform guess costs 11.9.
    pub divergence: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Updates of the encoder alone, each on a batch of its own, before each update of all weights, in the first
    /// `aggressive_steps` (He et al. 2019). They count as steps. The gradients of the encoder and of all else are clipped
    /// apart then. Built-in engine alone.
    pub encoder_updates: u64,
    /// Steps, from the first, in which the encoder is updated more often than the decoder.
    pub aggressive_steps: u64,
    /// What moves the weights. Others than `"adam"`: built-in engine alone.
    pub optimizer: Optimizer,
    /// Learning rate of the hidden layers' matrices as a multiple of `learning_rate`. Other than 1: built-in engine alone.
    pub matrix_rate: f64,
    /// Decay of Muon's momentum.
    pub momentum: f64,
    /// Decay of a running average of the weights, which is evaluated and kept in place of the last ones (Polyak and
    /// Juditsky 1992); 0 for none. Built-in engine alone.
    pub average: f64,
    /// Whether training rows are drawn so that each condition comes equally often, however many rows it has.
    pub balanced: bool,
    /// Whether the last checkpoint is kept at the end, so that `cvae train --from` can take Adam's moments over.
    pub keep_checkpoint: bool,
}

impl Default for StepConfig {
    fn default() -> Self {
        Self {
            steps: 18_000,
            batch_size: 512,
            first_batch_size: 0,
            learning_rate: 0.008,
            warm_up: 100,
            final_share: 0.001,
            restart: 0.0,
            second_moment: 0.999,
            late_second_moment: 0.995,
            weight_decay: 0.05,
            gradient_clip: 1.0,
            divergence: 100.0,
            checkpoint_every: 500,
            encoder_updates: 0,
            aggressive_steps: 0,
            optimizer: Optimizer::Adam,
            matrix_rate: 1.0,
            momentum: 0.95,
            average: 0.0,
            balanced: false,
            keep_checkpoint: false,
        }
    }
}

impl StepConfig {
    /// Rows of a step, counted from 0.
    pub fn rows_of(&self, step: u64) -> u64 {
        let (first, last) = (self.first_batch_size as u64, self.batch_size as u64);
        match first {
            0 => last,
            _ => first + (last - first) * step / self.steps.saturating_sub(1).max(1),
        }
    }

    /// Rows of so many steps.
    pub fn rows_until(&self, steps: u64) -> u64 {
        match self.first_batch_size {
            0 => steps * self.rows_of(0),
            _ => (0..steps).map(|step| self.rows_of(step)).sum(),
        }
    }
}

/// What moves the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Kingma and Ba 2015, Loshchilov and Hutter 2019).
    #[default]
    Adam,
    /// Muon for the hidden layers' matrices, Adam for all else ([Jordan et al. 2024](https://kellerjordan.github.io/posts/muon)),
    /// updates as long as Adam's ([Liu et al. 2025](https://arxiv.org/abs/2502.16982)).
    Muon,
    /// SOAP for the hidden layers' matrices, Adam for all else ([Vyas et al. 2024](https://arxiv.org/abs/2409.11321)); the
    /// bases are turned every ten steps.
    Soap,
    /// Schedule-free AdamW ([Defazio et al. 2024](https://arxiv.org/abs/2405.15682)). It asks for `final_share = 1`.
    ScheduleFree,
}

/// Terms of the objective beside the reconstruction and beta KL.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// Weight of the reconstruction under z from the prior (Sohn et al. 2015), from the match phase on.
    pub hybrid: f64,
    /// Which dates codes from the prior are paired with.
    pub pairing: Pairing,
    /// Codes drawn from the prior for a condition that are paired with its dates together.
    pub codes: i64,
    /// KL of a latent dimension below which it is not pressed, nats (Kingma et al. 2016).
    pub free_bits: f64,
    /// Codes of each row in the importance-weighted bound (Burda et al. 2016); 1 is the ELBO. Above 1, built-in engine
    /// alone.
    pub importance_samples: usize,
    /// Weight of the squared maximum mean discrepancy between the aggregated posterior of a condition and the prior, mean
    /// over `batch_size / codes` conditions of a step (Zhao et al. 2019). Built-in engine alone.
    pub mmd: f64,
    /// How the noise of a step is drawn: that of the posteriors over the rows of the batch, and codes from the prior over
    /// those of a condition.
    pub noise: Noise,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            hybrid: 1.0,
            pairing: Pairing::default(),
            codes: 64,
            free_bits: 0.0,
            importance_samples: 1,
            mmd: 0.0,
            noise: Noise::default(),
        }
    }
}

/// Kinds of beta schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// `value` throughout.
    Constant,
    /// From `low` to `value` over `rise` steps, then constant.
    Linear,
    /// `cycles` times from `low` to `value`, the rise taking `rise` steps of each (Fu et al. 2019).
    Cyclical,
    /// `high` until the condition is learned, `low` until z carries the choice, then up to `value` over `rise` steps;
    /// `turn` says what ends the first two.
    #[default]
    Phased,
}

/// What ends the phases of a phased schedule before the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnRule {
    /// `thresholds` for dates, `plateau` for any other task.
    #[default]
    Auto,
    /// The thresholds `calendar` and `code`, which are those of dates.
    Thresholds,
    /// A reconstruction that is less than 1 % better than 200 steps before, from 15 % and 5 % of the run on; 30 % and 10 %
    /// of it at the latest.
    Plateau,
    /// The same, but while the reconstruction is more than 0.4 nats above the entropy of the training rows, the first
    /// phase goes on, for 50 % of the run at the latest. Of a sample, whose entropy is not known, `plateau`.
    Entropy,
}

/// The KL weight over training. Which keys count depends on the kind of schedule; see [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BetaConfig {
    /// Kind of schedule.
    pub schedule: Schedule,
    /// Beta at the end.
    pub value: f64,
    /// Beta at the start of a rise.
    pub low: f64,
    /// Beta until the calendar is known; infinite closes the code altogether.
    pub high: f64,
    /// Steps of a rise.
    pub rise: u64,
    /// Number of cycles.
    pub cycles: u64,
    /// Running reconstruction, nats, below which the decoder knows the calendar.
    pub calendar: f64,
    /// Running KL, nats, above which z carries the choice.
    pub code: f64,
    /// What ends the first two phases of a phased schedule.
    pub turn: TurnRule,
}

impl Default for BetaConfig {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            value: 0.55,
            low: 0.02,
            high: f64::INFINITY,
            rise: 400,
            cycles: 4,
            calendar: 3.28,
            code: 3.5,
            turn: TurnRule::default(),
        }
    }
}

impl BetaConfig {
    /// The schedule that these keys describe; `thresholds` says whether those of dates fit the task. The entropy of the
    /// training rows, nats, is that of an exact truth.
    pub fn schedule(&self, steps: u64, thresholds: bool, entropy: Option<f64>) -> BetaSchedule {
        match self.schedule {
            Schedule::Constant => BetaSchedule::Constant { beta: self.value },
            Schedule::Linear => BetaSchedule::Linear { from: self.low, to: self.value, rise: self.rise },
            Schedule::Cyclical => {
                let cycle = (steps / self.cycles.max(1)).max(1);
                BetaSchedule::Cyclical { from: self.low, to: self.value, cycle, rise: self.rise }
            }
            Schedule::Phased => BetaSchedule::Phased {
                high: self.high,
                low: self.low,
                end: self.value,
                rise: self.rise,
                turn: match self.turn {
                    TurnRule::Plateau => Turn::plateau(steps, None),
                    TurnRule::Entropy => Turn::plateau(steps, entropy),
                    TurnRule::Auto if !thresholds => Turn::plateau(steps, None),
                    _ => Turn::Thresholds { calendar: self.calendar, code: self.code },
                },
            },
        }
    }
}

/// When a run is evaluated, besides its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a whole number from 1 up, or \"log\"")]
pub enum Every {
    /// After so many steps each.
    Steps(u64),
    /// By a word, as `"log"`.
    Named(Words),
}

/// Spacings of evaluations that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Words {
    /// After 25 steps, and twice as many each time: most of what is learned is learned early.
    Log,
}

impl Every {
    /// The first evaluation of a logarithmic spacing.
    const FIRST: u64 = 25;

    /// Whether an evaluation is due after so many steps.
    pub fn is_due(self, step: u64) -> bool {
        match self {
            Self::Steps(every) => step.is_multiple_of(every),
            Self::Named(Words::Log) => step.is_multiple_of(Self::FIRST) && (step / Self::FIRST).is_power_of_two(),
        }
    }
}

/// What is measured during training and at its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Steps between evaluations, or `"log"`: at steps 25, 50, 100, 200, 400 and so on.
    pub every: Every,
    /// Samples of each condition at an evaluation during training.
    pub samples: usize,
    /// Samples of each condition at the end.
    pub final_samples: usize,
    /// Codes of each condition in the exact marginals at the end; 0 leaves them out. Rows of the history take at most 128
    /// codes of some of the conditions.
    pub codes: u32,
    /// Draws of z in the importance-weighted likelihood of earlier versions: read, so that their trials keep their
    /// names, and without effect.
    #[serde(skip_serializing_if = "is_first_importance")]
    pub importance: u32,
}

/// What `evaluation.importance` was unless a config said otherwise.
pub(crate) const FIRST_IMPORTANCE: u32 = 512;

fn is_first_importance(importance: &u32) -> bool {
    *importance == FIRST_IMPORTANCE
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { every: Every::Steps(800), samples: 10, final_samples: 1000, codes: 1024, importance: FIRST_IMPORTANCE }
    }
}

/// All that a training run reads, apart from data and model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingConfig {
    /// What tells the trial from others: a checkpoint of another one is not taken up.
    pub identity: u64,
    /// Seed of initial weights, order and noise.
    pub seed: u64,
    /// Steps, batches and the optimizer.
    pub training: StepConfig,
    /// The KL weight.
    pub beta: BetaConfig,
    /// Other terms of the objective.
    pub objective: Objective,
    /// What is measured.
    pub evaluation: EvaluationConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_from_the_first_size_to_the_last() {
        let config = StepConfig { steps: 5, batch_size: 50, first_batch_size: 10, ..StepConfig::default() };
        assert_eq!((0..5).map(|step| config.rows_of(step)).collect::<Vec<_>>(), [10, 20, 30, 40, 50]);
        assert_eq!((config.rows_until(3), config.rows_until(5)), (60, 150));
        let alike = StepConfig { first_batch_size: 0, ..config };
        assert_eq!((alike.rows_of(0), alike.rows_until(4)), (50, 200));
        assert_eq!(StepConfig { steps: 1, ..config }.rows_of(0), 10);
    }

    #[test]
    fn evaluations_are_due_at_equal_or_at_doubling_distances() {
        let due = |every: Every| (1..=900).filter(|step| every.is_due(*step)).collect::<Vec<u64>>();
        assert_eq!(due(Every::Steps(300)), [300, 600, 900]);
        assert_eq!(due(Every::Named(Words::Log)), [25, 50, 100, 200, 400, 800]);
    }
}
