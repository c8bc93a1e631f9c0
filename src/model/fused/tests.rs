//! The gradient by hand against autograd's, over all that changes which terms there are.

use super::*;
use crate::dates::{Date, ValidDates};
use crate::metrics::{Dataset, Groups};
use crate::model::{Heads, ModelConfig, Pairing, Trunk, objective};
use crate::random::{Purpose, normal, stream};
use crate::training::Adam;

/// Dates of some conditions, as far apart as there are.
fn dates() -> Vec<Date> {
    let valid = ValidDates::new();
    valid.conditions().iter().step_by(97).flat_map(|condition| valid.of(*condition).to_vec()).collect()
}

/// A model a few steps of chance away from its start, so that no weight is 0.
fn model(config: ModelConfig) -> Model {
    let model = Model::new(config, Device::Cpu, 7);
    let mut random = stream(7, Purpose::Weights, 1);
    for mut parameter in model.parameters() {
        let _ = tch::no_grad(|| parameter.g_add_(&(normal(&mut random, &parameter.size(), Device::Cpu) * 0.05)));
    }
    model
}

/// The largest difference of two gradients as a share of the longer one's norm, by parameter.
fn worst_difference(model: &Model, by_hand: &[f32], exact: &[f32]) -> f64 {
    let norm = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let mut place = 0;
    let mut worst = 0f64;
    for parameter in model.parameters() {
        let range = place..place + parameter.numel();
        let difference: Vec<f32> =
            by_hand[range.clone()].iter().zip(&exact[range.clone()]).map(|(a, b)| a - b).collect();
        worst = worst.max(norm(&difference) / norm(&exact[range.clone()]).max(1e-6));
        place = range.end;
    }
    assert_eq!((place, by_hand.len()), (exact.len(), exact.len()));
    worst
}

fn check(config: ModelConfig, batch_size: i64, prior: Option<Pairing>, weights: Weights) {
    // More threads than rows or conditions leave some without work.
    [1, 2, 8].into_iter().for_each(|threads| check_on(threads, config, batch_size, prior, weights));
}

fn check_on(threads: usize, config: ModelConfig, batch_size: i64, prior: Option<Pairing>, weights: Weights) {
    let model = model(config);
    let dates = dates();
    let (data, groups) = (Dataset::new(&dates, Device::Cpu), Groups::new(&dates, Device::Cpu));
    let mut fused = Fused::new(&model, threads).unwrap();
    // Twice: a second call must not see what the first one left in the buffers.
    for round in 0..2 {
        let mut random = stream(3, Purpose::Noise, round);
        let size = if round == 0 { batch_size + 40 } else { batch_size };
        let rows: Vec<i64> = (0..size).map(|row| row * 5 % data.len).collect();
        let rows = Tensor::from_slice(&rows);
        let batch = data.rows(&rows);
        let shape = [size, config.latent_dim];
        let noise = normal(&mut random, &shape, Device::Cpu);
        let prior = prior.map(|pairing| match pairing {
            Pairing::Own => Prior::Own(normal(&mut random, &shape, Device::Cpu)),
            pairing => {
                let conditions = Tensor::from_slice(&[3i64, 0, 11, 5, 40]);
                let balanced = pairing == Pairing::Balanced;
                Prior::Paired(groups.draw(&conditions, (37, config.latent_dim), balanced, &mut random))
            }
        });
        let exact = objective(&model, &batch, &noise, prior.as_ref(), weights);
        let gradient = Vec::<f32>::try_from(Adam::new(model.parameters(), Vec::new()).gradient(&exact.loss)).unwrap();
        let terms = fused.objective(&batch, &noise, prior.as_ref(), weights);
        let exact = [exact.loss, exact.recon, exact.kl, exact.prior_recon].map(|term| term.double_value(&[]));
        for (term, exact) in terms.iter().zip(exact) {
            assert!((term - exact).abs() <= 1e-5 * exact.abs().max(1.0), "{terms:?} {exact}");
        }
        let worst = worst_difference(&model, fused.gradient(), &gradient);
        assert!(worst < 1e-4, "{worst} {weights:?} {prior:?} {threads}");
    }
}

const PLAIN: Weights = Weights { beta: 0.6, hybrid: 0.0, free_bits: 0.0 };

#[test]
fn every_gradient_is_autograds() {
    let config = ModelConfig::default();
    let small = ModelConfig { latent_dim: 3, hidden_dim: 18, angles: 7, ..config };
    for (config, batch_size) in [(config, 300), (small, 23), (small, 1)] {
        check(config, batch_size, None, Weights { beta: f64::INFINITY, ..PLAIN });
        check(config, batch_size, None, PLAIN);
        check(config, batch_size, None, Weights { free_bits: 0.05, ..PLAIN });
        for pairing in [Pairing::Own, Pairing::Posterior, Pairing::Balanced] {
            check(config, batch_size, Some(pairing), Weights { hybrid: 0.7, ..PLAIN });
        }
    }
}

#[test]
fn other_kinds_of_model_are_left_to_autograd() {
    let config = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
    let model = |config| Model::new(config, Device::Cpu, 1);
    assert!(Fused::new(&model(config), 1).is_some());
    assert!(Fused::new(&model(ModelConfig { heads: Heads::Independent, ..config }), 1).is_none());
    assert!(Fused::new(&model(ModelConfig { trunk: Trunk::Additive, ..config }), 1).is_none());
}

#[test]
fn weights_come_back_as_they_went() {
    let config = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
    let (model, other) = (Model::new(config, Device::Cpu, 1), Model::new(config, Device::Cpu, 2));
    Fused::new(&model, 1).unwrap().write(&other);
    let other = other.named();
    assert!(model.named().iter().all(|(name, weights)| weights.equal(&other[name])));
}
