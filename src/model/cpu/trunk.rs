//! A head's units before z enters, forward and backward, once for each different prefix.

use super::buffer::Buffer;
use super::kernels::{bias_silu, features, features_backward, gather, scatter, silu_backward};
use super::packed::{PackedBack, PackedHead};
use super::products::{Matrix, backward, forward, weight_gradient};
use crate::model::layout::{Layout, Linear, RADIANS_PER_UNIT};
use crate::task::Rows;

/// One column's run of the trunk and of its head's first layer.
#[derive(Debug, Default)]
pub struct TrunkPass {
    state: Buffer,
    /// An additive trunk's states after their activation `[n, state]`, with slopes and gradient.
    active: Buffer,
    active_slopes: Buffer,
    active_back: Buffer,
    features: Buffer,
    feature_slopes: Buffer,
    slopes: Buffer,
    back: Buffer,
    /// Units before z enters, `[n, width]`.
    pub units: Buffer,
    /// The loss's gradient by them.
    pub unit_gradient: Buffer,
}

impl TrunkPass {
    /// Computes a column's units for these prefixes.
    pub fn forward(
        &mut self,
        (layout, weights, packed): (&Layout, &[f32], &PackedHead),
        column: usize,
        prefixes: &Rows,
    ) {
        let (n, inputs) = (prefixes.len(), layout.trunk.features);
        let Linear { bias, outputs, .. } = &layout.heads[column].input;
        self.features.of_len(n * inputs);
        match &layout.trunk.hidden {
            None => {
                let state = self.state.of_len(2 * layout.trunk.state);
                for (features_row, row) in self.features.chunks_exact_mut(inputs).zip(prefixes.iter()) {
                    let sum = state_of(layout, weights, column, row, state);
                    features(features_row, sum, layout.trunk.angles, RADIANS_PER_UNIT);
                }
            }
            Some(hidden) => self.additive(layout, weights, hidden, column, prefixes),
        }
        self.units.of_len(n * outputs);
        self.slopes.of_len(n * outputs);
        packed.input.multiply(&mut self.units, *outputs, Matrix::new(&self.features, n, inputs), false);
        bias_silu(&mut self.units, &mut self.slopes, &weights[bias.clone()]);
    }

    /// The features of an additive trunk: silu(hidden(silu(state))).
    fn additive(&mut self, layout: &Layout, weights: &[f32], hidden: &Linear, column: usize, prefixes: &Rows) {
        let (n, width) = (prefixes.len(), layout.trunk.state);
        let state = self.state.of_len(2 * width);
        let active = self.active.of_len(n * width);
        for (out, row) in active.chunks_exact_mut(width).zip(prefixes.iter()) {
            out.copy_from_slice(state_of(layout, weights, column, row, state));
        }
        let active_slopes = self.active_slopes.of_len(n * width);
        bias_silu(active, active_slopes, &vec![0.0; width]);
        let matrix = Matrix::new(&weights[hidden.weight.clone()], width, width);
        forward(&mut self.features, Matrix::new(active, n, width), matrix);
        let slopes = self.feature_slopes.of_len(n * width);
        bias_silu(&mut self.features, slopes, &weights[hidden.bias.clone()]);
    }

    /// Sets the gradient by the units to 0, after [`TrunkPass::forward`] and to be added to.
    pub fn begin_gradient(&mut self) {
        self.unit_gradient.of_len(self.units.len()).fill(0.0);
    }

    /// Adds the gradients of the weights of the trunk and of the head's first layer.
    pub fn backward(
        &mut self,
        (layout, weights, packed): (&Layout, &[f32], &PackedBack),
        gradient: &mut [f32],
        column: usize,
        prefixes: &Rows,
    ) {
        let (n, inputs, state) = (prefixes.len(), layout.trunk.features, layout.trunk.state);
        let Linear { weight, bias, outputs, .. } = &layout.heads[column].input;
        silu_backward(&mut self.unit_gradient, &self.slopes, &mut gradient[bias.clone()]);
        let change = Matrix::new(&self.unit_gradient, n, *outputs);
        weight_gradient(&mut gradient[weight.clone()], change, Matrix::new(&self.features, n, inputs));
        self.back.of_len(n * inputs);
        packed.input.multiply(&mut self.back, inputs, change, false);
        if let Some(hidden) = &layout.trunk.hidden {
            silu_backward(&mut self.back, &self.feature_slopes[..n * state], &mut gradient[hidden.bias.clone()]);
            let (change, active) = (Matrix::new(&self.back, n, state), Matrix::new(&self.active, n, state));
            weight_gradient(&mut gradient[hidden.weight.clone()], change, active);
            let back = self.active_back.of_len(n * state);
            backward(back, change, Matrix::new(&weights[hidden.weight.clone()], state, state));
            silu_backward(back, &self.active_slopes[..n * state], &mut vec![0.0; state]);
            for (change, row) in back.chunks_exact(state).zip(prefixes.iter()) {
                add_to_tables(layout, gradient, column, row, change);
            }
            return;
        }
        let change = &mut self.state[..state];
        let rows = self.back.chunks_exact(inputs).zip(self.features.chunks_exact(inputs));
        for ((by_features, features), row) in rows.zip(prefixes.iter()) {
            features_backward(change, by_features, features, layout.trunk.angles, RADIANS_PER_UNIT);
            add_to_tables(layout, gradient, column, row, change);
        }
    }
}

/// The state that a column's head sees of a row, in the first half of `buffer`, `[2 state]`.
fn state_of<'a>(layout: &Layout, weights: &[f32], column: usize, row: &[u16], buffer: &'a mut [f32]) -> &'a [f32] {
    let given = layout.given;
    let (sum, part) = buffer.split_at_mut(layout.trunk.state);
    gather(sum, &weights[layout.trunk.condition.clone()], (&layout.offsets[..given], 0), &row[..given]);
    if let Some(prefix) = &layout.trunk.prefix {
        let columns = given..given + column;
        let first = layout.offsets[given];
        gather(part, &weights[prefix.clone()], (&layout.offsets[columns.clone()], first), &row[columns]);
        sum.iter_mut().zip(&*part).for_each(|(sum, part)| *sum += part);
    }
    sum
}

/// Adds a state's gradient to the rows of the tables that it was the sum of.
fn add_to_tables(layout: &Layout, gradient: &mut [f32], column: usize, row: &[u16], change: &[f32]) {
    let given = layout.given;
    scatter(change, &mut gradient[layout.trunk.condition.clone()], (&layout.offsets[..given], 0), &row[..given]);
    if let Some(prefix) = &layout.trunk.prefix {
        let columns = given..given + column;
        let places = (&layout.offsets[columns.clone()], layout.offsets[given]);
        scatter(change, &mut gradient[prefix.clone()], places, &row[columns]);
    }
}
