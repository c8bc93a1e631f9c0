//! Muon: matrices move by their momentum with all singular values brought near 1.

use std::ops::Range;

use rayon::ThreadPool;

use super::kernels::{self, resized};
use super::products::{Matrix, backward, forward};
use super::{share_out, side_by_side};
use crate::model::layout::{Layout, Linear};
use crate::model::update::{MuonHyperparams, TrainingState};

/// The hidden layers' matrices by their places, each with its buffers.
#[derive(Debug)]
pub struct Muon(Vec<Orthogonal>);

impl Muon {
    /// That of a layout's hidden layers.
    pub fn new(layout: &Layout) -> Self {
        Self(layout.matrices().into_iter().map(Orthogonal::of).collect())
    }

    /// Moves the matrices by a gradient times `scale`; their momentum is among the first moments.
    pub fn update(
        &mut self,
        helpers: Option<&ThreadPool>,
        state: &mut TrainingState,
        (gradient, scale): (&[f32], f32),
        by: MuonHyperparams,
    ) {
        let TrainingState { weights, first, .. } = state;
        let (mut momenta, mut start) = (first.as_mut_slice(), 0);
        let mut work = Vec::with_capacity(self.0.len());
        for matrix in &mut self.0 {
            let (_, rest) = momenta.split_at_mut(matrix.place.start - start);
            let (momentum, rest) = rest.split_at_mut(matrix.place.len());
            (momenta, start) = (rest, matrix.place.end);
            work.push((matrix.place.len(), (matrix, momentum)));
        }
        let threads = helpers.map_or(1, |helpers| helpers.current_num_threads() + 1);
        side_by_side(helpers, share_out(work, threads), |share| {
            for (matrix, momentum) in share {
                matrix.follow(momentum, gradient, (scale, by.momentum as f32));
            }
        });
        for matrix in &self.0 {
            let length = 0.2 * (matrix.rows.max(matrix.columns) as f64).sqrt();
            kernels::add_scaled(&mut weights[matrix.place.clone()], &matrix.update, -(by.rate * length) as f32);
        }
    }
}

/// Iterations of Newton and Schulz, and the coefficients of their polynomial a x + b x^3 + c x^5 (Jordan et al. 2024).
const ITERATIONS: usize = 5;
const COEFFICIENTS: (f32, f32, f32) = (3.4445, -4.775, 2.0315);

/// The update of one matrix by Muon.
#[derive(Debug)]
struct Orthogonal {
    place: Range<usize>,
    rows: usize,
    columns: usize,
    update: Vec<f32>,
    gram: Vec<f32>,
    polynomial: Vec<f32>,
    next: Vec<f32>,
}

impl Orthogonal {
    fn of(layer: &Linear) -> Self {
        let [update, gram, polynomial, next] = std::array::from_fn(|_| Vec::new());
        Self { place: layer.weight.clone(), rows: layer.outputs, columns: layer.inputs, update, gram, polynomial, next }
    }

    /// Takes the momentum on by the matrix's part of a gradient, and makes an update of it (Nesterov).
    fn follow(&mut self, momentum: &mut [f32], gradient: &[f32], (scale, decay): (f32, f32)) {
        let update = resized(&mut self.update, momentum.len());
        for ((momentum, gradient), update) in momentum.iter_mut().zip(&gradient[self.place.clone()]).zip(update) {
            let gradient = gradient * scale;
            *momentum = (gradient - *momentum).mul_add(1.0 - decay, *momentum);
            *update = (*momentum - gradient).mul_add(decay, gradient);
        }
        self.orthogonalize();
    }

    /// Brings the update's singular values near 1.
    fn orthogonalize(&mut self) {
        let (m, n) = (self.rows, self.columns);
        // Of X X^T and X^T X the smaller one.
        let (wide, k) = (m <= n, m.min(n));
        let norm = kernels::square_norm(&self.update).sqrt() as f32 + 1e-7;
        self.update.iter_mut().for_each(|entry| *entry /= norm);
        let (a, b, c) = COEFFICIENTS;
        let gram = resized(&mut self.gram, k * k);
        let polynomial = resized(&mut self.polynomial, k * k);
        let next = resized(&mut self.next, m * n);
        for _ in 0..ITERATIONS {
            let x = Matrix::new(&self.update, m, n);
            let of_x = if wide { x } else { x.transposed() };
            forward(gram, of_x, of_x);
            backward(polynomial, Matrix::new(gram, k, k), Matrix::new(gram, k, k));
            for (entry, gram) in polynomial.iter_mut().zip(&*gram) {
                *entry = c.mul_add(*entry, b * gram);
            }
            let polynomial = Matrix::new(polynomial, k, k);
            if wide {
                backward(next, polynomial, x)
            } else {
                backward(next, x, polynomial)
            }
            for (entry, next) in self.update.iter_mut().zip(&*next) {
                *entry = a.mul_add(*entry, *next);
            }
        }
    }
}
