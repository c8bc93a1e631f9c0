//! A head's units before z enters, forward and backward, once for each different prefix.

use super::kernels::{bias_silu, features, features_backward, gather, scatter, through_slopes};
use super::layout::{Layout, Linear};
use super::pairs::Pair;
use super::products::{Matrix, backward, forward, weight_gradient};
use crate::model::decoder::RADIANS_PER_UNIT;

/// One field's run of the trunk and of its head's first layer.
#[derive(Debug, Default)]
pub struct TrunkPass {
    state: Vec<f32>,
    features: Vec<f32>,
    slopes: Vec<f32>,
    back: Vec<f32>,
    /// Units before z enters, `[n, width]`.
    pub units: Vec<f32>,
    /// The loss's gradient by them.
    pub unit_gradient: Vec<f32>,
}

impl TrunkPass {
    /// Computes a field's units for these prefixes.
    pub fn forward(&mut self, layout: &Layout, weights: &[f32], field: usize, prefixes: &[Pair]) {
        let (n, state_len, inputs) = (prefixes.len(), layout.state(), layout.features());
        let Linear { weight, bias, outputs, .. } = &layout.heads[field].input;
        self.features.resize(n * inputs, 0.0);
        self.units.resize(n * outputs, 0.0);
        self.slopes.resize(n * outputs, 0.0);
        self.state.resize(2 * state_len, 0.0);
        let (sum, part) = self.state.split_at_mut(state_len);
        for (row, pair) in self.features.chunks_exact_mut(inputs).zip(prefixes) {
            gather(sum, &weights[layout.condition.clone()], &pair.condition_rows());
            gather(part, &weights[layout.prefix.clone()], &pair.prefix_rows()[..field]);
            sum.iter_mut().zip(&*part).for_each(|(sum, part)| *sum += part);
            features(row, sum, layout.angles, RADIANS_PER_UNIT as f32);
        }
        let matrix = Matrix::new(&weights[weight.clone()], *outputs, inputs);
        forward(&mut self.units, Matrix::new(&self.features, n, inputs), matrix);
        bias_silu(&mut self.units, &mut self.slopes, &weights[bias.clone()]);
    }

    /// Sets the gradient by the units to 0, after [`TrunkPass::forward`] and to be added to.
    pub fn begin_gradient(&mut self) {
        self.unit_gradient.clear();
        self.unit_gradient.resize(self.units.len(), 0.0);
    }

    /// Adds the gradients of the weights of the trunk and of the head's first layer.
    pub fn backward(
        &mut self,
        layout: &Layout,
        weights: &[f32],
        gradient: &mut [f32],
        field: usize,
        prefixes: &[Pair],
    ) {
        let (n, state_len, inputs) = (prefixes.len(), layout.state(), layout.features());
        let Linear { weight, bias, outputs, .. } = &layout.heads[field].input;
        through_slopes(&mut self.unit_gradient, &self.slopes, &mut gradient[bias.clone()]);
        let change = Matrix::new(&self.unit_gradient, n, *outputs);
        weight_gradient(&mut gradient[weight.clone()], change, Matrix::new(&self.features, n, inputs));
        self.back.resize(n * inputs, 0.0);
        backward(&mut self.back, change, Matrix::new(&weights[weight.clone()], *outputs, inputs));
        let change = &mut self.state[..state_len];
        let rows = self.back.chunks_exact(inputs).zip(self.features.chunks_exact(inputs));
        for ((by_features, row), pair) in rows.zip(prefixes) {
            features_backward(change, by_features, row, layout.angles, RADIANS_PER_UNIT as f32);
            scatter(change, &mut gradient[layout.condition.clone()], &pair.condition_rows());
            scatter(change, &mut gradient[layout.prefix.clone()], &pair.prefix_rows()[..field]);
        }
    }
}
