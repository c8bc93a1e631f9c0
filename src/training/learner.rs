//! What takes a step: the fused computation where it can, autograd and [`Adam`] elsewhere.

use tch::Tensor;

use super::optimizer::{Adam, BETA_1, EPSILON, Stride};
use crate::model::{AdamStep, Batch, Fused, Model, Prior, Terms, Weights, objective};

/// A way to compute gradients and to follow them.
#[derive(Debug)]
pub enum Learner {
    /// libtorch's, for any model on any device.
    Autograd,
    /// By hand, with weights and moments of its own between two calls of [`Learner::settle`].
    Fused {
        /// Weights and gradients.
        fused: Box<Fused>,
        /// First moments.
        first: Vec<f32>,
        /// Second moments.
        second: Vec<f32>,
    },
}

impl Learner {
    /// The faster way that a model allows, from the weights and moments that it has, on libtorch's number of
    /// threads, which a config has set.
    pub fn new(model: &Model, adam: &Adam) -> Self {
        let threads = tch::get_num_threads().max(1) as usize;
        let Some(fused) = Fused::new(model, threads) else { return Self::Autograd };
        let read = |moments: &Tensor| {
            let mut values = vec![0.0; moments.numel()];
            moments.copy_data(&mut values, moments.numel());
            values
        };
        Self::Fused { fused: Box::new(fused), first: read(&adam.first), second: read(&adam.second) }
    }

    /// One update; its terms `[4]`: loss, reconstruction, KL, prior reconstruction.
    pub fn step(
        &mut self,
        (model, adam): (&Model, &mut Adam),
        (batch, noise, prior): (&Batch, &Tensor, Option<&Prior>),
        weights: Weights,
        stride: Stride,
    ) -> Tensor {
        match self {
            Self::Autograd => {
                let terms = objective(model, batch, noise, prior, weights);
                let gradient = adam.gradient(&terms.loss);
                adam.update(gradient, stride);
                let Terms { loss, recon, kl, prior_recon } = terms;
                Tensor::stack(&[loss, recon, kl, prior_recon], 0).detach()
            }
            Self::Fused { fused, first, second } => {
                let terms = fused.objective(batch, noise, prior, weights);
                let Stride { rate, clip, second_moment, weight_decay, second_share, first_share } = stride;
                let by = AdamStep {
                    keep: (1.0 - rate * weight_decay) as f32,
                    shrink: (clip / (fused.gradient_norm() + 1e-12)).min(1.0) as f32,
                    first_move: (1.0 - BETA_1) as f32,
                    second_move: (1.0 - second_moment) as f32,
                    first_scale: (rate / first_share) as f32,
                    second_scale: (1.0 / second_share) as f32,
                    epsilon: EPSILON as f32,
                };
                fused.update((first, second), &by);
                Tensor::from_slice(&terms.map(|term| term as f32))
            }
        }
    }

    /// Leaves weights and moments where everything else looks for them.
    pub fn settle(&self, model: &Model, adam: &mut Adam) {
        if let Self::Fused { fused, first, second } = self {
            fused.write(model);
            adam.first.copy_(&Tensor::from_slice(first));
            adam.second.copy_(&Tensor::from_slice(second));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::StepConfig;
    use super::*;
    use crate::dates::ValidDates;
    use crate::metrics::{Dataset, Groups};
    use crate::model::ModelConfig;
    use crate::random::{Purpose, normal, stream};
    use tch::{Device, Kind};

    /// Losses of the last steps of a short training in the phases that a run goes through, and its model.
    fn train(fused: bool, seed: u64) -> ([f64; 3], Model) {
        const STEPS: u64 = 240;
        // Two threads that wait for each other take far longer for matrices this small.
        tch::set_num_threads(1);
        let config = ModelConfig { latent_dim: 4, hidden_dim: 32, angles: 16, ..ModelConfig::default() };
        let model = Model::new(config, Device::Cpu, seed);
        let mut adam = Adam::new(model.parameters(), model.decayed());
        let mut learner = if fused { Learner::new(&model, &adam) } else { Learner::Autograd };
        assert_eq!(matches!(learner, Learner::Fused { .. }), fused);
        let valid = ValidDates::new();
        let dates: Vec<_> = valid.conditions().iter().step_by(150).flat_map(|c| valid.of(*c).to_vec()).collect();
        let (data, groups) = (Dataset::new(&dates, Device::Cpu), Groups::new(&dates, Device::Cpu));
        let mut sums = [0.0; 3];
        for step in 0..STEPS {
            let mut random = stream(seed, Purpose::Noise, step);
            let phase = (step * 3 / STEPS) as usize;
            let beta = [f64::INFINITY, 0.1, 0.5][phase];
            let weights = Weights { beta, hybrid: if phase == 2 { 1.0 } else { 0.0 }, free_bits: 0.0 };
            let rows: Vec<i64> = (0..64).map(|row| (row * 7 + step as i64) % data.len).collect();
            let rows = Tensor::from_slice(&rows);
            let noise = normal(&mut random, &[64, 4], Device::Cpu);
            let conditions = Tensor::from_slice(&[step as i64 % groups.len, (step as i64 * 5 + 1) % groups.len]);
            let prior = (phase == 2).then(|| Prior::Paired(groups.draw(&conditions, (32, 4), true, &mut random)));
            let stride = Stride {
                rate: 3e-3,
                // Enough that a way without it would end elsewhere: it halves what it is for.
                weight_decay: 1.0,
                ..Stride::at(&StepConfig { steps: STEPS, ..StepConfig::default() }, step)
            };
            let terms = learner.step((&model, &mut adam), (&data.rows(&rows), &noise, prior.as_ref()), weights, stride);
            if step % (STEPS / 3) >= STEPS / 3 - 20 {
                sums[phase] += terms.double_value(&[0]) / 20.0;
            }
        }
        learner.settle(&model, &mut adam);
        (sums, model)
    }

    #[test]
    fn both_ways_end_with_nearly_the_same_losses_and_weights_over_seeds() {
        (1..=3).for_each(compare);
    }

    fn compare(seed: u64) {
        let ((by_hand, fused), (exact, autograd)) = (train(true, seed), train(false, seed));
        assert!(exact[0] < 6.0, "nothing was learned: {exact:?}");
        for (by_hand, exact) in by_hand.iter().zip(exact) {
            assert!((by_hand - exact).abs() < 0.02 * exact, "{by_hand} {exact}");
        }
        let autograd = autograd.named();
        let square = |tensor: Tensor| tensor.square().sum(Kind::Double).double_value(&[]);
        let (mut difference, mut size) = (0.0, 0.0);
        for (name, weights) in fused.named() {
            difference += square((&weights - &autograd[&name]).detach());
            size += square(weights.detach());
        }
        assert!(difference.sqrt() < 0.05 * size.sqrt(), "{} {}", difference.sqrt(), size.sqrt());
    }
}
