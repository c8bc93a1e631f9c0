//! Adam with its moments in the open, gradient clipping, and the learning rate's schedule.
//!
//! `tch`'s optimizers expose no state, and a bit-exact resume needs it. The moments of all weights lie in
//! one flat tensor each, so that an update is a handful of calls, whatever the number of weights.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use tch::{Kind, Tensor};

use super::config::StepConfig;

/// Decay of the first moments.
pub(super) const BETA_1: f64 = 0.9;
/// What keeps the update finite.
pub(super) const EPSILON: f64 = 1e-8;

/// How far a step goes.
#[derive(Clone, Copy, Debug)]
pub struct Stride {
    /// The learning rate.
    pub rate: f64,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Decay of the second moments.
    pub second_moment: f64,
    /// Share of the decayed weights that a step takes, times the rate. It falls as the rate does (Defazio 2025).
    pub weight_decay: f64,
    /// What the second moments hold of a steady gradient's square, having begun at 0.
    pub second_share: f64,
    /// The same of the first moments.
    pub first_share: f64,
}

impl Stride {
    /// The stride of a step, counted from 0.
    pub fn at(config: &StepConfig, step: u64) -> Self {
        let StepConfig { steps, second_moment: early, late_second_moment: late, .. } = *config;
        // While the calendar is learned, second moments that remember few steps are led astray by single ones.
        let early_steps = steps.div_ceil(10);
        let done = step + 1;
        let left = early.powf(done.min(early_steps) as f64) * late.powf(done.saturating_sub(early_steps) as f64);
        let rate = learning_rate(config, step);
        Self {
            rate,
            clip: config.gradient_clip,
            second_moment: if step < early_steps { early } else { late },
            // A constant decay would hold the last and smallest changes back, those that make wrong dates rare.
            weight_decay: config.weight_decay * rate / config.learning_rate,
            second_share: 1.0 - left,
            first_share: 1.0 - BETA_1.powf(done as f64),
        }
    }
}

/// Adam (Kingma and Ba 2015) over a model's weights, with a decay of some of them that is apart from the gradient
/// (Loshchilov and Hutter 2019, algorithm 2).
#[derive(Debug)]
pub struct Adam {
    parameters: Vec<Tensor>,
    decayed: Vec<Tensor>,
    sizes: Vec<i64>,
    /// First moments of all weights, flat, `[weights]`.
    pub first: Tensor,
    /// Second moments of all weights, flat, `[weights]`.
    pub second: Tensor,
}

impl Adam {
    /// An optimizer of these weights, which decays those of them that are named again, with its moments at 0.
    pub fn new(parameters: Vec<Tensor>, decayed: Vec<Tensor>) -> Self {
        let sizes: Vec<i64> = parameters.iter().map(|parameter| parameter.numel() as i64).collect();
        let device = parameters.first().map_or(tch::Device::Cpu, Tensor::device);
        let zeros = || Tensor::zeros([sizes.iter().sum()], (Kind::Float, device));
        Self { first: zeros(), second: zeros(), parameters, decayed, sizes }
    }

    /// Takes over saved moments, named `first` and `second`.
    ///
    /// # Errors
    /// When one is missing or of another size; the text says which.
    pub fn restore(&mut self, mut moments: BTreeMap<String, Tensor>) -> Result<(), String> {
        for (name, own) in [("first", &mut self.first), ("second", &mut self.second)] {
            let saved = moments.remove(name).ok_or_else(|| format!("its moments {name} are missing"))?;
            if saved.size() != own.size() {
                return Err(format!("its moments {name} have shape {:?}, expected {:?}", saved.size(), own.size()));
            }
            own.copy_(&saved);
        }
        Ok(())
    }

    /// The loss's gradient over all weights, flat, `[weights]`.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let gradients = Tensor::run_backward(&[loss], &self.parameters, false, false);
        let flat = gradients.iter().zip(&self.parameters).map(|(gradient, parameter)| {
            // Weights that the loss doesn't touch, such as the encoder's while the code is closed.
            if gradient.defined() { gradient.view([-1]) } else { parameter.detach().zeros_like().view([-1]) }
        });
        Tensor::cat(&flat.collect::<Vec<_>>(), 0)
    }

    /// Shortens a long gradient, decays and moves the weights.
    pub fn update(&mut self, mut gradient: Tensor, stride: Stride) {
        let Stride { rate, clip, second_moment, weight_decay, second_share, first_share } = stride;
        tch::no_grad(|| {
            if weight_decay > 0.0 {
                for weights in &self.decayed {
                    let _ = weights.shallow_clone().g_mul_scalar_(1.0 - rate * weight_decay);
                }
            }
            let shrink: Tensor = clip / (gradient.norm() + 1e-12);
            gradient *= shrink.clamp_max(1.0);
            let _ = self.first.lerp_(&gradient, 1.0 - BETA_1);
            let _ = self.second.lerp_(&gradient.square(), 1.0 - second_moment);
            let change = &self.first * (rate / first_share) / ((&self.second / second_share).sqrt() + EPSILON);
            for (parameter, change) in self.parameters.iter().zip(change.split_with_sizes(&self.sizes, 0)) {
                let _ = parameter.shallow_clone().g_sub_(&change.view_as(parameter));
            }
        });
    }
}

