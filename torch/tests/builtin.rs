//! The built-in engine's gradient against autograd's, over all kinds of model and terms, on several numbers of threads.

use cvae::metrics::draw_codes;
use cvae::model::{
    CpuEngine, DeviceChoice, EngineKind, EngineOptions, Heads, Model, ModelConfig, ObjectiveWeights, Pairing,
    PriorCodes, StepInput, TrainingState, Trunk,
};
use cvae::random::{Purpose, normal, stream};
use cvae::task::Rows;
use cvae::task::dates::{self, Date, ValidDates};
use cvae::training::{StepConfig, adam_hyperparams};
use cvae_torch::Trials;
use cvae_torch::engine::{StepData, settings, shape};
use tch::Device;

const PLAIN: ObjectiveWeights = ObjectiveWeights { beta: 0.6, hybrid: 0.0, free_bits: 0.0 };

fn days() -> Vec<Date> {
    let valid = ValidDates::new();
    valid.conditions().iter().step_by(97).flat_map(|condition| valid.of(*condition).to_vec()).collect()
}

fn check(config: ModelConfig, batch: usize, pairing: Option<Pairing>, weights: ObjectiveWeights) {
    let model = Model::new(config, dates::schema(), 7);
    let latent = model.layout.latent;
    // A few steps of chance away from the start, so that no weight is 0.
    let noise = normal(&mut stream(7, Purpose::Weights, 1), model.weights.len());
    let start: Vec<f32> = model.weights.iter().zip(noise).map(|(weight, noise)| weight + 0.05 * noise).collect();
    let (data, groups) = (dates::rows(&days()), dates::groups(&days()));
    let mut random = stream(3, Purpose::Noise, 0);
    let mut rows = Rows::default();
    rows.gather(&data, &(0..batch as u32).map(|row| row * 5 % data.len() as u32).collect::<Vec<_>>());
    let noise = normal(&mut random, batch * latent);
    let prior = match pairing {
        None => PriorCodes::None,
        Some(Pairing::Own) => PriorCodes::Own(normal(&mut random, batch * latent)),
        Some(pairing) => {
            let balanced = pairing == Pairing::Balanced;
            PriorCodes::Paired(draw_codes(&groups, &[3, 0, 11, 5, 40], (37, latent), balanced, &mut random))
        }
    };
    let adam = adam_hyperparams(&StepConfig::default(), 0);
    let input = StepInput { rows: &rows, noise: &noise, noise_seed: 0, prior: &prior, weights, adam };
    let mut trials = Trials::by_autograd(&shape(&model), Device::Cpu, &[&start]).unwrap();
    let (exact, exact_terms) =
        trials.gradient(&StepData::new(std::slice::from_ref(&input)).data(), &[settings(&input)]).unwrap();
    for threads in [1, 2, 8] {
        let options = EngineOptions { threads, device: DeviceChoice::Cpu, engine: EngineKind::Builtin };
        let mut engine = CpuEngine::new(&model.layout, TrainingState::new(start.clone()), options).unwrap();
        let terms = engine.objective(&input);
        let terms = [terms.loss, terms.recon, terms.kl, terms.prior_recon];
        for (term, exact) in terms.iter().zip(exact_terms[0]) {
            let exact = f64::from(exact);
            assert!((term - exact).abs() <= 1e-4 * exact.abs().max(1.0), "{terms:?} {exact_terms:?} {config:?}");
        }
        let norm = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        for tensor in &model.layout.tensors {
            let (by_hand, exact) = (&engine.gradient()[tensor.place.clone()], &exact[tensor.place.clone()]);
            let difference: Vec<f32> = by_hand.iter().zip(exact).map(|(a, b)| a - b).collect();
            let share = norm(&difference) / norm(exact).max(1e-6);
            assert!(share < 2e-4, "{}: {share} {weights:?} {pairing:?} {threads} {config:?}", tensor.name);
        }
    }
}

#[test]
fn both_engines_have_one_layout() {
    for config in kinds(ModelConfig { hidden_dim: 18, angles: 8, ..ModelConfig::default() }) {
        let model = Model::new(config, dates::schema(), 1);
        let places = shape(&model).places().into_iter().map(|(_, shape, place)| (shape, place));
        let places: Vec<_> = places.filter(|(_, place)| !place.is_empty()).collect();
        let tensors = model.layout.tensors.iter();
        let expected: Vec<_> = tensors.map(|tensor| (tensor.shape.clone(), tensor.place.clone())).collect();
        assert_eq!(places, expected, "{config:?}");
    }
}

/// All kinds of model.
fn kinds(small: ModelConfig) -> Vec<ModelConfig> {
    let mut kinds = Vec::new();
    for heads in [Heads::Autoregressive, Heads::Independent] {
        for trunk in [Trunk::Multiplicative, Trunk::Additive] {
            for latent_dim in [small.latent_dim, 0] {
                kinds.push(ModelConfig { heads, trunk, latent_dim, ..small });
            }
        }
    }
    kinds
}

#[test]
fn every_gradient_is_autograds() {
    let default = ModelConfig::default();
    let small = ModelConfig { latent_dim: 3, hidden_dim: 18, angles: 8, ..default };
    let cases = kinds(small).into_iter().map(|config| (config, 23));
    for (config, batch) in cases.chain([(default, 300), (small, 1)]) {
        check(config, batch, None, PLAIN);
        if config.latent_dim == 0 {
            continue;
        }
        check(config, batch, None, ObjectiveWeights { beta: f64::INFINITY, ..PLAIN });
        check(config, batch, None, ObjectiveWeights { free_bits: 0.05, ..PLAIN });
        for pairing in [Pairing::Own, Pairing::Posterior, Pairing::Balanced] {
            check(config, batch, Some(pairing), ObjectiveWeights { hybrid: 0.7, ..PLAIN });
        }
    }
}
