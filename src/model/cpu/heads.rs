//! A head forward and backward: from units and z to the cross-entropy of its column, and back; or to logits alone.
//!
//! Rows go through in blocks: what a block needs stays in the processor's cache from the way forward to the way back.

use std::ops::Range;

use super::codes::{add_transposed, by_codes, from_codes, transpose};
use super::kernels::{
    bias_silu_add, cross_entropy, gate, gate_backward, resized, shared_gate_backward, silu_backward_to,
};
use super::products::{Matrix, backward, backward_add, forward, forward_strided, weight_gradient};
use super::trunk::TrunkPass;
use crate::model::layout::{Head, Linear};

/// Rows of a block: matrices of 128 columns and this many rows take 128 KiB.
pub const BLOCK: usize = 256;
/// Rows of logits begin at multiples of this many numbers.
const ALIGNED: usize = 16;

/// Buffers of one block.
#[derive(Debug, Default)]
pub struct HeadPass {
    latent_weights: Vec<f32>,
    latent_gradient: Vec<f32>,
    latent: Vec<f32>,
    /// Rows of `latent`: one for each row, or one that all share where z is 0.
    latent_rows: usize,
    gated: Vec<f32>,
    gated_slopes: Vec<f32>,
    hidden: Vec<f32>,
    hidden_slopes: Vec<f32>,
    logits: Vec<f32>,
    back: Vec<f32>,
    hidden_back: Vec<f32>,
}

/// Rows that are alike: their codes come from one place, and they count the same.
#[derive(Debug)]
pub struct RowBlock<'a> {
    /// Which of all rows these are.
    pub rows: Range<usize>,
    /// Their codes `[n, latent]`; none where z is 0.
    pub z: Option<&'a [f32]>,
    /// The loss's gradient by the codes, added to; none where it isn't asked for.
    pub z_gradient: Option<&'a mut [f32]>,
    /// What a row's cross-entropy counts for.
    pub scale: f32,
    /// What share of it counts for each row `[n]`; empty where all of it does.
    pub shares: &'a [f32],
}

impl HeadPass {
    /// The sum of -log p over these rows; gradients of the head's weights, the units and z are added.
    /// `picked` and `targets` are those of all rows.
    pub fn run(
        &mut self,
        head: &Head,
        weights: &[f32],
        gradient: &mut [f32],
        trunk: &mut TrunkPass,
        (picked, targets): (&[usize], &[usize]),
        part: &mut RowBlock<'_>,
    ) -> f64 {
        let latent = head.latent.inputs;
        self.take(head, weights);
        self.latent_gradient.clear();
        self.latent_gradient.resize(self.latent_weights.len(), 0.0);
        let mut total = 0.0;
        for start in part.rows.clone().step_by(BLOCK) {
            let rows = start..part.rows.end.min(start + BLOCK);
            let local = start - part.rows.start..rows.end - part.rows.start;
            let codes = local.start * latent..local.end * latent;
            let z = part.z.map(|z| &z[codes.clone()]);
            let shares = part.shares.get(local).unwrap_or_default();
            let z_gradient = part.z_gradient.as_deref_mut().map(|gradient| &mut gradient[codes]);
            let (picked, targets) = (&picked[rows.clone()], &targets[rows]);
            total +=
                self.block(head, weights, gradient, trunk, (picked, targets), (z, z_gradient), (part.scale, shares));
        }
        if latent > 0 {
            add_transposed(&mut gradient[head.latent.weight.clone()], &self.latent_gradient, latent);
        }
        total
    }

    /// Makes ready what all blocks of a head share.
    fn take(&mut self, head: &Head, weights: &[f32]) {
        if head.latent.inputs > 0 {
            transpose(&mut self.latent_weights, &weights[head.latent.weight.clone()], head.latent.inputs);
        }
    }

    /// Logits of at most [`BLOCK`] rows of a head, without their bias: [`HeadPass::row`] has a row's.
    /// z is `[n, latent]`, empty in a model without it.
    pub fn logits(&mut self, head: &Head, weights: &[f32], units: &[f32], picked: &[usize], z: &[f32]) {
        self.gates(head, weights, picked.len(), z);
        self.gated_logits(head, weights, units, picked);
    }

    /// The latent layer's outputs for at most [`BLOCK`] codes, which [`HeadPass::gated_logits`] takes as often as they
    /// are wanted. z is `[n, latent]`, empty in a model without it.
    pub fn gates(&mut self, head: &Head, weights: &[f32], n: usize, z: &[f32]) {
        self.take(head, weights);
        self.latent_layer(head, weights, n, (head.latent.inputs > 0).then_some(z));
    }

    /// Logits of as many rows as [`HeadPass::gates`] took codes, without their bias.
    pub fn gated_logits(&mut self, head: &Head, weights: &[f32], units: &[f32], picked: &[usize]) {
        self.forward_gated(head, weights, units, picked);
    }

