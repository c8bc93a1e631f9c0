//! SOAP: Adam in the slowly turning eigenbasis of Shampoo's preconditioners (Vyas et al. 2024,
//! <https://arxiv.org/abs/2409.11321>, algorithm 3).

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::ThreadPool;

use super::kernels::resized;
use super::products::{Matrix, backward, forward};
use super::{share_out, side_by_side};
use crate::model::layout::{Layout, Linear};
use crate::model::update::{AdamHyperparams, SoapHyperparams, TrainingState};

/// The hidden layers' matrices by their places, each with its buffers.
#[derive(Debug)]
pub struct Soap(Vec<Preconditioned>);

impl Soap {
    /// That of a layout's hidden layers.
    pub fn new(layout: &Layout) -> Self {
        Self(layout.matrices().into_iter().map(Preconditioned::of).collect())
    }

    /// Moves the matrices by a gradient times `scale`. The first gradient that it is given sets the bases and moves nothing, as
    /// its authors do: seen in its own eigenbasis it would have no noise.
    pub fn update(
        &mut self,
        helpers: Option<&ThreadPool>,
        state: &mut TrainingState,
        (gradient, scale): (&[f32], f32),
        (adam, by): (&AdamHyperparams, SoapHyperparams),
    ) {
        let begins = state.bases.is_empty();
        if begins {
            state.bases = vec![0.0; self.0.iter().map(Preconditioned::remembered).sum()];
        }
        let TrainingState { weights, first, second, bases, .. } = state;
        let mut rest = (weights.as_mut_slice(), first.as_mut_slice(), second.as_mut_slice(), bases.as_mut_slice());
        let (mut start, mut work) = (0, Vec::with_capacity(self.0.len()));
        for matrix in &mut self.0 {
            let (skipped, size) = (matrix.place.start - start, matrix.place.len());
            let part = |values| cut(values, skipped, size);
            let (weights, first, second) = (part(rest.0), part(rest.1), part(rest.2));
            let bases = cut(rest.3, 0, matrix.remembered());
            rest = (weights.1, first.1, second.1, bases.1);
            start = matrix.place.end;
            work.push((size, (matrix, weights.0, first.0, second.0, bases.0)));
        }
        let threads = helpers.map_or(1, |helpers| helpers.current_num_threads() + 1);
        side_by_side(helpers, share_out(work, threads), |share| {
            for (matrix, weights, first, second, bases) in share {
                let gradient: Vec<f32> = gradient[matrix.place.clone()].iter().map(|entry| entry * scale).collect();
                if !begins {
                    matrix.follow(weights, (first, second), (bases, &gradient), (adam, by));
                }
                matrix.remember(bases, &gradient, if begins { 1.0 } else { 1.0 - adam.beta2 } as f32);
                if begins {
                    [first, second].into_iter().for_each(|moments| moments.fill(0.0));
                    matrix.find_bases(bases);
                } else if by.turns {
                    matrix.turn_bases(bases);
                }
            }
        });
    }
}

/// A part of values after some that are skipped, and those behind it.
fn cut(values: &mut [f32], skipped: usize, size: usize) -> (&mut [f32], &mut [f32]) {
    values.split_at_mut(skipped).1.split_at_mut(size)
}

/// The update of one matrix `[rows, columns]`.
#[derive(Debug)]
struct Preconditioned {
    place: std::ops::Range<usize>,
    rows: usize,
    columns: usize,
    half: Vec<f32>,
    turned: Vec<f32>,
    update: Vec<f32>,
    gram: Vec<f32>,
}

impl Preconditioned {
    fn of(layer: &Linear) -> Self {
        let [half, turned, update, gram] = std::array::from_fn(|_| Vec::new());
        Self { place: layer.weight.clone(), rows: layer.outputs, columns: layer.inputs, half, turned, update, gram }
    }

    /// Numbers that are remembered: the running means L of G G^T and R of G^T G, and a basis of each.
    fn remembered(&self) -> usize {
        2 * (self.rows * self.rows + self.columns * self.columns)
    }

