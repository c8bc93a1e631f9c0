//! Hyperparameters of Adam at each step, and the learning rate's schedule.

use std::f64::consts::PI;

use super::config::{Optimizer, StepConfig};
use crate::model::{
    AdamHyperparams, EncoderUpdate, MuonHyperparams, ScheduleFreeHyperparams, SoapHyperparams, StepOptions,
    TrainingState, UpdateRule,
};

/// Decay of the first moments.
const BETA1: f64 = 0.9;
/// Steps after which SOAP's bases are turned: its authors' default.
const BASES_EVERY: u64 = 10;
/// Keeps the update finite.
const EPSILON: f64 = 1e-8;

/// Adam's hyperparameters at a step, counted from 0.
pub fn adam_hyperparams(config: &StepConfig, step: u64) -> AdamHyperparams {
    adam_hyperparams_since(config, step, 0)
}

/// The same where the moments were 0 at step `since`.
pub(super) fn adam_hyperparams_since(config: &StepConfig, step: u64, since: u64) -> AdamHyperparams {
    hyperparams(config, step, since, |steps| steps)
}

/// How a step moves the weights: by Adam, and by what a config asks for besides. Moments were 0 at step `since`.
pub(super) fn update(config: &StepConfig, step: u64, since: u64) -> (AdamHyperparams, StepOptions<'static>) {
    let (adam, encoder) = updates(config, step, since);
    let rule = match config.optimizer {
        Optimizer::Adam if config.matrix_rate == 1.0 => UpdateRule::Adam,
        Optimizer::Adam => UpdateRule::TwoRates(config.matrix_rate),
        Optimizer::Muon => {
            UpdateRule::Muon(MuonHyperparams { momentum: config.momentum, rate: adam.rate * config.matrix_rate })
        }
        Optimizer::Soap => {
            // Its first update sets the bases alone.
            let AdamHyperparams { rate, bias_correction1, bias_correction2, .. } =
                adam_hyperparams_since(config, step, (since + 1).min(step));
            let rate = rate * config.matrix_rate;
            let turns = (step - since).is_multiple_of(BASES_EVERY);
            UpdateRule::Soap(SoapHyperparams { rate, turns, bias_correction1, bias_correction2 })
        }
        Optimizer::ScheduleFree => {
            let share = highest_rates(config, step, step + 1) / highest_rates(config, since, step + 1);
            UpdateRule::ScheduleFree(ScheduleFreeHyperparams { begins: step == since, share })
        }
    };
    // All steps count in the average as their decay has it, whatever their number.
    let done = (step + 1 - since) as f64;
    let average_share = match config.average {
        0.0 => 0.0,
        decay => (1.0 - decay) / (1.0 - decay.powf(done)),
    };
    (adam, StepOptions { encoder, rule, average_share, ..StepOptions::default() })
}

/// The squares of the highest learning rates so far, summed over some steps: what z counts for in the average of
/// schedule-free AdamW.
fn highest_rates(config: &StepConfig, from: u64, to: u64) -> f64 {
    let sum = |steps: u64| {
        let rising = steps.min(config.warm_up) as f64;
        let warm_up = config.warm_up.max(1) as f64;
        rising * (rising + 1.0) * (2.0 * rising + 1.0) / (6.0 * warm_up * warm_up)
            + steps.saturating_sub(config.warm_up) as f64
    };
    sum(to) - sum(from)
}

/// The weights that a trial is evaluated with: their average where one is kept, and x of schedule-free AdamW, which lies
/// between its y and z.
pub fn evaluated(config: &StepConfig, state: &TrainingState) -> Vec<f32> {
    let TrainingState { weights, first, average, .. } = state;
    if config.average > 0.0 && average.len() == weights.len() {
        return average.clone();
    }
    // Before the first step there is no z.
    let begun = first.iter().any(|z| *z != 0.0);
    if config.optimizer != Optimizer::ScheduleFree || !begun {
        return weights.clone();
    }
    let back = (1.0 / BETA1 - 1.0) as f32;
    weights.iter().zip(first).map(|(y, z)| (y - z).mul_add(back, *y)).collect()
}

/// How a step moves all weights but the encoder's, and how the encoder's where that differs: in the first
/// `aggressive_steps` several updates of the encoder alone come before each one of all weights (He et al. 2019). Moments
/// were 0 at step `since`.
fn updates(config: &StepConfig, step: u64, since: u64) -> (AdamHyperparams, Option<EncoderUpdate>) {
    let encoder = adam_hyperparams_since(config, step, since);
    let (cycle, aggressive) = (config.encoder_updates + 1, config.aggressive_steps);
    if cycle == 1 || aggressive == 0 {
        return (encoder, None);
    }
    let others = |steps: u64| steps.min(aggressive) / cycle + steps.saturating_sub(aggressive);
    let alone = others(step + 1) == others(step);
    (hyperparams(config, step, since, others), Some(EncoderUpdate { adam: encoder, alone }))
}

