//! The gradient by hand is autograd's, for trials in different phases of one batch.

use cvae_torch::synthetic::{self, Draw, Sizes};
use cvae_torch::{Heads, Settings, Shape, Trials};
use tch::Device;

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn compare(shape: &Shape, sizes: Sizes, kind: &str, settings: &[Settings]) {
    let draws: Vec<Draw> = (0..settings.len()).map(|trial| Draw::new(shape, sizes, trial as u64)).collect();
    let even = Draw::concat(&draws);
    compare_on(shape, &even, kind, settings);
    if matches!(kind, "posterior" | "balanced") {
        compare_on(shape, &even.uneven(5), kind, settings);
    }
}

fn compare_on(shape: &Shape, draw: &Draw, kind: &str, settings: &[Settings]) {
    let weights: Vec<Vec<f32>> = (0..settings.len()).map(|trial| synthetic::weights(shape, trial as u64 + 1)).collect();
    let slices: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let mut by_hand = Trials::new(shape, Device::Cpu, &slices).unwrap();
    let mut exact = Trials::by_autograd(shape, Device::Cpu, &slices).unwrap();
    let (own, own_terms) = by_hand.gradient(&draw.data(kind), settings).unwrap();
    let (expected, terms) = exact.gradient(&draw.data(kind), settings).unwrap();
    for (own, expected) in own_terms.as_flattened().iter().zip(terms.as_flattened()) {
        assert!((own - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{kind} {own_terms:?} {terms:?}");
    }
    for trial in 0..settings.len() {
        for (name, _, place) in shape.places() {
            let place = place.start + trial * shape.weights()..place.end + trial * shape.weights();
            let difference = norm(own[place.clone()].iter().zip(&expected[place.clone()]).map(|(a, b)| a - b));
            let size = norm(expected[place].iter().copied());
            assert!(difference <= 1e-4 * size + 1e-6, "{kind} trial {trial} {name}: {difference} of {size}");
        }
    }
}

#[test]
fn the_gradient_by_hand_is_autograds() {
    let with = |beta, hybrid, free_bits| Settings { free_bits, ..synthetic::settings(3, beta, hybrid) };
    let phases = [with(f64::INFINITY, 0.0, 0.0), with(0.3, 0.0, 0.4), with(0.6, 0.8, 0.0)];
    let small = Shape { latent: 3, hidden: 18, angles: 7, ..synthetic::dates() };
    let sizes = Sizes { rows: 37, conditions: 3, candidates: 6, codes: 9 };
    for heads in [Heads::Autoregressive, Heads::Independent] {
        let shape = Shape { heads, ..small.clone() };
        for kind in ["none", "own", "posterior", "balanced"] {
            compare(&shape, sizes, kind, &phases);
        }
        compare(&shape, sizes, "none", &phases[..1]);
        compare(&Shape { latent: 0, ..shape }, sizes, "none", &phases[1..]);
    }
    compare(&small, Sizes { rows: 1, conditions: 1, candidates: 1, codes: 1 }, "balanced", &phases[2..]);
    compare(&synthetic::dates(), sizes, "balanced", &phases[1..]);
    // So many trials that tables are summed in another way.
    compare(&small, Sizes { rows: 18, ..sizes }, "balanced", &phases.repeat(11));
}

#[test]
fn one_generated_column_and_other_columns_than_those_of_dates_are_computed_too() {
    let column = synthetic::dates().generated[2];
    let shape =
        Shape { given: vec![3, 5], generated: vec![column], latent: 2, hidden: 8, angles: 4, ..synthetic::dates() };
    let sizes = Sizes { rows: 20, conditions: 2, candidates: 4, codes: 5 };
    compare(&shape, sizes, "balanced", &[synthetic::settings(0, 0.5, 1.0)]);
}