    /// L, R and their bases, whose columns are the eigenvectors.
    fn parts<'a>(&self, bases: &'a mut [f32]) -> [&'a mut [f32]; 4] {
        let (left, right) = (self.rows * self.rows, self.columns * self.columns);
        let (first, bases) = bases.split_at_mut(left);
        let (second, bases) = bases.split_at_mut(right);
        let (third, fourth) = bases.split_at_mut(left);
        [first, second, third, fourth]
    }

    /// Moves the weights by Adam's rule, in the bases as they are.
    fn follow(
        &mut self,
        weights: &mut [f32],
        (first, second): (&mut [f32], &mut [f32]),
        (bases, gradient): (&mut [f32], &[f32]),
        (adam, by): (&AdamHyperparams, SoapHyperparams),
    ) {
        let (m, n) = (self.rows, self.columns);
        let [_, _, left, right] = self.parts(bases);
        let (left, right) = (Matrix::new(left, m, m), Matrix::new(right, n, n));
        let half = resized(&mut self.half, m * n);
        let turned = resized(&mut self.turned, m * n);
        backward(half, left.transposed(), Matrix::new(gradient, m, n));
        backward(turned, Matrix::new(half, m, n), right);
        let (first_share, second_share) = ((1.0 - adam.beta1) as f32, (1.0 - adam.beta2) as f32);
        for ((second, turned), (first, gradient)) in second.iter_mut().zip(&*turned).zip(first.iter_mut().zip(gradient))
        {
            *second = (turned * turned - *second).mul_add(second_share, *second);
            *first = (gradient - *first).mul_add(first_share, *first);
        }
        backward(half, left.transposed(), Matrix::new(first, m, n));
        backward(turned, Matrix::new(half, m, n), right);
        let (scale1, scale2) = ((1.0 / by.bias_correction1) as f32, (1.0 / by.bias_correction2) as f32);
        for (entry, second) in turned.iter_mut().zip(&*second) {
            *entry = *entry * scale1 / ((second * scale2).sqrt() + adam.epsilon as f32);
        }
        let update = resized(&mut self.update, m * n);
        backward(half, left, Matrix::new(turned, m, n));
        forward(update, Matrix::new(half, m, n), right);
        super::kernels::add_scaled(weights, update, -by.rate as f32);
    }

    /// Takes a share of a gradient's two squares into L and R.
    fn remember(&mut self, bases: &mut [f32], gradient: &[f32], share: f32) {
        let gradient = Matrix::new(gradient, self.rows, self.columns);
        let [left, right, ..] = self.parts(bases);
        for (mean, gradient) in [(left, gradient), (right, gradient.transposed())] {
            let gram = resized(&mut self.gram, mean.len());
            forward(gram, gradient, gradient);
            mean.iter_mut().zip(&*gram).for_each(|(mean, new)| *mean = (new - *mean).mul_add(share, *mean));
        }
    }

    /// The bases begin as the eigenvectors.
    fn find_bases(&self, bases: &mut [f32]) {
        let [left, right, left_basis, right_basis] = self.parts(bases);
        for (mean, basis, size) in [(left, left_basis, self.rows), (right, right_basis, self.columns)] {
            set(basis, &SymmetricEigen::new(matrix(mean, size)).eigenvectors);
        }
    }

    /// A step of power iteration, made orthogonal again (algorithm 4).
    fn turn_bases(&self, bases: &mut [f32]) {
        let [left, right, left_basis, right_basis] = self.parts(bases);
        for (mean, basis, size) in [(left, left_basis, self.rows), (right, right_basis, self.columns)] {
            let ahead = matrix(mean, size) * matrix(basis, size);
            set(basis, &ahead.qr().q());
        }
    }
}

/// A square matrix that is stored by rows.
fn matrix(values: &[f32], size: usize) -> DMatrix<f64> {
    DMatrix::from_row_iterator(size, size, values.iter().map(|value| f64::from(*value)))
}

