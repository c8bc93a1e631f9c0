//! Trials trained as one batch are the trials trained alone.

use cvae_torch::synthetic::{self, Draw, Sizes};
use cvae_torch::{Data, Heads, RandomData, Settings, Shape, Trials, Trunk};
use tch::Device;

const STEPS: u64 = 50;
const SIZES: Sizes = Sizes { rows: 18, conditions: 2, candidates: 5, codes: 6 };

fn small(trunk: Trunk, heads: Heads, latent: usize) -> Shape {
    Shape { latent, hidden: 16, angles: 6, trunk, heads, ..synthetic::dates() }
}

/// Trials in different phases: closed throughout, opened after 20 steps, with a hybrid term from step 35 on, and one
/// with a hybrid term from the start and a clip that bites.
fn settings(trial: usize, step: u64) -> Settings {
    let (beta, hybrid) = match (trial, step) {
        (0, _) | (1 | 2, 0..20) => (f64::INFINITY, 0.0),
        (1, _) => (0.1, 0.0),
        (2, 20..35) => (0.02, 0.0),
        _ => (0.55, 1.0),
    };
    let settings = synthetic::settings(step, beta, hybrid);
    Settings { clip: if trial == 3 { 0.1 } else { 1.0 }, rate: settings.rate * (1.0 + trial as f64), ..settings }
}

/// Losses by step and weights of these trials, trained together.
fn train(shape: &Shape, trials: &[usize]) -> (Vec<Vec<[f32; 4]>>, Vec<Vec<f32>>) {
    let weights: Vec<Vec<f32>> = trials.iter().map(|trial| synthetic::weights(shape, *trial as u64)).collect();
    let slices: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let mut batch = Trials::new(shape, Device::Cpu, &slices).unwrap();
    for step in 0..STEPS {
        let draws: Vec<Draw> =
            trials.iter().map(|trial| Draw::new(shape, SIZES, 1000 * step + *trial as u64)).collect();
        let settings: Vec<Settings> = trials.iter().map(|trial| settings(*trial, step)).collect();
        batch.step(&Draw::concat(&draws).data("balanced"), &settings).unwrap();
    }
    let terms = batch.terms();
    (terms, (0..trials.len()).map(|place| batch.weights(place)).collect())
}

