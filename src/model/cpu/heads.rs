//! A head forward and backward: from units and z to the cross-entropy of its column, and back; or to logits alone.
//!
//! Rows go through in blocks: what a block needs stays in the processor's cache from the way forward to the way back.

use std::ops::Range;

use super::buffer::Buffer;
use super::codes::{add_transposed, by_codes, from_codes};
use super::kernels::{
    bias_silu_add, bias_silu_add_values, cross_entropy, gate, gate_backward, gate_values, shared_gate_backward,
    silu_backward_to,
};
use super::packed::{PackedBack, PackedHead};
use super::products::{Matrix, weight_gradient};
use super::trunk::TrunkPass;
use crate::model::layout::Head;

/// Rows of a block: matrices of 128 columns and this many rows take 128 KiB.
pub const BLOCK: usize = 256;

/// Rows whose gates are used as soon as they are computed.
const STRIP: usize = 32;

/// Buffers of one block.
#[derive(Debug, Default)]
pub struct HeadPass {
    latent_gradient: Vec<f32>,
    /// One row for each row, or one that all share where z is 0.
    latent: Buffer,
    gated: Buffer,
    gated_slopes: Buffer,
    hidden: Buffer,
    hidden_slopes: Buffer,
    logits: Buffer,
    back: Buffer,
    hidden_back: Buffer,
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

/// A head with its weights as they lie and as products take them.
#[derive(Clone, Copy, Debug)]
pub struct HeadWeights<'a> {
    /// The head.
    pub head: &'a Head,
    /// All weights of the model.
    pub weights: &'a [f32],
    /// The head's, packed.
    pub packed: &'a PackedHead,
}

