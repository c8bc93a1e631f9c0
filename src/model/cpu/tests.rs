//! The gradient against finite differences, over all kinds of model and terms. `torch/tests` compares it with autograd.

use super::*;
use crate::metrics::{draw_codes, paired_candidates};
use crate::model::{
    DeviceChoice, EncoderUpdate, EngineKind, Heads, ModelConfig, ObjectiveWeights, PairedCodes, Pairing, Prior,
    StepOptions, Trunk,
};
use crate::random::{Purpose, normal, stream};
use crate::task::dates::{self, Date, ValidDates};
use crate::task::{Groups, Rows};

fn options(threads: usize) -> EngineOptions {
    EngineOptions { threads, device: DeviceChoice::Cpu, engine: EngineKind::Builtin }
}

/// Dates of some conditions, as far apart as there are.
fn dates() -> Vec<Date> {
    let valid = ValidDates::new();
    valid.conditions().iter().step_by(97).flat_map(|condition| valid.of(*condition).to_vec()).collect()
}

/// Weights a few steps of chance away from their start, so that none is 0.
fn state(model: &Model) -> TrainingState {
    let noise = normal(&mut stream(7, Purpose::Weights, 1), model.weights.len());
    TrainingState::new(model.weights.iter().zip(noise).map(|(weight, noise)| weight + 0.05 * noise).collect())
}

struct Setting {
    rows: Rows,
    noise: Vec<f32>,
    prior: PriorCodes,
    weights: ObjectiveWeights,
    samples: usize,
    aggregated: PairedCodes,
}

impl Setting {
    fn new(latent: usize, batch: usize, pairing: Option<Pairing>, weights: ObjectiveWeights) -> Self {
        let all = dates();
        let (data, groups): (Rows, Groups) = (dates::rows(&all), dates::groups(&all));
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
        let aggregated = paired_candidates(&groups, &[7, 2, 9], 0, false, &mut random);
        Self { rows, noise, prior, weights, samples: 1, aggregated }
    }

    fn input(&self) -> StepInput<'_> {
        let adam = crate::training::adam_hyperparams(&crate::training::StepConfig::default(), 0);
        StepInput {
            rows: &self.rows,
            noise: &self.noise,
            noise_seed: 0,
            prior: &self.prior,
            weights: self.weights,
            adam,
            options: StepOptions {
                importance_samples: self.samples,
                aggregated: Some(&self.aggregated),
                ..StepOptions::default()
            },
        }
    }

    /// The importance-weighted bound in place of the ELBO.
    fn weighted(latent: usize, batch: usize, samples: usize) -> Self {
        let noise = normal(&mut stream(4, Purpose::Noise, 0), samples * batch * latent);
        Self { noise, samples, ..Self::new(latent, batch, None, PLAIN) }
    }
}

const PLAIN: ObjectiveWeights = ObjectiveWeights { beta: 0.6, hybrid: 0.0, free_bits: 0.0, mmd: 0.0 };

/// All kinds of model, small.
fn kinds() -> Vec<ModelConfig> {
    let small = ModelConfig { latent_dim: 3, hidden_dim: 18, angles: 8, ..ModelConfig::default() };
    let mut kinds = Vec::new();
    for heads in [Heads::Autoregressive, Heads::Independent] {
        for trunk in [Trunk::Multiplicative, Trunk::Additive] {
            for latent_dim in [3, 0] {
                kinds.push(ModelConfig { heads, trunk, latent_dim, ..small });
            }
            kinds.push(ModelConfig { heads, trunk, prior: Prior::Conditional, ..small });
        }
    }
    kinds
}

