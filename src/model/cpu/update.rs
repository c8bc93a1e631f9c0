//! Moving the weights: Adam, Muon, SOAP and schedule-free AdamW, and the running average of the weights.

use std::ops::Range;

use rayon::ThreadPool;

use super::kernels::{self, AdamFactors};
use super::muon::Muon;
use super::soap::Soap;
use crate::model::engine::StepOptions;
use crate::model::layout::Layout;
use crate::model::update::{AdamHyperparams, EncoderUpdate, ScheduleFreeHyperparams, TrainingState, UpdateRule};

/// What moves the weights, with its buffers.
#[derive(Debug, Default)]
pub struct Updater {
    muon: Option<Muon>,
    soap: Option<Soap>,
}

impl Updater {
    /// Decays weights, then moves them and what their updates remember by a gradient.
    pub fn update(
        &mut self,
        (layout, helpers): (&Layout, Option<&ThreadPool>),
        state: &mut TrainingState,
        gradient: &[f32],
        (adam, options): (&AdamHyperparams, &StepOptions<'_>),
    ) {
        let all = 0..layout.len;
        match (options.encoder, options.rule) {
            (Some(EncoderUpdate { adam: of_encoder, alone }), _) => {
                let encoder = layout.of_encoder();
                if !alone {
                    by_adam(layout, state, gradient, encoder.end..all.end, adam);
                }
                by_adam(layout, state, gradient, encoder, &of_encoder);
            }
            (None, UpdateRule::Adam) => by_adam(layout, state, gradient, all, adam),
            (None, UpdateRule::TwoRates(matrix_rate)) => {
                decay(layout, state, all, adam);
                let factors = factors(gradient, adam);
                layout.between_matrices().iter().for_each(|place| adam_moves(state, gradient, place, &factors));
                let faster = AdamFactors { rate: factors.rate * matrix_rate as f32, ..factors };
                layout.matrices().iter().for_each(|layer| adam_moves(state, gradient, &layer.weight, &faster));
            }
            (None, UpdateRule::Muon(rule)) => {
                decay(layout, state, all, adam);
                let factors = factors(gradient, adam);
                layout.between_matrices().iter().for_each(|place| adam_moves(state, gradient, place, &factors));
                let muon = self.muon.get_or_insert_with(|| Muon::new(layout));
                muon.update(helpers, state, (gradient, factors.clip_scale), rule);
            }
            (None, UpdateRule::Soap(rule)) => {
                decay(layout, state, all, adam);
                let factors = factors(gradient, adam);
                layout.between_matrices().iter().for_each(|place| adam_moves(state, gradient, place, &factors));
                let soap = self.soap.get_or_insert_with(|| Soap::new(layout));
                soap.update(helpers, state, (gradient, factors.clip_scale), (adam, rule));
            }
            (None, UpdateRule::ScheduleFree(rule)) => schedule_free(layout, state, gradient, (adam, rule)),
        }
        if options.average_share > 0.0 {
            let TrainingState { weights, average, .. } = state;
            average.resize(weights.len(), 0.0);
            kernels::approach(average, weights, options.average_share as f32);
        }
    }
}

/// Moves some weights by Adam; their gradient is clipped by itself.
fn by_adam(layout: &Layout, state: &mut TrainingState, gradient: &[f32], some: Range<usize>, adam: &AdamHyperparams) {
    decay(layout, state, some.clone(), adam);
    let factors = factors(&gradient[some.clone()], adam);
    adam_moves(state, gradient, &some, &factors);
}

fn adam_moves(state: &mut TrainingState, gradient: &[f32], some: &Range<usize>, factors: &AdamFactors) {
    let TrainingState { weights, first, second, .. } = state;
    let [weights, first, second] = [weights, first, second].map(|values| &mut values[some.clone()]);
    kernels::adam(weights, &gradient[some.clone()], first, second, factors);
}

fn decay(layout: &Layout, state: &mut TrainingState, some: Range<usize>, adam: &AdamHyperparams) {
    let factor = (1.0 - adam.rate * adam.weight_decay) as f32;
    if factor < 1.0 {
        for place in layout.decayed().filter(|place| some.contains(&place.start)) {
            state.weights[place].iter_mut().for_each(|weight| *weight *= factor);
        }
    }
}

fn factors(gradient: &[f32], adam: &AdamHyperparams) -> AdamFactors {
    let norm = kernels::square_norm(gradient).sqrt();
    AdamFactors {
        clip_scale: (adam.clip / (norm + 1e-12)).min(1.0) as f32,
        first_share: (1.0 - adam.beta1) as f32,
        second_share: (1.0 - adam.beta2) as f32,
        rate: (adam.rate / adam.bias_correction1) as f32,
        second_scale: (1.0 / adam.bias_correction2) as f32,
        epsilon: adam.epsilon as f32,
    }
}

/// Schedule-free AdamW. What decays does so by y, where the gradient is taken.
fn schedule_free(
    layout: &Layout,
    state: &mut TrainingState,
    gradient: &[f32],
    (adam, rule): (&AdamHyperparams, ScheduleFreeHyperparams),
) {
    let TrainingState { weights: y, first: z, second, .. } = state;
    if rule.begins {
        z.copy_from_slice(y);
    }
    let decayed = (adam.rate * adam.weight_decay) as f32;
    let places = || layout.decayed().filter(|_| decayed > 0.0);
    let before: Vec<f32> = places().flat_map(|place| y[place].iter().copied()).collect();
    let y_share = (1.0 - adam.beta1 * (1.0 - rule.share)) as f32;
    kernels::schedule_free(
        y,
        gradient,
        z,
        second,
        &factors(gradient, adam),
        (adam.rate as f32, y_share, rule.share as f32),
    );
    for (place, before) in places().flatten().zip(before) {
        z[place] -= decayed * before;
        y[place] -= decayed * y_share * before;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;
    use crate::model::{Model, ModelConfig, MuonHyperparams};
    use crate::random::{Purpose, normal, stream};
    use crate::task::dates;

    const ADAM: AdamHyperparams = AdamHyperparams {
        rate: 0.02,
        clip: 5.0,
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 0.3,
        bias_correction1: 1.0,
        bias_correction2: 1.0,
        epsilon: 1e-8,
    };

    fn model() -> Model {
        let small = ModelConfig { latent_dim: 3, hidden_dim: 24, angles: 8, ..ModelConfig::default() };
        Model::new(small, dates::schema(), 7)
    }

    fn gradients(layout: &Layout, count: u64) -> Vec<Vec<f32>> {
        (0..count).map(|step| normal(&mut stream(9, Purpose::Noise, step), layout.len)).collect()
    }

    fn clipped(gradient: &[f32]) -> Vec<f64> {
        let norm = gradient.iter().map(|entry| f64::from(*entry).powi(2)).sum::<f64>().sqrt();
        gradient.iter().map(|entry| f64::from(*entry) * (ADAM.clip / norm).min(1.0)).collect()
    }

    fn step(updater: &mut Updater, layout: &Layout, state: &mut TrainingState, gradient: &[f32], rule: UpdateRule) {
        let options = StepOptions { rule, ..StepOptions::default() };
        updater.update((layout, None), state, gradient, (&ADAM, &options));
    }

    fn close(value: f32, exact: f64, tolerance: f64) -> bool {
        (f64::from(value) - exact).abs() <= tolerance
    }

    /// A product of matrices by rows, `[m, k]` and `[k, n]`.
    fn product(left: &[f64], right: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
        let entry = |row: usize, column: usize| (0..k).map(|by| left[row * k + by] * right[by * n + column]).sum();
        (0..m).flat_map(|row| (0..n).map(move |column| (row, column))).map(|(row, column)| entry(row, column)).collect()
    }

    fn transposed(matrix: &[f64], (m, n): (usize, usize)) -> Vec<f64> {
        (0..n)
            .flat_map(|column| (0..m).map(move |row| (row, column)))
            .map(|(row, column)| matrix[row * n + column])
            .collect()
    }

    /// The iteration as its authors write it: always of the wide matrix.
    fn orthogonal(matrix: &[f64], (m, n): (usize, usize)) -> Vec<f64> {
        if m > n {
            return transposed(&orthogonal(&transposed(matrix, (m, n)), (n, m)), (n, m));
        }
        let norm = matrix.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
        let mut x: Vec<f64> = matrix.iter().map(|entry| entry / norm).collect();
        for _ in 0..5 {
            let a = product(&x, &transposed(&x, (m, n)), (m, n, m));
            let square = product(&a, &a, (m, m, m));
            let b: Vec<f64> = a.iter().zip(&square).map(|(a, square)| -4.775 * a + 2.0315 * square).collect();
            let bx = product(&b, &x, (m, m, n));
            x.iter_mut().zip(bx).for_each(|(x, bx)| *x = 3.4445 * *x + bx);
        }
        x
    }

    #[test]
    fn muon_moves_hidden_layers_by_its_authors_formulas_and_all_else_by_adam() {
        let model = model();
        let layout = &model.layout;
        let start = TrainingState::new(model.weights.clone());
        let (mut by_muon, mut by_adam) = (start.clone(), start);
        let mut updater = Updater::default();
        let mut momenta = vec![0.0; layout.len];
        let mut weights: Vec<f64> = model.weights.iter().map(|weight| f64::from(*weight)).collect();
        let (shrunk, muon) = (1.0 - ADAM.rate * ADAM.weight_decay, MuonHyperparams { momentum: 0.9, rate: 0.01 });
        for gradient in gradients(layout, 4) {
            step(&mut updater, layout, &mut by_muon, &gradient, UpdateRule::Muon(muon));
            step(&mut Updater::default(), layout, &mut by_adam, &gradient, UpdateRule::Adam);
            layout.decayed().flatten().for_each(|place| weights[place] *= shrunk);
            let gradient = clipped(&gradient);
            for layer in layout.matrices() {
                let (place, shape) = (layer.weight.clone(), (layer.outputs, layer.inputs));
                let momentum = &mut momenta[place.clone()];
                momentum.iter_mut().zip(&gradient[place.clone()]).for_each(|(m, g)| *m = 0.9 * *m + 0.1 * g);
                let ahead: Vec<f64> =
                    momentum.iter().zip(&gradient[place.clone()]).map(|(m, g)| 0.1 * g + 0.9 * *m).collect();
                let length = 0.2 * (shape.0.max(shape.1) as f64).sqrt();
                for (place, entry) in place.zip(orthogonal(&ahead, shape)) {
                    weights[place] -= 0.01 * length * entry;
                }
            }
        }
        for (place, weight) in weights.iter().enumerate() {
            if layout.matrices().iter().any(|layer| layer.weight.contains(&place)) {
                assert!(close(by_muon.weights[place], *weight, 2e-5), "{place}");
            } else {
                assert_eq!(by_muon.weights[place], by_adam.weights[place], "{place}");
            }
        }
        // Wide ones, tall ones and squares.
        for order in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
            assert!(layout.matrices().iter().any(|layer| layer.outputs.cmp(&layer.inputs) == order), "{order:?}");
        }
    }

    #[test]
    fn hidden_layers_have_a_rate_of_their_own() {
        let model = model();
        let [mut slow, mut fast] = [(); 2].map(|()| TrainingState::new(model.weights.clone()));
        let gradient = &gradients(&model.layout, 1)[0];
        step(&mut Updater::default(), &model.layout, &mut slow, gradient, UpdateRule::TwoRates(1.0));
        step(&mut Updater::default(), &model.layout, &mut fast, gradient, UpdateRule::TwoRates(3.0));
        let decayed: Vec<usize> = model.layout.decayed().flatten().collect();
        let start = |place: usize| match decayed.contains(&place) {
            true => model.weights[place] * (1.0 - ADAM.rate * ADAM.weight_decay) as f32,
            false => model.weights[place],
        };
        for (place, (slow, fast)) in slow.weights.iter().zip(&fast.weights).enumerate() {
            let times =
                if model.layout.matrices().iter().any(|layer| layer.weight.contains(&place)) { 3.0 } else { 1.0 };
            let (slow, fast) = (slow - start(place), fast - start(place));
            assert!(close(fast, f64::from(slow) * times, 1e-6), "{place}: {slow} {fast}");
        }
        let mut one = TrainingState::new(model.weights.clone());
        step(&mut Updater::default(), &model.layout, &mut one, gradient, UpdateRule::Adam);
        assert_eq!(one, slow);
    }

    #[test]
    fn muon_is_the_same_on_any_number_of_threads() {
        let model = model();
        let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let rule = UpdateRule::Muon(MuonHyperparams { momentum: 0.9, rate: 0.01 });
        let options = StepOptions { rule, ..StepOptions::default() };
        let [one, three] = [None, Some(&threads)].map(|helpers| {
            let (mut updater, mut state) = (Updater::default(), TrainingState::new(model.weights.clone()));
            for gradient in gradients(&model.layout, 2) {
                updater.update((&model.layout, helpers), &mut state, &gradient, (&ADAM, &options));
            }
            state
        });
        assert_eq!(one, three);
    }

    #[test]
    fn schedule_free_follows_its_three_sequences() {
        let model = model();
        let layout = &model.layout;
        let mut state = TrainingState::new(model.weights.clone());
        let mut updater = Updater::default();
        // x, z and the second moments, as the paper has them; y lies between.
        let mut x: Vec<f64> = model.weights.iter().map(|weight| f64::from(*weight)).collect();
        let (mut z, mut second) = (x.clone(), vec![0.0; layout.len]);
        let decayed: Vec<usize> = layout.decayed().flatten().collect();
        for (index, gradient) in gradients(layout, 5).into_iter().enumerate() {
            let share = 1.0 / (index + 1) as f64;
            let rule = ScheduleFreeHyperparams { begins: index == 0, share };
            step(&mut updater, layout, &mut state, &gradient, UpdateRule::ScheduleFree(rule));
            let gradient = clipped(&gradient);
            let y: Vec<f64> = x.iter().zip(&z).map(|(x, z)| 0.9 * x + 0.1 * z).collect();
            for place in 0..layout.len {
                second[place] = 0.99 * second[place] + 0.01 * gradient[place].powi(2);
                z[place] -= ADAM.rate * gradient[place] / (second[place].sqrt() + ADAM.epsilon);
            }
            decayed.iter().for_each(|place| z[*place] -= ADAM.rate * ADAM.weight_decay * y[*place]);
            x.iter_mut().zip(&z).for_each(|(x, z)| *x = (1.0 - share) * *x + share * z);
        }
        for place in 0..layout.len {
            let y = 0.9 * x[place] + 0.1 * z[place];
            assert!(close(state.weights[place], y, 1e-5) && close(state.first[place], z[place], 1e-5), "{place}");
        }
        let config = crate::training::StepConfig {
            optimizer: crate::training::Optimizer::ScheduleFree,
            ..crate::training::StepConfig::default()
        };
        let evaluated = crate::training::evaluated(&config, &state);
        assert!(evaluated.iter().zip(&x).all(|(value, x)| close(*value, *x, 2e-5)));
    }

    #[test]
    fn the_average_counts_weights_less_the_older_they_are() {
        let model = model();
        let mut state = TrainingState::new(model.weights.clone());
        let mut updater = Updater::default();
        let (mut sum, mut mass) = (vec![0.0; model.layout.len], 0.0);
        for (index, gradient) in gradients(&model.layout, 6).into_iter().enumerate() {
            let config = crate::training::StepConfig { average: 0.7, ..crate::training::StepConfig::default() };
            let average_share = 0.3 / (1.0 - 0.7f64.powi(index as i32 + 1));
            let options = StepOptions { average_share, ..StepOptions::default() };
            updater.update((&model.layout, None), &mut state, &gradient, (&ADAM, &options));
            sum.iter_mut().zip(&state.weights).for_each(|(sum, weight)| *sum = 0.7 * *sum + f64::from(*weight));
            mass = 0.7 * mass + 1.0;
            assert_eq!(crate::training::evaluated(&config, &state), state.average);
        }
        assert!(state.average.iter().zip(&sum).all(|(value, sum)| close(*value, sum / mass, 1e-6)));
        assert_ne!(state.average, state.weights);
    }
}