/// The learning rate at a step: a linear warm-up, then a cosine decay (Loshchilov and Hutter 2017).
pub fn learning_rate(config: &StepConfig, step: u64) -> f64 {
    let next = (step + 1) as f64;
    let warm_up = config.warm_up as f64;
    if next <= warm_up {
        return config.learning_rate * next / warm_up;
    }
    let done = (next - warm_up) / (config.steps as f64 - warm_up).max(1.0);
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
    fn second_moments_forget_sooner_after_a_tenth_of_the_steps() {
        let config = StepConfig { steps: 100, second_moment: 0.9, late_second_moment: 0.5, ..Default::default() };
        // What the recurrence leaves of a steady 1.
        let mut held = 0.0;
        for step in 0..40 {
            let stride = Stride::at(&config, step);
            assert_eq!(stride.second_moment, if step < 10 { 0.9 } else { 0.5 }, "{step}");
            held += (1.0 - held) * (1.0 - stride.second_moment);
            assert!((stride.second_share - held).abs() < 1e-12, "{step}");
        }
    }

    #[test]
    fn the_first_update_is_the_learning_rate_along_the_sign_of_the_gradient() {
        // Kingma and Ba 2015, section 2.1: |m / sqrt(v)| = 1 when there is one gradient.
        let weight = Tensor::from_slice(&[1.0f32, 2.0]).set_requires_grad(true);
        let unused = Tensor::from_slice(&[5.0f32]).set_requires_grad(true);
        let mut adam = Adam::new(vec![weight.shallow_clone(), unused.shallow_clone()], Vec::new());
        let loss = (&weight * Tensor::from_slice(&[3.0f32, -4.0])).sum(Kind::Float);
        let gradient = adam.gradient(&loss);
        assert_eq!(Vec::<f32>::try_from(&gradient).unwrap(), [3.0, -4.0, 0.0]);
        adam.update(gradient, Stride { rate: 0.1, clip: 1e9, ..Stride::at(&StepConfig::default(), 0) });
        let values = Vec::<f32>::try_from(weight.detach()).unwrap();
        assert!((values[0] - 0.9).abs() < 1e-5 && (values[1] - 2.1).abs() < 1e-5, "{values:?}");
        assert_eq!(Vec::<f32>::try_from(unused.detach()).unwrap(), [5.0]);
    }

    #[test]
    fn decay_falls_as_the_rate_does() {
        let config =
            StepConfig { steps: 110, warm_up: 10, learning_rate: 0.2, weight_decay: 0.1, ..Default::default() };
        for step in [0, 9, 59, 109] {
            let stride = Stride::at(&config, step);
            assert!((stride.weight_decay / 0.1 - stride.rate / 0.2).abs() < 1e-12, "{step}: {stride:?}");
        }
        assert!((Stride::at(&config, 9).weight_decay - 0.1).abs() < 1e-12);
    }

    #[test]
    fn decay_takes_its_share_of_the_weights_that_it_is_for_whatever_their_gradient() {
        let [kept, decayed] = [(); 2].map(|()| Tensor::from_slice(&[4.0f32, -2.0]));
        let mut adam = Adam::new(vec![kept.shallow_clone(), decayed.shallow_clone()], vec![decayed.shallow_clone()]);
        let stride = Stride { rate: 0.5, weight_decay: 0.1, ..Stride::at(&StepConfig::default(), 0) };
        adam.update(Tensor::from_slice(&[0.0f32; 4]), stride);
        assert_eq!(Vec::<f32>::try_from(&kept).unwrap(), [4.0, -2.0]);
        assert_eq!(Vec::<f32>::try_from(&decayed).unwrap(), [3.8, -1.9]);
        // Apart from the gradient: its size changes the move and not the decay.
        adam.update(Tensor::from_slice(&[0.0f32, 0.0, 0.0, 1e3]), Stride { clip: 1e9, ..stride });
        let values = Vec::<f32>::try_from(&decayed).unwrap();
        assert!((values[0] - 3.8 * 0.95).abs() < 1e-5, "{values:?}");
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_kept() {
        let weight = Tensor::from_slice(&[0.0f32, 0.0]).set_requires_grad(true);
        for (gradient, expected) in [([3.0f32, 4.0], [0.06, 0.08]), ([0.3, 0.4], [0.03, 0.04])] {
            let mut adam = Adam::new(vec![weight.shallow_clone()], Vec::new());
            let stride = Stride { rate: 0.0, clip: 1.0, ..Stride::at(&StepConfig::default(), 0) };
            adam.update(Tensor::from_slice(&gradient), stride);
            let first = Vec::<f32>::try_from(&adam.first).unwrap();
            assert!((first[0] - expected[0]).abs() < 1e-6 && (first[1] - expected[1]).abs() < 1e-6, "{first:?}");
        }
    }
}
