//! What values a config may have, each by itself and beside the others.

use std::fmt;

use super::config::Config;
use super::config_file::ConfigFile;
use crate::dates::Holdout;
use crate::model::{ModelConfig, Pairing, Prior};
use crate::training::{Every, Optimizer, Schedule};

/// A value that can't be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Dotted path of the key.
    pub key: &'static str,
    /// Keys whose values it does not fit: where one of them was set last, that is the place to blame.
    pub with: &'static [&'static str],
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigFile {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value that can't be worked with.
    pub fn check(self) -> Result<Config, Invalid> {
        let ConfigFile { data, model, beta, objective, training, evaluation, .. } = &self;
        let steps = training.steps;
        between("threads", self.threads, 1, 1024)?;
        let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !(self.from.is_empty() || self.from.len() == 12 && digits(&self.from)) {
            let problem =
                "it is not the hash of a trial, 12 hexadecimal digits; cvae train --from TRIAL sets it".to_owned();
            return Err(Invalid { key: "from", with: &[], problem });
        }
        between("data.held_out", data.held_out, 0.001, 0.9)?;
        between("data.sealed", data.sealed, 0.0, 0.9)?;
        if !data.split_by.is_empty() && data.split != Holdout::Structured {
            let problem = "it belongs to data.split = \"structured\"; set that, or leave it out".to_owned();
            return Err(Invalid { key: "data.split_by", with: &["data.split"], problem });
        }
        between("model.smoothing", model.smoothing, 1e-9, 1e6)?;
        if !model.kind.is_baseline() && model.smoothing != ModelConfig::default().smoothing {
            let problem =
                "it belongs to model.kind = \"counts\" or \"columns\"; set one of these, or leave it out".to_owned();
            return Err(Invalid { key: "model.smoothing", with: &["model.kind"], problem });
        }
        if model.kind.is_baseline() && !self.from.is_empty() {
            let problem = "a baseline is counted anew and goes on from no trial; leave out --from".to_owned();
            return Err(Invalid { key: "model.kind", with: &["from"], problem });
        }
        between("model.latent_dim", model.latent_dim, 0, 1024)?;
        between("model.hidden_dim", model.hidden_dim, 4, 8192)?;
        between("model.angles", model.angles, 1, 8192)?;
        between("training.steps", steps, 1, 1_000_000_000)?;
        data.check()?;
        // About as many dates are trained on; how many exactly, the split decides, and training checks again.
        let dates = if data.is_dates() { 146_462.0 * (1.0 - data.held_out) * (1.0 - data.sealed) } else { 1e9 };
        between("training.batch_size", training.batch_size, 1, dates as i64).map_err(with(&["data.held_out"]))?;
        let first = training.first_batch_size;
        between("training.first_batch_size", first, 0, training.batch_size).map_err(with(&["training.batch_size"]))?;
        between("training.learning_rate", training.learning_rate, 1e-9, 10.0)?;
        between("training.final_share", training.final_share, 0.0, 1.0)?;
        between("training.restart", training.restart, 0.0, 0.99)?;
        between("training.second_moment", training.second_moment, 0.0, 0.999_999)?;
        between("training.late_second_moment", training.late_second_moment, 0.0, 0.999_999)?;
        // At this most, a step at the highest learning rate leaves nothing.
        between("training.weight_decay", training.weight_decay, 0.0, 1.0 / training.learning_rate)
            .map_err(with(&["training.learning_rate"]))?;
        at_least("training.gradient_clip", training.gradient_clip, 1e-9)?;
        between("training.matrix_rate", training.matrix_rate, 0.0, 1e3)?;
        between("training.momentum", training.momentum, 0.0, 0.999_999)?;
        between("training.average", training.average, 0.0, 0.999_999)?;
        if training.encoder_updates > 0 && (training.optimizer != Optimizer::Adam || training.matrix_rate != 1.0) {
            let problem = "updates of the encoder alone are Adam's at one rate; set training.optimizer = \"adam\" and \
                           training.matrix_rate = 1"
                .to_owned();
            let with = &["training.optimizer", "training.matrix_rate"];
            return Err(Invalid { key: "training.encoder_updates", with, problem });
        }
        at_least("training.divergence", training.divergence, 12.0)?;
        at_least("training.checkpoint_every", training.checkpoint_every, 1)?;
        if let Every::Steps(every) = evaluation.every {
            at_least("evaluation.every", every, 1)?;
        }
        between("evaluation.samples", evaluation.samples, 1, 1_000_000)?;
        between("evaluation.final_samples", evaluation.final_samples, 1, 1_000_000)?;
        between("objective.hybrid", objective.hybrid, 0.0, 1e6)?;
        between("objective.codes", objective.codes, 1, 1_000_000)?;
        if objective.codes > training.batch_size && objective.pairing != Pairing::Own {
            let (codes, batch) = (objective.codes, training.batch_size);
            let problem =
                format!("{codes} codes are more than training.batch_size ({batch}); lower one or raise the other");
            return Err(Invalid {
                key: "objective.codes",
                with: &["training.batch_size", "objective.pairing"],
                problem,
            });
        }
        between("objective.free_bits", objective.free_bits, 0.0, 1e6)?;
        self.check_cures()?;
        between("evaluation.codes", evaluation.codes, 0, 1_000_000)?;
        between("evaluation.importance", evaluation.importance, 0, 1_000_000)?;
        between("beta.value", beta.value, 0.0, 1e6)?;
        between("beta.low", beta.low, 0.0, 1e6)?;
        at_least("beta.high", beta.high, 0.0)?;
        between("beta.calendar", beta.calendar, 0.0, 100.0)?;
        between("beta.code", beta.code, 0.0, 100.0)?;
        between("beta.cycles", beta.cycles, 1, 1_000_000)?;
        let never_ends = |key, with, takes: String| {
            let problem = format!("{takes}, but training.steps is {steps}; lower {key} or raise training.steps");
            Err(Invalid { key, with, problem })
        };
        if training.warm_up >= steps {
            let takes = format!("a warm-up of {} steps takes longer than the run", training.warm_up);
            return never_ends("training.warm_up", &["training.steps"], takes);
        }
        let rises = match beta.schedule {
            Schedule::Constant => 0,
            Schedule::Cyclical => beta.cycles.saturating_mul(beta.rise.max(1)),
            // The phases before the rise take a step each at the least.
            Schedule::Phased => beta.rise.saturating_add(2),
            Schedule::Linear => beta.rise,
        };
        if rises > steps {
            let with: &[_] = match beta.schedule {
                Schedule::Cyclical => &["training.steps", "beta.cycles", "beta.schedule"],
                _ => &["training.steps", "beta.schedule"],
            };
            return never_ends("beta.rise", with, format!("this schedule needs {rises} steps to reach beta.value"));
        }
        Ok(Config(self))
    }

    /// Whether only the built-in engine trains it.
    pub fn builtin_alone(&self) -> bool {
        let Self { model, objective, training, .. } = self;
        let cures = objective.importance_samples > 1 || objective.mmd > 0.0 || training.encoder_updates > 0;
        let updates = training.optimizer != Optimizer::Adam || training.matrix_rate != 1.0 || training.average > 0.0;
        cures || updates || training.first_batch_size > 0 || model.prior != Prior::Standard
    }

    /// Checks the keys of cures for an unused code, which ask for a code and do not all go together.
    fn check_cures(&self) -> Result<(), Invalid> {
        let Self { model, beta, objective, training, .. } = self;
        let invalid =
            |key, with: &'static [&'static str], problem: &str| Err(Invalid { key, with, problem: problem.to_owned() });
        between("objective.importance_samples", objective.importance_samples, 1, 1000)?;
        between("objective.mmd", objective.mmd, 0.0, 1e6)?;
        between("training.encoder_updates", training.encoder_updates, 0, 1_000_000)?;
        between("training.aggressive_steps", training.aggressive_steps, 0, 1_000_000_000)?;
        let asked = [
            ("training.encoder_updates", training.encoder_updates > 0),
            ("objective.importance_samples", objective.importance_samples > 1),
            ("objective.mmd", objective.mmd > 0.0),
            ("model.prior", model.prior != Prior::Standard),
        ];
        if let Some((key, _)) = asked.into_iter().find(|(_, asked)| *asked && model.latent_dim == 0) {
            let problem = "it belongs to a model with z; leave it out, or set model.latent_dim above 0";
            return invalid(key, &["model.latent_dim"], problem);
        }
        let others = [("objective.hybrid", objective.hybrid), ("objective.free_bits", objective.free_bits)];
        if let Some((key, _)) = others.into_iter().find(|(_, value)| objective.importance_samples > 1 && *value > 0.0) {
            let problem = "the importance-weighted bound has no such term; set 0, or objective.importance_samples = 1";
            return invalid(key, &["objective.importance_samples"], problem);
        }
        let together =
            "training.encoder_updates and training.aggressive_steps go together; set both, or leave both out";
        match (training.encoder_updates, training.aggressive_steps) {
            (1.., 0) => invalid("training.aggressive_steps", &["training.encoder_updates"], together),
            (0, 1..) => invalid("training.encoder_updates", &["training.aggressive_steps"], together),
            // Updates of an encoder whose code is closed would move nothing.
            (1.., 1..) if beta.schedule == Schedule::Phased => {
                let problem = "a phased schedule keeps the code closed at first; set another beta.schedule";
                invalid("training.encoder_updates", &["beta.schedule", "training.aggressive_steps"], problem)
            }
            _ => Ok(()),
        }
    }
}

fn between<T: PartialOrd + fmt::Display>(key: &'static str, value: T, least: T, most: T) -> Result<(), Invalid> {
    // NaN is between nothing.
    if value >= least && value <= most {
        return Ok(());
    }
    Err(Invalid { key, with: &[], problem: format!("{value} is not between {least} and {most}") })
}

fn at_least<T: PartialOrd + fmt::Display>(key: &'static str, value: T, least: T) -> Result<(), Invalid> {
    if value >= least {
        return Ok(());
    }
    Err(Invalid { key, with: &[], problem: format!("{value} is not {least} or more") })
}

/// Adds the keys that a limit is made of.
fn with(keys: &'static [&'static str]) -> impl FnOnce(Invalid) -> Invalid {
    move |invalid| Invalid { with: keys, ..invalid }
}