impl HeadPass {
    /// The sum of -log p over these rows; gradients of the head's weights, the units and z are added.
    /// `picked` and `targets` are those of all rows.
    pub fn run(
        &mut self,
        (of, back): (HeadWeights<'_>, &PackedBack),
        gradient: &mut [f32],
        trunk: &mut TrunkPass,
        (picked, targets): (&[usize], &[usize]),
        part: &mut RowBlock<'_>,
    ) -> f64 {
        let layer = &of.head.latent;
        let latent = layer.inputs;
        self.latent_gradient.clear();
        self.latent_gradient.resize(of.packed.latent.len(), 0.0);
        let mut total = 0.0;
        for start in part.rows.clone().step_by(BLOCK) {
            let rows = start..part.rows.end.min(start + BLOCK);
            let local = start - part.rows.start..rows.end - part.rows.start;
            let codes = local.start * latent..local.end * latent;
            let z = part.z.map(|z| &z[codes.clone()]);
            let shares = part.shares.get(local).unwrap_or_default();
            let z_gradient = part.z_gradient.as_deref_mut().map(|gradient| &mut gradient[codes]);
            let (picked, targets) = (&picked[rows.clone()], &targets[rows]);
            let scales = (part.scale, shares);
            total += self.block((of, back), gradient, trunk, (picked, targets), (z, z_gradient), scales);
        }
        if latent > 0 {
            add_transposed(&mut gradient[layer.weight.clone()], &self.latent_gradient, latent);
        }
        total
    }

    /// Logits of at most [`BLOCK`] rows of a head, without their bias: [`HeadPass::row`] has a row's.
    /// z is `[n, latent]`, empty in a model without it.
    pub fn logits(&mut self, of: HeadWeights<'_>, units: &[f32], picked: &[usize], z: &[f32]) {
        let (width, latent) = (of.head.width, of.head.latent.inputs);
        if latent == 0 {
            self.gates(of, picked.len(), z);
            return self.gated_logits(of, units, picked);
        }
        self.gated.of_len(picked.len() * width);
        for (strip, picked) in picked.chunks(STRIP).enumerate() {
            let codes = &z[strip * STRIP * latent..][..picked.len() * latent];
            self.gates(of, picked.len(), codes);
            let gated = &mut self.gated[strip * STRIP * width..][..picked.len() * width];
            gate_values(gated, &self.latent, units, picked);
        }
        self.logits_of_gated(of, picked.len());
    }

    /// The latent layer's outputs for at most [`BLOCK`] codes, which [`HeadPass::gated_logits`] takes as often as they
    /// are wanted. z is `[n, latent]`, empty in a model without it.
    pub fn gates(&mut self, of: HeadWeights<'_>, n: usize, z: &[f32]) {
        self.latent_layer(of, n, (of.head.latent.inputs > 0).then_some(z));
    }

    /// Logits of as many rows as [`HeadPass::gates`] took codes, without their bias.
    pub fn gated_logits(&mut self, of: HeadWeights<'_>, units: &[f32], picked: &[usize]) {
        let gated = self.gated.of_len(picked.len() * of.head.width);
        gate_values(gated, &self.latent, units, picked);
        self.logits_of_gated(of, picked.len());
    }

    fn logits_of_gated(&mut self, of: HeadWeights<'_>, n: usize) {
        let HeadWeights { head, weights, packed } = of;
        let (width, stride) = (head.width, packed.bias.len());
        let (gated, hidden) = (&*self.gated, self.hidden.of_len(n * width));
        let logits = self.logits.of_len(n * stride);
        packed.hidden.multiply(hidden, width, Matrix::new(gated, n, width), false);
        bias_silu_add_values(hidden, &weights[head.hidden.bias.clone()], gated);
        packed.output.multiply(logits, stride, Matrix::new(hidden, n, width), false);
    }

    /// A row's logits after [`HeadPass::logits`].
    pub fn row(&self, of: HeadWeights<'_>, row: usize) -> &[f32] {
        &self.logits[row * of.packed.bias.len()..][..of.head.size]
    }

    /// All logits after [`HeadPass::gated_logits`], in rows that are as long as the packed bias.
    pub fn rows(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    fn latent_layer(&mut self, of: HeadWeights<'_>, n: usize, z: Option<&[f32]>) {
        let bias = &of.weights[of.head.latent.bias.clone()];
        let latent = self.latent.of_len(if z.is_some() { n } else { 1 } * 2 * of.head.width);
        match z {
            Some(codes) => from_codes(latent, codes, &of.packed.latent, bias),
            None => latent.copy_from_slice(bias),
        }
    }

    fn block(
        &mut self,
        (of, way_back): (HeadWeights<'_>, &PackedBack),
        gradient: &mut [f32],
        trunk: &mut TrunkPass,
        (picked, targets): (&[usize], &[usize]),
        (z, z_gradient): (Option<&[f32]>, Option<&mut [f32]>),
        scales: (f32, &[f32]),
    ) -> f64 {
        let HeadWeights { head, weights, packed } = of;
        let (n, width, stride) = (picked.len(), head.width, packed.bias.len());
        self.latent_layer(of, n, z);
        let latent = &mut *self.latent;
        let (gated, gated_slopes) = (self.gated.of_len(n * width), self.gated_slopes.of_len(n * width));
        let (hidden, hidden_slopes) = (self.hidden.of_len(n * width), self.hidden_slopes.of_len(n * width));
        let (back, hidden_back) = (self.back.of_len(n * width), self.hidden_back.of_len(n * width));
        let logits = self.logits.of_len(n * stride);
        gate(gated, gated_slopes, latent, &trunk.units, picked);
        let gated = Matrix::new(gated, n, width);
        packed.hidden.multiply(hidden, width, gated, false);
        bias_silu_add(hidden, hidden_slopes, &weights[head.hidden.bias.clone()], gated.values());
        let hidden = Matrix::new(hidden, n, width);
        packed.output.multiply(logits, stride, hidden, false);
        let sums = &mut gradient[head.output.bias.clone()];
        let total = cross_entropy(logits, &packed.bias, targets, scales, sums);

        // The logits have turned into their gradients.
        let change = Matrix::part(logits, n, head.size, stride);
        weight_gradient(&mut gradient[head.output.weight.clone()], change, hidden);
        way_back.output.multiply(back, width, change, false);
        let sums = &mut gradient[head.hidden.bias.clone()];
        silu_backward_to(hidden_back, back, hidden_slopes, sums);
        let change = Matrix::new(hidden_back, n, width);
        weight_gradient(&mut gradient[head.hidden.weight.clone()], change, gated);
        way_back.hidden.multiply(back, width, change, true);
        let sums = &mut gradient[head.latent.bias.clone()];
        let gate_back = if z.is_some() { gate_backward } else { shared_gate_backward };
        gate_back(back, gated_slopes, latent, sums, &trunk.units, &mut trunk.unit_gradient, picked);
        if let Some(codes) = z {
            by_codes(&mut self.latent_gradient, latent, codes, head.latent.inputs);
        }
        if let Some(z_gradient) = z_gradient {
            way_back.latent.multiply(z_gradient, head.latent.inputs, Matrix::new(latent, n, 2 * width), true);
        }
        total
    }
}