/// Hyperparameters for weights of which `updates` says how often they have been updated in so many steps.
fn hyperparams(config: &StepConfig, step: u64, since: u64, updates: impl Fn(u64) -> u64) -> AdamHyperparams {
    let StepConfig { steps, second_moment: early, late_second_moment: late, .. } = *config;
    // In the first phase, second moments that remember few steps are led astray by single ones.
    let early_steps = steps.div_ceil(10);
    let done = step + 1;
    let in_early = updates(done.min(early_steps)) - updates(since.min(early_steps));
    let in_late = updates(done.max(early_steps)) - updates(since.max(early_steps));
    let left = early.powf(in_early as f64) * late.powf(in_late as f64);
    let rate = learning_rate(config, step);
    AdamHyperparams {
        rate,
        clip: config.gradient_clip,
        beta1: BETA1,
        beta2: if step < early_steps { early } else { late },
        // It falls as the rate does (Defazio 2025). A constant decay would hold back the last and smallest changes, those
        // that make wrong dates rare.
        weight_decay: config.weight_decay * rate / config.learning_rate,
        bias_correction1: 1.0 - BETA1.powf((updates(done) - updates(since)) as f64),
        bias_correction2: 1.0 - left,
        epsilon: EPSILON,
    }
}

/// The learning rate at a step: a linear warm-up, then a cosine decay, and after a restart another one (Loshchilov and
/// Hutter 2017).
pub fn learning_rate(config: &StepConfig, step: u64) -> f64 {
    let next = (step + 1) as f64;
    let warm_up = config.warm_up as f64;
    if next <= warm_up {
        return config.learning_rate * next / warm_up;
    }
    let (steps, restart) = (config.steps as f64, (config.restart * config.steps as f64).round());
    let (begins, ends) = match () {
        () if restart <= warm_up => (warm_up, steps),
        () if next <= restart => (warm_up, restart),
        () => (restart, steps),
    };
    let done = (next - begins) / (ends - begins).max(1.0);
    let cosine = 0.5 * (1.0 + (PI * done.min(1.0)).cos());
    config.learning_rate * (config.final_share + (1.0 - config.final_share) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_then_falls_to_its_share() {
        let config = StepConfig { steps: 110, warm_up: 10, learning_rate: 1.0, final_share: 0.1, ..Default::default() };
        assert!((learning_rate(&config, 0) - 0.1).abs() < 1e-12);
        assert!((learning_rate(&config, 9) - 1.0).abs() < 1e-12);
        assert!((learning_rate(&config, 59) - 0.55).abs() < 1e-12);
        assert!((learning_rate(&config, 109) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_restart_has_a_decay_before_and_after_it() {
        let plain = StepConfig { steps: 110, warm_up: 10, learning_rate: 1.0, final_share: 0.1, ..Default::default() };
        let restarted = StepConfig { steps: 220, restart: 0.5, ..plain };
        for step in 0..110 {
            assert_eq!(learning_rate(&restarted, step), learning_rate(&plain, step), "{step}");
        }
        assert!(learning_rate(&restarted, 110) > 0.999);
        assert!((learning_rate(&restarted, 164) - 0.55).abs() < 1e-12);
        assert!((learning_rate(&restarted, 219) - 0.1).abs() < 1e-12);
        // Within the warm-up there is nothing to restart.
        let early = StepConfig { restart: 0.05, ..plain };
        assert!((0..110).all(|step| learning_rate(&early, step) == learning_rate(&plain, step)));
    }

    #[test]
    fn moments_of_weights_that_wait_for_the_encoder_count_their_own_updates() {
        let config = StepConfig {
            steps: 60,
            second_moment: 0.9,
            late_second_moment: 0.5,
            encoder_updates: 2,
            aggressive_steps: 9,
            ..Default::default()
        };
        let (mut first, mut second, mut joint) = (0.0, 0.0, Vec::new());
        for step in 0..20 {
            let (adam, encoder) = updates(&config, step, 0);
            let encoder = encoder.unwrap();
            assert_eq!(encoder.adam, adam_hyperparams(&config, step));
            if encoder.alone {
                continue;
            }
            joint.push(step);
            first += (1.0 - first) * (1.0 - adam.beta1);
            second += (1.0 - second) * (1.0 - adam.beta2);
            assert!((adam.bias_correction1 - first).abs() < 1e-12, "{step}");
            assert!((adam.bias_correction2 - second).abs() < 1e-12, "{step}");
        }
        assert_eq!(joint[..5], [2, 5, 8, 9, 10]);
        let plain = StepConfig { encoder_updates: 0, ..config };
        assert_eq!(updates(&plain, 3, 0), (adam_hyperparams(&plain, 3), None));
    }

    #[test]
    fn second_moments_forget_sooner_after_a_tenth_of_the_steps() {
        let config = StepConfig { steps: 100, second_moment: 0.9, late_second_moment: 0.5, ..Default::default() };
        // What the recurrence leaves of a steady 1.
        let mut held = 0.0;
        for step in 0..40 {
            let adam = adam_hyperparams(&config, step);
            assert_eq!(adam.beta2, if step < 10 { 0.9 } else { 0.5 }, "{step}");
            held += (1.0 - held) * (1.0 - adam.beta2);
            assert!((adam.bias_correction2 - held).abs() < 1e-12, "{step}");
        }
    }

    #[test]
    fn moments_that_begin_anew_are_corrected_from_there() {
        let config = StepConfig { steps: 100, second_moment: 0.9, late_second_moment: 0.5, ..Default::default() };
        for since in [4, 10, 30] {
            let mut held = [0.0, 0.0];
            for step in since..since + 20 {
                let adam = adam_hyperparams_since(&config, step, since);
                held[0] += (1.0 - held[0]) * (1.0 - adam.beta1);
                held[1] += (1.0 - held[1]) * (1.0 - adam.beta2);
                assert!((adam.bias_correction1 - held[0]).abs() < 1e-12, "{since} {step}");
                assert!((adam.bias_correction2 - held[1]).abs() < 1e-12, "{since} {step}");
            }
        }
    }

    #[test]
    fn what_moves_the_weights_has_the_steps_shares() {
        let plain = StepConfig { steps: 100, warm_up: 4, learning_rate: 0.5, final_share: 1.0, ..Default::default() };
        let (adam, options) = update(&plain, 7, 0);
        assert_eq!((adam, options.rule, options.average_share), (adam_hyperparams(&plain, 7), UpdateRule::Adam, 0.0));
        for since in [0, 2, 30] {
            let config = StepConfig { optimizer: Optimizer::ScheduleFree, average: 0.9, ..plain };
            let (mut squares, mut weight) = (0.0, 0.0);
            for step in since..since + 20 {
                let (_, options) = update(&config, step, since);
                let highest = (since..=step).map(|step| learning_rate(&config, step)).fold(0.0, f64::max);
                squares += highest * highest;
                let UpdateRule::ScheduleFree(rule) = options.rule else { panic!("{options:?}") };
                assert_eq!(rule.begins, step == since);
                assert!((rule.share - highest * highest / squares).abs() < 1e-12, "{since} {step}: {rule:?}");
                weight = 0.9 * weight + 1.0;
                assert!((options.average_share - 1.0 / weight).abs() < 1e-12, "{since} {step}");
            }
        }
        let muon = StepConfig { optimizer: Optimizer::Muon, matrix_rate: 3.0, momentum: 0.8, ..plain };
        let rule = UpdateRule::Muon(MuonHyperparams { momentum: 0.8, rate: 1.5 });
        assert_eq!(update(&muon, 50, 0).1.rule, rule);
        // Of SOAP's updates the first sets the bases alone, and moments count from the second.
        let soap = StepConfig { optimizer: Optimizer::Soap, ..muon };
        for (step, turns) in [(31, false), (40, true)] {
            let UpdateRule::Soap(rule) = update(&soap, step, 30).1.rule else { panic!("{step}") };
            let AdamHyperparams { bias_correction1, bias_correction2, .. } = adam_hyperparams_since(&soap, step, 31);
            assert_eq!(rule, SoapHyperparams { rate: 1.5, turns, bias_correction1, bias_correction2 });
            assert!((rule.bias_correction1 - (1.0 - 0.9f64.powi(step as i32 - 30))).abs() < 1e-12, "{rule:?}");
        }
        let adam = StepConfig { optimizer: Optimizer::Adam, ..muon };
        assert_eq!(update(&adam, 50, 0).1.rule, UpdateRule::TwoRates(3.0));
    }

    #[test]
    fn decay_falls_as_the_rate_does() {
        let config =
            StepConfig { steps: 110, warm_up: 10, learning_rate: 0.2, weight_decay: 0.1, ..Default::default() };
        for step in [0, 9, 59, 109] {
            let adam = adam_hyperparams(&config, step);
            assert!((adam.weight_decay / 0.1 - adam.rate / 0.2).abs() < 1e-12, "{step}: {adam:?}");
        }
        assert!((adam_hyperparams(&config, 9).weight_decay - 0.1).abs() < 1e-12);
    }
}
