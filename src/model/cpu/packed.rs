//! A head's weights as products take them, packed once for many of them.

use super::codes::transpose;
use super::products::{Matrix, Panels};
use super::scalar::LANES;
use crate::model::layout::{Head, Layout, Linear};

/// For the way forward.
#[derive(Debug, Default)]
pub struct PackedHead {
    /// From the trunk's features.
    pub input: Panels,
    /// The hidden layer.
    pub hidden: Panels,
    /// Logits.
    pub output: Panels,
    /// The logits' bias, padded by the lowest number to whole panels: what a row of logits takes.
    pub bias: Vec<f32>,
    /// The latent layer's, transposed: `[latent, 2 width]`.
    pub latent: Vec<f32>,
}

impl PackedHead {
    /// All heads of a model.
    pub fn all(layout: &Layout, weights: &[f32]) -> Vec<Self> {
        let of = |head: &Head| {
            let mut packed = Self::default();
            packed.pack(head, weights);
            packed
        };
        layout.heads.iter().map(of).collect()
    }

    /// Takes a head in place of the one before.
    pub fn pack(&mut self, head: &Head, weights: &[f32]) {
        self.input.pack(matrix(weights, &head.input).transposed());
        self.hidden.pack(matrix(weights, &head.hidden).transposed());
        self.output.pack(matrix(weights, &head.output).transposed());
        self.bias.clear();
        self.bias.extend_from_slice(&weights[head.output.bias.clone()]);
        self.bias.resize(head.size.next_multiple_of(LANES), f32::MIN);
        if head.latent.inputs > 0 {
            transpose(&mut self.latent, &weights[head.latent.weight.clone()], head.latent.inputs);
        }
    }
}

/// For the way back.
#[derive(Debug, Default)]
pub struct PackedBack {
    /// To the trunk's features.
    pub input: Panels,
    /// Through the hidden layer.
    pub hidden: Panels,
    /// From the logits.
    pub output: Panels,
    /// To z.
    pub latent: Panels,
}

impl PackedBack {
    /// Takes a head in place of the one before.
    pub fn pack(&mut self, head: &Head, weights: &[f32]) {
        self.input.pack(matrix(weights, &head.input));
        self.hidden.pack(matrix(weights, &head.hidden));
        self.output.pack(matrix(weights, &head.output));
        self.latent.pack(matrix(weights, &head.latent));
    }
}

/// A layer's weights `[outputs, inputs]`.
fn matrix<'a>(weights: &'a [f32], layer: &Linear) -> Matrix<'a> {
    Matrix::new(&weights[layer.weight.clone()], layer.outputs, layer.inputs)
}