#[test]
fn batched_trials_are_the_trials_alone() {
    for (trunk, heads, latent) in [
        (Trunk::Multiplicative, Heads::Autoregressive, 3),
        (Trunk::Additive, Heads::Independent, 3),
        (Trunk::Multiplicative, Heads::Autoregressive, 0),
    ] {
        let shape = small(trunk, heads, latent);
        let (terms, weights) = train(&shape, &[0, 1, 2, 3]);
        assert_eq!(terms.len() as u64, STEPS);
        for trial in 0..4 {
            let (alone, alone_weights) = train(&shape, &[trial]);
            for (step, (together, alone)) in terms.iter().zip(&alone).enumerate() {
                for (together, alone) in together[trial].iter().zip(alone[0]) {
                    let difference = (together - alone).abs();
                    assert!(difference < 2e-4, "{trunk:?} trial {trial} step {step}: {together} {alone}");
                }
            }
            let worst = weights[trial].iter().zip(&alone_weights[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{trunk:?} trial {trial}: {worst}");
            let start = synthetic::weights(&shape, trial as u64);
            assert!(weights[trial].iter().zip(start).any(|(end, start)| (end - start).abs() > 0.05), "trial {trial}");
        }
    }
}

#[test]
fn a_trial_that_leaves_changes_nothing_for_the_others() {
    let shape = small(Trunk::Multiplicative, Heads::Autoregressive, 2);
    let weights: Vec<Vec<f32>> = (0..3).map(|trial| synthetic::weights(&shape, trial)).collect();
    let step = |batch: &mut Trials, trials: &[usize], step: u64| {
        let draws: Vec<Draw> = trials.iter().map(|trial| Draw::new(&shape, SIZES, *trial as u64 + step)).collect();
        let settings = vec![synthetic::settings(step, 0.5, 1.0); trials.len()];
        batch.step(&Draw::concat(&draws).data("own"), &settings).unwrap();
    };
    let slices: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let mut batch = Trials::new(&shape, Device::Cpu, &slices).unwrap();
    step(&mut batch, &[0, 1, 2], 0);
    batch.retain(&[2, 0]);
    step(&mut batch, &[2, 0], 1);
    assert_eq!(batch.len(), 2);
    let mut alone = Trials::new(&shape, Device::Cpu, &slices[2..]).unwrap();
    step(&mut alone, &[2], 0);
    // As from a checkpoint.
    let (saved, moments) = (alone.weights(0), alone.moments(0));
    let mut alone = Trials::new(&shape, Device::Cpu, &[&saved]).unwrap();
    alone.set_moments(0, [&moments[0], &moments[1]]).unwrap();
    step(&mut alone, &[2], 1);
    let worst = batch.weights(0).iter().zip(alone.weights(0)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn numbers_drawn_from_seeds_are_the_same_in_any_batch_and_for_both_gradients() {
    let shape = small(Trunk::Multiplicative, Heads::Autoregressive, 3);
    let weights: Vec<Vec<f32>> = (0..3).map(|trial| synthetic::weights(&shape, trial)).collect();
    let slices: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let draws: Vec<Draw> = (0..3).map(|trial| Draw::new(&shape, SIZES, trial)).collect();
    let settings = [synthetic::settings(0, 0.5, 1.0); 3];
    let seeds = [5, 1 << 40, 6];
    for kind in ["none", "own", "balanced"] {
        let terms = |mut trials: Trials, from: usize, to: usize| {
            let all = Draw::concat(&draws[from..to]);
            let data = Data { random: RandomData::Seeds(&seeds[from..to]), ..all.data(kind) };
            trials.gradient(&data, &settings[from..to]).unwrap().1
        };
        let together = terms(Trials::new(&shape, Device::Cpu, &slices).unwrap(), 0, 3);
        let exact = terms(Trials::by_autograd(&shape, Device::Cpu, &slices).unwrap(), 0, 3);
        let alone = terms(Trials::new(&shape, Device::Cpu, &slices[1..2]).unwrap(), 1, 2);
        assert!(together[1].iter().zip(alone[0]).all(|(a, b)| (a - b).abs() < 1e-5), "{kind} {together:?} {alone:?}");
        let pairs = together.as_flattened().iter().zip(exact.as_flattened());
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-4), "{kind} {together:?} {exact:?}");
    }
}

#[test]
fn lists_of_candidates_may_be_of_another_length_at_each_step() {
    let shape = small(Trunk::Multiplicative, Heads::Autoregressive, 3);
    let weights = synthetic::weights(&shape, 1);
    let mut by_hand = Trials::new(&shape, Device::Cpu, &[&weights]).unwrap();
    let mut exact = Trials::by_autograd(&shape, Device::Cpu, &[&weights]).unwrap();
    for (step, candidates) in [(0, 5), (1, 20), (2, 3)] {
        let draw = Draw::new(&shape, Sizes { candidates, ..SIZES }, step);
        for trials in [&mut by_hand, &mut exact] {
            trials.step(&draw.data("balanced"), &[synthetic::settings(step, 0.5, 1.0)]).unwrap();
        }
    }
    let (own, exact) = (by_hand.terms(), exact.terms());
    for (own, exact) in own.iter().flatten().flatten().zip(exact.iter().flatten().flatten()) {
        assert!((own - exact).abs() < 1e-3, "{own} {exact}");
    }
}

#[test]
fn slices_of_another_length_are_refused_with_their_name() {
    let shape = small(Trunk::Multiplicative, Heads::Autoregressive, 2);
    let weights = synthetic::weights(&shape, 1);
    let error = Trials::new(&shape, Device::Cpu, &[&weights[1..]]).unwrap_err();
    assert!(error.starts_with("weights of trial 0: "), "{error}");
    let mut trials = Trials::new(&shape, Device::Cpu, &[&weights]).unwrap();
    let draw = Draw::new(&shape, SIZES, 1);
    let settings = [synthetic::settings(0, 0.5, 0.0)];
    let random = RandomData::Given { noise: &draw.noise[1..], codes: &[], uniforms: &[] };
    let short = Data { random, ..draw.data("none") };
    assert!(trials.step(&short, &settings).unwrap_err().starts_with("noise: "));
    assert!(trials.step(&draw.data("none"), &[]).unwrap_err().starts_with("settings: "));
}