    /// A row's logits after [`HeadPass::logits`].
    pub fn row(&self, head: &Head, row: usize) -> &[f32] {
        &self.logits[row * stride(head)..][..head.size]
    }

    /// The logits of so many rows, with gaps between them, and from one row to the next.
    pub fn rows(&mut self, head: &Head, n: usize) -> (&mut [f32], usize) {
        (&mut self.logits[..n * stride(head)], stride(head))
    }

    fn forward(&mut self, head: &Head, weights: &[f32], units: &[f32], picked: &[usize], z: Option<&[f32]>) {
        self.latent_layer(head, weights, picked.len(), z);
        self.forward_gated(head, weights, units, picked);
    }

    fn latent_layer(&mut self, head: &Head, weights: &[f32], n: usize, z: Option<&[f32]>) {
        let bias = &weights[head.latent.bias.clone()];
        self.latent_rows = if z.is_some() { n } else { 1 };
        let latent = resized(&mut self.latent, self.latent_rows * 2 * head.width);
        match z {
            Some(codes) => from_codes(latent, codes, &self.latent_weights, bias),
            None => latent.copy_from_slice(bias),
        }
    }

    fn forward_gated(&mut self, head: &Head, weights: &[f32], units: &[f32], picked: &[usize]) {
        let (n, width, stride) = (picked.len(), head.width, stride(head));
        let latent = resized(&mut self.latent, self.latent_rows * 2 * width);
        let (gated, gated_slopes) = (resized(&mut self.gated, n * width), resized(&mut self.gated_slopes, n * width));
        let (hidden, hidden_slopes) =
            (resized(&mut self.hidden, n * width), resized(&mut self.hidden_slopes, n * width));
        let logits = resized(&mut self.logits, n * stride);
        gate(gated, gated_slopes, latent, units, picked);
        forward(hidden, Matrix::new(gated, n, width), matrix(weights, &head.hidden));
        bias_silu_add(hidden, hidden_slopes, &weights[head.hidden.bias.clone()], gated);
        forward_strided(logits, stride, Matrix::new(hidden, n, width), matrix(weights, &head.output));
    }

    #[expect(clippy::too_many_arguments, reason = "what a block is and where it's from are named by `run` alone")]
    fn block(
        &mut self,
        head: &Head,
        weights: &[f32],
        gradient: &mut [f32],
        trunk: &mut TrunkPass,
        (picked, targets): (&[usize], &[usize]),
        (z, z_gradient): (Option<&[f32]>, Option<&mut [f32]>),
        scales: (f32, &[f32]),
    ) -> f64 {
        self.forward(head, weights, &trunk.units, picked, z);
        let (n, width, stride) = (picked.len(), head.width, stride(head));
        let back = resized(&mut self.back, n * width);
        let hidden_back = resized(&mut self.hidden_back, n * width);
        let latent = resized(&mut self.latent, self.latent_rows * 2 * width);
        let logits = resized(&mut self.logits, n * stride);
        let matrix = |layer: &Linear| matrix(weights, layer);
        let (gated, hidden) = (Matrix::new(&self.gated, n, width), Matrix::new(&self.hidden, n, width));
        let sums = &mut gradient[head.output.bias.clone()];
        let total = cross_entropy(logits, stride, &weights[head.output.bias.clone()], targets, scales, sums);

        // The logits have turned into their gradients.
        let change = Matrix::part(logits, n, head.size, stride);
        weight_gradient(&mut gradient[head.output.weight.clone()], change, hidden);
        backward(back, change, matrix(&head.output));
        let sums = &mut gradient[head.hidden.bias.clone()];
        silu_backward_to(hidden_back, back, &self.hidden_slopes, sums);
        let change = Matrix::new(hidden_back, n, width);
        weight_gradient(&mut gradient[head.hidden.weight.clone()], change, gated);
        backward_add(back, change, matrix(&head.hidden));
        let sums = &mut gradient[head.latent.bias.clone()];
        let units = (&trunk.units, &mut trunk.unit_gradient);
        let gate_back = if z.is_some() { gate_backward } else { shared_gate_backward };
        gate_back(back, &self.gated_slopes, latent, sums, units.0, units.1, picked);
        if let Some(codes) = z {
            by_codes(&mut self.latent_gradient, latent, codes, head.latent.inputs);
        }
        if let Some(z_gradient) = z_gradient {
            backward_add(z_gradient, Matrix::new(latent, n, 2 * width), matrix(&head.latent));
        }
        total
    }
}

/// From one row of logits to the next.
fn stride(head: &Head) -> usize {
    head.size.next_multiple_of(ALIGNED)
}

fn matrix<'a>(weights: &'a [f32], layer: &Linear) -> Matrix<'a> {
    Matrix::new(&weights[layer.weight.clone()], layer.outputs, layer.inputs)
}
