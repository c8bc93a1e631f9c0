//! The objective and its gradient are those of the implementation that `cvae` 0.1 had in libtorch, one trial at a time.

use cvae_torch::synthetic::{self, Draw, Random, Sizes};
use cvae_torch::{Heads, Settings, Shape, Trials, Trunk};
use tch::Device;

/// Terms and, for each weight, the norm of the gradient and its product with [`Random::normal`] numbers, written at
/// commit 0f1122a by `cvae::model::objective` with the weights and data of [`synthetic`].
const EXPECTED: &str = include_str!("objective.txt");

fn shape(words: &[&str]) -> Shape {
    Shape {
        latent: words[3].parse().unwrap(),
        hidden: 12,
        angles: 6,
        trunk: if words[1] == "0" { Trunk::Additive } else { Trunk::Multiplicative },
        heads: if words[2] == "0" { Heads::Independent } else { Heads::Autoregressive },
        ..synthetic::dates()
    }
}

#[test]
fn terms_and_gradients_by_autograd_are_those_of_the_single_trial() {
    compare(Trials::by_autograd);
}

#[test]
fn terms_and_gradients_by_hand_are_those_of_the_single_trial() {
    compare(Trials::new);
}

type Make = fn(&Shape, Device, &[&[f32]]) -> Result<Trials, String>;

fn compare(make: Make) {
    let mut cases = 0;
    for case in EXPECTED.split("case").skip(1) {
        let mut lines = case.lines();
        let words: Vec<&str> = std::iter::once("case").chain(lines.next().unwrap().split_whitespace()).collect();
        let shape = shape(&words);
        let number = |place: usize| words[place].parse::<f64>().unwrap();
        let (kind, beta, hybrid, free_bits) = (words[4], number(5), number(6), number(7));
        let draw = Draw::new(&shape, Sizes { rows: 9, conditions: 3, candidates: 4, codes: 5 }, 3);
        let weights = synthetic::weights(&shape, 7);
        let mut trials = make(&shape, Device::Cpu, &[&weights]).unwrap();
        let settings = Settings { free_bits, ..synthetic::settings(0, beta, hybrid) };
        let (gradient, terms) = trials.gradient(&draw.data(kind), &[settings]).unwrap();
        let expected: Vec<f64> = lines.next().unwrap().split(' ').map(|term| term.parse().unwrap()).collect();
        for (term, expected) in terms[0].iter().zip(expected) {
            assert!((f64::from(*term) - expected).abs() < 1e-5 * expected.abs().max(1.0), "{words:?} {terms:?}");
        }
        let mut rows = 0;
        for ((name, _, place), line) in shape.places().into_iter().zip(lines) {
            let values: Vec<&str> = line.split(' ').collect();
            let [norm, along] = [1, 2].map(|column| values[column].parse::<f64>().unwrap());
            let mut random = Random(11);
            let gradient = &gradient[place];
            let own = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            let own_along: f64 = gradient.iter().map(|value| f64::from(*value) * f64::from(random.normal())).sum();
            assert_eq!(name, values[0]);
            assert!((own - norm).abs() <= 1e-4 * norm + 1e-7, "{words:?} {name} {own} {norm}");
            assert!((own_along - along).abs() <= 2e-4 * norm + 1e-7, "{words:?} {name} {own_along} {along}");
            rows += 1;
        }
        assert_eq!(rows, shape.places().len());
        cases += 1;
    }
    assert_eq!(cases, 24);
}
