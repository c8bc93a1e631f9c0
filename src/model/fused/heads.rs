//! A head forward and backward: from units and z to the cross-entropy of its field, and back.
//!
//! Rows go through in blocks: what a block needs stays in the processor's cache from the way forward to the way back.

use std::ops::Range;

use super::codes::{add_transposed, by_codes, from_codes, transpose};
use super::kernels::{bias_silu_add, cross_entropy, gate, gate_backward, through_slopes_to};
use super::layout::{Head, Linear};
use super::products::{Matrix, backward, backward_add, forward, forward_strided, weight_gradient};
use super::trunk::TrunkPass;

/// Rows of a block: matrices of 128 columns and this many rows take 128 KiB.
const BLOCK: usize = 256;
/// Rows of logits begin at multiples of this many numbers.
const ALIGNED: usize = 16;

/// Buffers of one block.
#[derive(Debug, Default)]
pub struct HeadPass {
    latent_weights: Vec<f32>,
    latent_gradient: Vec<f32>,
    latent: Vec<f32>,
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
pub struct Rows<'a> {
    /// Which of all rows these are.
    pub rows: Range<usize>,
    /// Their codes `[n, latent]`; none where z is 0.
    pub z: Option<&'a [f32]>,
    /// The loss's gradient by the codes, added to; none where it isn't asked for.
    pub z_gradient: Option<&'a mut [f32]>,
    /// What a row's cross-entropy counts for.
    pub scale: f32,
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
        part: &mut Rows<'_>,
    ) -> f64 {
        let latent = head.latent.inputs;
        transpose(&mut self.latent_weights, &weights[head.latent.weight.clone()], latent);
        self.latent_gradient.clear();
        self.latent_gradient.resize(self.latent_weights.len(), 0.0);
        let mut total = 0.0;
        for start in part.rows.clone().step_by(BLOCK) {
            let rows = start..part.rows.end.min(start + BLOCK);
            let local = start - part.rows.start..rows.end - part.rows.start;
            let codes = local.start * latent..local.end * latent;
            let z = part.z.map(|z| &z[codes.clone()]);
            let z_gradient = part.z_gradient.as_deref_mut().map(|gradient| &mut gradient[codes]);
            let (picked, targets) = (&picked[rows.clone()], &targets[rows]);
            total += self.block(head, weights, gradient, trunk, (picked, targets), (z, z_gradient), part.scale);
        }
        add_transposed(&mut gradient[head.latent.weight.clone()], &self.latent_gradient, latent);
        total
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
        scale: f32,
    ) -> f64 {
        let (n, width, size, stride) = (picked.len(), head.width, head.size, head.size.next_multiple_of(ALIGNED));
        for (buffer, columns) in [
            (&mut self.latent, 2 * width),
            (&mut self.gated, width),
            (&mut self.gated_slopes, width),
            (&mut self.hidden, width),
            (&mut self.hidden_slopes, width),
            (&mut self.logits, stride),
            (&mut self.back, width),
            (&mut self.hidden_back, width),
        ] {
            buffer.resize(n * columns, 0.0);
        }
        let matrix = |layer: &Linear| Matrix::new(&weights[layer.weight.clone()], layer.outputs, layer.inputs);
        let bias = |layer: &Linear| &weights[layer.bias.clone()];

        // Forward.
        match z {
            Some(codes) => from_codes(&mut self.latent, codes, &self.latent_weights, head.latent.inputs),
            None => self.latent.fill(0.0),
        }
        gate(&mut self.gated, &mut self.gated_slopes, &mut self.latent, bias(&head.latent), &trunk.units, picked);
        let gated = Matrix::new(&self.gated, n, width);
        forward(&mut self.hidden, gated, matrix(&head.hidden));
        bias_silu_add(&mut self.hidden, &mut self.hidden_slopes, bias(&head.hidden), &self.gated);
        let hidden = Matrix::new(&self.hidden, n, width);
        forward_strided(&mut self.logits, stride, hidden, matrix(&head.output));
        let sums = &mut gradient[head.output.bias.clone()];
        let total = cross_entropy(&mut self.logits, stride, bias(&head.output), targets, scale, sums);

        // Backward: the logits have turned into their gradients.
        let change = Matrix::part(&self.logits, n, size, stride);
        weight_gradient(&mut gradient[head.output.weight.clone()], change, hidden);
        backward(&mut self.back, change, matrix(&head.output));
        let sums = &mut gradient[head.hidden.bias.clone()];
        through_slopes_to(&mut self.hidden_back, &self.back, &self.hidden_slopes, sums);
        let change = Matrix::new(&self.hidden_back, n, width);
        weight_gradient(&mut gradient[head.hidden.weight.clone()], change, gated);
        backward_add(&mut self.back, change, matrix(&head.hidden));
        let sums = &mut gradient[head.latent.bias.clone()];
        let units = (&trunk.units, &mut trunk.unit_gradient);
        gate_backward(&self.back, &self.gated_slopes, &mut self.latent, sums, units.0, units.1, picked);
        if let Some(codes) = z {
            by_codes(&mut self.latent_gradient, &self.latent, codes, head.latent.inputs);
        }
        if let Some(z_gradient) = z_gradient {
            backward_add(z_gradient, Matrix::new(&self.latent, n, 2 * width), matrix(&head.latent));
        }
        total
    }
}