fn set(values: &mut [f32], matrix: &DMatrix<f64>) {
    // nalgebra stores by columns.
    values.iter_mut().zip(matrix.transpose().iter()).for_each(|(value, entry)| *value = *entry as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, ModelConfig};
    use crate::random::{Purpose, normal, stream};
    use crate::task::dates;

    const RATE: f64 = 0.01;
    const BETA: (f64, f64) = (0.9, 0.95);
    const EPSILON: f64 = 1e-8;
    const EVERY: u64 = 4;

    /// One matrix's update by its authors' formulas, in double precision.
    struct Exact {
        layer: Linear,
        weights: DMatrix<f64>,
        /// L, R, their bases, and the moments.
        left: DMatrix<f64>,
        right: DMatrix<f64>,
        bases: (DMatrix<f64>, DMatrix<f64>),
        first: DMatrix<f64>,
        second: DMatrix<f64>,
    }

    fn of_rows(values: &[f32], rows: usize) -> DMatrix<f64> {
        DMatrix::from_row_iterator(rows, values.len() / rows, values.iter().map(|value| f64::from(*value)))
    }

    fn orthogonal(basis: &DMatrix<f64>) -> bool {
        (basis.transpose() * basis - DMatrix::identity(basis.nrows(), basis.nrows())).amax() < 1e-5
    }

    impl Exact {
        fn step(&mut self, gradient: &DMatrix<f64>, step: u64) {
            let (left_basis, right_basis) = &self.bases;
            let turned = left_basis.transpose() * gradient * right_basis;
            self.first = &self.first * BETA.0 + gradient * (1.0 - BETA.0);
            self.second = &self.second * BETA.1 + turned.component_mul(&turned) * (1.0 - BETA.1);
            let first = left_basis.transpose() * &self.first * right_basis / (1.0 - BETA.0.powf(step as f64));
            let second = &self.second / (1.0 - BETA.1.powf(step as f64));
            let adam = first.zip_map(&second, |first, second| first / (second.sqrt() + EPSILON));
            self.weights -= left_basis * adam * right_basis.transpose() * RATE;
            self.left = &self.left * BETA.1 + gradient * gradient.transpose() * (1.0 - BETA.1);
            self.right = &self.right * BETA.1 + gradient.transpose() * gradient * (1.0 - BETA.1);
            if step.is_multiple_of(EVERY) {
                self.bases = ((&self.left * left_basis).qr().q(), (&self.right * right_basis).qr().q());
            }
        }
    }

    #[test]
    fn hidden_layers_move_by_the_authors_formulas_on_any_number_of_threads() {
        let small = ModelConfig { latent_dim: 3, hidden_dim: 24, angles: 8, ..ModelConfig::default() };
        let model = Model::new(small, dates::schema(), 7);
        let layout = &model.layout;
        let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (mut soap, mut on_three) = (Soap::new(layout), Soap::new(layout));
        let mut state = TrainingState::new(model.weights.clone());
        let mut state_of_three = state.clone();
        let mut exact: Vec<Exact> = Vec::new();
        for step in 0..30u64 {
            let gradient = normal(&mut stream(9, Purpose::Noise, step), layout.len);
            let [correction1, correction2] = [BETA.0, BETA.1].map(|beta| 1.0 - beta.powf(step as f64));
            let adam = AdamHyperparams {
                rate: RATE,
                clip: 1.0,
                beta1: BETA.0,
                beta2: BETA.1,
                weight_decay: 0.0,
                bias_correction1: 1.0,
                bias_correction2: 1.0,
                epsilon: EPSILON,
            };
            let by = SoapHyperparams {
                rate: RATE,
                turns: step > 0 && step.is_multiple_of(EVERY),
                bias_correction1: correction1,
                bias_correction2: correction2,
            };
            soap.update(None, &mut state, (&gradient, 0.5), (&adam, by));
            on_three.update(Some(&threads), &mut state_of_three, (&gradient, 0.5), (&adam, by));
            assert_eq!(state, state_of_three);
            let of_layer = |layer: &Linear| of_rows(&gradient[layer.weight.clone()], layer.outputs) * 0.5;
            if step > 0 {
                exact.iter_mut().for_each(|exact| exact.step(&of_layer(&exact.layer), step));
                continue;
            }
            // Nothing moves, and the bases are eigenvectors; where eigenvalues are alike, any of theirs.
            assert_eq!(state.weights, model.weights);
            assert_eq!(state.bases.len(), layout.bases_len());
            let mut rest = state.bases.clone();
            for matrix in &soap.0 {
                let parts = matrix.parts(&mut rest[..matrix.remembered()]);
                let [left, right, left_basis, right_basis] =
                    parts.map(|part| of_rows(part, (part.len() as f64).sqrt() as usize));
                for (mean, basis) in [(&left, &left_basis), (&right, &right_basis)] {
                    let mut turned = basis.transpose() * mean * basis;
                    turned.fill_diagonal(0.0);
                    assert!(orthogonal(basis) && turned.amax() < 1e-4 * mean.amax(), "{}", turned.amax());
                }
                let layer = layout.matrices().into_iter().find(|layer| layer.weight == matrix.place).unwrap().clone();
                let gradient = of_layer(&layer);
                assert!((&gradient * gradient.transpose() - &left).amax() < 1e-5 * left.amax());
                let zeros = DMatrix::zeros(layer.outputs, layer.inputs);
                let weights = of_rows(&model.weights[layer.weight.clone()], layer.outputs);
                let bases = (left_basis, right_basis);
                exact.push(Exact { layer, weights, left, right, bases, first: zeros.clone(), second: zeros });
                rest.drain(..matrix.remembered());
            }
        }
        let moved = (RATE * 30.0) as f32;
        for Exact { layer, weights, bases, .. } in &exact {
            let found = of_rows(&state.weights[layer.weight.clone()], layer.outputs);
            let furthest = (found - weights).amax() as f32;
            assert!(furthest < 1e-3 * moved, "{furthest} {}", layer.outputs);
            assert!(orthogonal(&bases.0) && orthogonal(&bases.1));
        }
        let others = |place: &usize| layout.matrices().iter().all(|layer| !layer.weight.contains(place));
        assert!((0..layout.len).filter(others).all(|place| state.weights[place] == model.weights[place]));
    }
}