/// Every kind of model with every kind of objective.
fn all(mut check: impl FnMut(ModelConfig, &Setting)) {
    for config in kinds() {
        let latent = config.latent_dim as usize;
        let mut with = |pairing, weights| check(config, &Setting::new(latent, 23, pairing, weights));
        with(None, PLAIN);
        if latent > 0 {
            with(None, ObjectiveWeights { beta: f64::INFINITY, ..PLAIN });
            with(None, ObjectiveWeights { free_bits: 0.05, ..PLAIN });
            with(Some(Pairing::Own), ObjectiveWeights { hybrid: 0.7, ..PLAIN });
            with(Some(Pairing::Balanced), ObjectiveWeights { hybrid: 0.7, ..PLAIN });
            with(None, ObjectiveWeights { mmd: 20.0, ..PLAIN });
            check(config, &Setting::weighted(latent, 23, 4));
        }
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    all(|config, setting| {
        // Which row a code is paired with may change along the way, where the loss jumps.
        if matches!(setting.prior, PriorCodes::Paired(_)) {
            return;
        }
        let model = Model::new(config, dates::schema(), 7);
        let state = state(&model);
        let mut engine = CpuEngine::new(&model.layout, state.clone(), options(1)).unwrap();
        engine.objective(&setting.input());
        let gradient = engine.gradient().to_vec();
        let norm = gradient.iter().map(|slope| f64::from(*slope).powi(2)).sum::<f64>().sqrt();
        let loss_at = |distance: f64| {
            let moved = state.weights.iter().zip(&gradient);
            let moved = moved.map(|(weight, slope)| weight + (distance * f64::from(*slope) / norm) as f32);
            let mut engine = CpuEngine::new(&model.layout, TrainingState::new(moved.collect()), options(1)).unwrap();
            engine.objective(&setting.input()).loss
        };
        let step = 2e-3;
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        assert!((slope - norm).abs() < 0.02 * norm, "{slope} {norm} {config:?} {:?}", setting.weights);
    });
}

#[test]
fn threads_share_a_batch_out_and_change_nothing_but_rounding() {
    // More threads than rows or conditions leave some without work.
    all(|config, setting| {
        let model = Model::new(config, dates::schema(), 7);
        let on = |threads| {
            let mut engine = CpuEngine::new(&model.layout, state(&model), options(threads)).unwrap();
            // Twice: a second call must not see what the first one left in the buffers.
            let first = engine.objective(&setting.input());
            assert_eq!(first, engine.objective(&setting.input()));
            (first, engine.gradient().to_vec())
        };
        let (terms, gradient) = on(1);
        for threads in [2, 8] {
            let (others, other) = on(threads);
            assert!((terms.loss - others.loss).abs() < 1e-4, "{terms:?} {others:?}");
            let difference: f32 = gradient.iter().zip(&other).map(|(a, b)| (a - b).powi(2)).sum();
            let size: f32 = gradient.iter().map(|a| a * a).sum();
            assert!(difference.sqrt() < 1e-4 * size.sqrt(), "{} {config:?}", difference.sqrt() / size.sqrt());
        }
    });
}

#[test]
fn the_loss_is_the_weighted_sum_of_its_terms() {
    let config = kinds()[0];
    let model = Model::new(config, dates::schema(), 7);
    let terms = |pairing, weights| {
        let mut engine = CpuEngine::new(&model.layout, TrainingState::new(model.weights.clone()), options(1)).unwrap();
        engine.objective(&Setting::new(3, 23, pairing, weights).input())
    };
    let own = terms(Some(Pairing::Own), ObjectiveWeights { beta: 0.3, hybrid: 0.2, free_bits: 0.0, mmd: 0.0 });
    assert!(own.prior_recon > 0.0);
    assert!((own.loss - (own.recon + 0.3 * own.kl + 0.2 * own.prior_recon)).abs() < 1e-9);
    // Free bits keep the whole KL in the log, and count three dimensions below their floor with it.
    let free = terms(None, ObjectiveWeights { beta: 1.0, hybrid: 0.0, free_bits: 5.0, mmd: 0.0 });
    assert!(free.kl < 5.0 && (free.loss - free.recon - 15.0).abs() < 1e-9);
    // An untrained model reconstructs about as well as a uniform guess.
    let closed = terms(None, ObjectiveWeights { beta: f64::INFINITY, ..PLAIN });
    let uniform = [41f64, 12.0, 10.0, 31.0].iter().map(|size| size.ln()).sum::<f64>();
    assert!((closed.recon - uniform).abs() < 1.0 && closed.loss == closed.recon && closed.kl == 0.0, "{closed:?}");
}

#[test]
fn the_loss_is_made_of_the_cross_entropies_that_the_decoder_gives() {
    for config in kinds() {
        let latent = config.latent_dim as usize;
        if config.prior == Prior::Conditional {
            continue;
        }
        let mut model = Model::new(config, dates::schema(), 7);
        let state = state(&model);
        model.weights.clone_from(&state.weights);
        let pairing = (latent > 0).then_some(Pairing::Own);
        let setting = Setting::new(latent, 23, pairing, ObjectiveWeights { hybrid: 0.7, ..PLAIN });
        let terms = CpuEngine::new(&model.layout, state, options(1)).unwrap().objective(&setting.input());
        let (codes, expected) = match &setting.prior {
            PriorCodes::Own(codes) => (codes.as_slice(), terms.prior_recon),
            _ => (&[][..], terms.recon),
        };
        let sums = Decoder::new(&model).cross_entropies(&setting.rows, codes);
        let mean = sums.iter().sum::<f64>() / sums.len() as f64;
        assert!((mean - expected).abs() < 1e-5, "{mean} {expected} {config:?}");
    }
}

#[test]
fn an_update_is_adams() {
    let model = Model::new(kinds()[0], dates::schema(), 7);
    let mut engine = CpuEngine::new(&model.layout, state(&model), options(1)).unwrap();
    let before = engine.state(0).unwrap();
    let setting = Setting::new(3, 23, None, PLAIN);
    engine.objective(&setting.input());
    let gradient = engine.gradient().to_vec();
    let adam = AdamHyperparams { rate: 0.1, clip: 1e9, weight_decay: 0.0, ..setting.input().adam };
    engine.update(&adam, &StepOptions::default());
    // Kingma and Ba 2015, section 2.1: the first update is the learning rate along the sign of the gradient.
    let after = engine.state(0).unwrap();
    for ((before, after), slope) in before.weights.iter().zip(&after.weights).zip(&gradient) {
        let expected = if slope.abs() > 1e-5 { 0.1 * slope.signum() } else { continue };
        assert!((before - after - expected).abs() < 1e-3, "{before} {after} {slope}");
    }
    // Long gradients are shortened to the clip.
    let norm = gradient.iter().map(|slope| slope * slope).sum::<f32>().sqrt();
    let mut engine = CpuEngine::new(&model.layout, state(&model), options(1)).unwrap();
    engine.objective(&setting.input());
    engine.update(&AdamHyperparams { rate: 0.0, clip: 0.5, ..adam }, &StepOptions::default());
    let first = engine.state(0).unwrap().first;
    for (first, slope) in first.iter().zip(&gradient) {
        assert!((first - 0.1 * slope * (0.5 / norm).min(1.0)).abs() < 1e-6);
    }
}

#[test]
fn an_update_of_the_encoder_alone_leaves_all_else() {
    let model = Model::new(ModelConfig { prior: Prior::Conditional, ..kinds()[0] }, dates::schema(), 7);
    let mut engine = CpuEngine::new(&model.layout, state(&model), options(1)).unwrap();
    let before = engine.state(0).unwrap();
    let setting = Setting::new(3, 23, None, PLAIN);
    let of_encoder = model.layout.of_encoder();
    let ours = |name: &str| name.starts_with("encoder.");
    let places = model.layout.tensors.iter().filter(|tensor| ours(&tensor.name)).map(|tensor| tensor.place.len());
    assert_eq!(places.sum::<usize>(), of_encoder.len());
    let mut step = |alone| {
        engine.objective(&setting.input());
        let adam = setting.input().adam;
        let encoder = Some(EncoderUpdate { adam: AdamHyperparams { rate: 0.1, ..adam }, alone });
        engine.update(&adam, &StepOptions { encoder, ..StepOptions::default() });
        engine.state(0).unwrap()
    };
    let alone = step(true);
    assert_ne!(alone.weights[of_encoder.clone()], before.weights[of_encoder.clone()]);
    assert_eq!(alone.weights[of_encoder.end..], before.weights[of_encoder.end..]);
    assert!(alone.second[of_encoder.end..].iter().all(|moment| *moment == 0.0));
    let both = step(false);
    assert_ne!(both.weights[of_encoder.end..], alone.weights[of_encoder.end..]);
}

/// Burda et al. 2016, theorem 1: more codes give a tighter bound, and one gives the ELBO.
#[test]
fn the_importance_weighted_bound_falls_from_the_elbo_towards_the_likelihood() {
    let model = Model::new(kinds()[0], dates::schema(), 7);
    let beta = ObjectiveWeights { beta: 1.0, ..PLAIN };
    let mut engine = CpuEngine::new(&model.layout, state(&model), options(1)).unwrap();
    let mut mean = |samples: usize| {
        let bounds = (0..40).map(|draw| {
            let noise = normal(&mut stream(draw, Purpose::Noise, 0), samples.max(1) * 23 * 3);
            let setting = Setting { noise, samples, weights: beta, ..Setting::new(3, 23, None, beta) };
            engine.objective(&setting.input()).loss
        });
        bounds.sum::<f64>() / 40.0
    };
    let (elbo, few, many) = (mean(1), mean(2), mean(64));
    assert!(elbo > few && few > many, "{elbo} {few} {many}");
    // As many codes that are all alike are one.
    let setting = Setting::new(3, 23, None, beta);
    let (noise, samples) = (setting.noise.repeat(5), 5);
    let one = Setting { noise, samples, ..Setting::new(3, 23, None, beta) };
    let alike = engine.objective(&one.input()).loss;
    let recon = engine.objective(&setting.input()).recon;
    assert!(
        (engine.objective(&one.input()).recon - recon).abs() < 1e-4 && (alike - elbo).abs() < 0.3,
        "{alike} {elbo}"
    );
}

#[test]
fn decay_takes_its_share_of_some_weights_apart_from_the_gradient() {
    let model = Model::new(kinds()[0], dates::schema(), 7);
    let mut engine = CpuEngine::new(&model.layout, state(&model), options(1)).unwrap();
    let before = engine.state(0).unwrap().weights;
    let adam = AdamHyperparams { rate: 0.5, weight_decay: 0.1, ..Setting::new(3, 1, None, PLAIN).input().adam };
    engine.update(&adam, &StepOptions::default());
    let after = engine.state(0).unwrap().weights;
    let mut decayed = vec![false; before.len()];
    model.layout.decayed().for_each(|place| decayed[place].fill(true));
    for ((before, after), decayed) in before.iter().zip(&after).zip(decayed) {
        let expected = if decayed { before * 0.95 } else { *before };
        assert!((after - expected).abs() <= 1e-6 * expected.abs(), "{before} {after} {decayed}");
    }
}
