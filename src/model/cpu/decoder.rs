//! The model without gradients: codes of rows, rows from codes, and how likely rows are.

use multiversion::multiversion;

use super::encoder::GaussianPass;
use super::heads::{BLOCK, HeadPass, HeadWeights};
use super::kernels::most_likely;
use super::packed::PackedHead;
use super::pairing::{CodeShare, PairingPass, pick};
use super::prefixes::Prefixes;
use super::prior::PriorPass;
use super::scalar::{exp, highest};
use super::trunk::TrunkPass;
use crate::model::encodings::Encodings;
use crate::model::engine::PairedCodes;
use crate::model::noise::{Decode, Noise};
use crate::model::weights::Model;
use crate::task::Rows;

/// The posteriors of rows; without dimensions in a model without z.
pub fn encode(model: &Model, rows: &Rows) -> Encodings {
    let latent = model.layout.latent;
    let mut encodings = Encodings { latent, ..Encodings::default() };
    let Some(encoder) = &model.layout.encoder else { return encodings };
    let (mut pass, mut block) = (GaussianPass::default(), Rows::new(rows.width()));
    for start in (0..rows.len()).step_by(BLOCK) {
        block.clear();
        block.extend(rows, start..rows.len().min(start + BLOCK));
        pass.forward(&model.layout, encoder, &model.weights, &block);
        for row in pass.posterior.chunks_exact(2 * latent) {
            encodings.mu.extend_from_slice(&row[..latent]);
            encodings.logvar.extend_from_slice(&row[latent..]);
        }
    }
    encodings
}

/// The decoder p(y | z, c) of a model, with what decoding needs: one for each thread, for many calls.
#[derive(Debug)]
pub struct Decoder<'a> {
    pub(super) model: &'a Model,
    pub(super) heads: Vec<PackedHead>,
    pub(super) trunk: TrunkPass,
    pub(super) pass: HeadPass,
    pub(super) prefixes: Prefixes,
    pub(super) prior: PriorPass,
    logits: Vec<f32>,
    block: Rows,
}

impl<'a> Decoder<'a> {
    /// Rows that are decoded at once.
    pub const BLOCK: usize = BLOCK;

    /// That of a model.
    pub fn new(model: &'a Model) -> Self {
        Self {
            model,
            heads: PackedHead::all(&model.layout, &model.weights),
            trunk: TrunkPass::default(),
            pass: HeadPass::default(),
            prefixes: Prefixes::default(),
            prior: PriorPass::default(),
            logits: Vec::new(),
            block: Rows::new(model.schema.width()),
        }
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Generated columns `[n, generated]` for conditions `[n, given]`, which these random numbers decide; greedy decoding
    /// needs none but z.
    ///
    /// # Panics
    /// When there are not as many random numbers as they need.
    pub fn decode(&mut self, conditions: &Rows, noise: &Noise, decode: Decode) -> Rows {
        let Model { schema, layout, .. } = self.model;
        let (n, latent, columns) = (conditions.len(), layout.latent, schema.generated.len());
        assert_eq!(noise.z.len(), n * latent, "codes that don't fit the conditions");
        let uniform = if decode == Decode::Greedy { &[] } else { noise.uniform.as_slice() };
        assert!(decode == Decode::Greedy || uniform.len() == n * columns, "numbers that don't fit the conditions");
        let mut drawn = Rows::new(columns);
        for start in (0..n).step_by(BLOCK) {
            let rows = start..n.min(start + BLOCK);
            let z = &noise.z[rows.start * latent..rows.end * latent];
            let uniform = uniform.get(rows.start * columns..rows.end * columns).unwrap_or_default();
            self.block(rows.map(|row| conditions.row(row)), (z, uniform), decode, &mut drawn);
        }
        drawn
    }

    /// At most [`BLOCK`] conditions, from codes `[n, latent]` and uniform numbers `[n, generated]`.
    fn block<'c>(
        &mut self,
        conditions: impl ExactSizeIterator<Item = &'c [u16]> + Clone,
        (z, uniform): (&[f32], &[f32]),
        decode: Decode,
        drawn: &mut Rows,
    ) {
        let Self { model: Model { schema, layout, weights, .. }, heads, trunk, pass, prefixes, prior, logits, .. } =
            self;
        let (n, columns) = (conditions.len(), layout.heads.len());
        let z = prior.codes(layout, weights, conditions.clone(), z);
        prefixes.of_conditions(conditions, schema.width());
        let (mut values, mut chosen) = (vec![0; n * columns], Vec::with_capacity(n));
        for (column, (head, packed)) in layout.heads.iter().zip(&*heads).enumerate() {
            trunk.forward((layout, weights, packed), column, &prefixes.rows);
            let of = HeadWeights { head, weights, packed };
            pass.logits(of, &trunk.units, &prefixes.picked, z);
            chosen.clear();
            match decode {
                Decode::Greedy => most_likely(pass.rows(), &packed.bias, &mut chosen),
                Decode::Sample { temperature } => {
                    let bias = &weights[head.output.bias.clone()];
                    let marks = uniform.iter().skip(column).step_by(columns).enumerate();
                    chosen
                        .extend(marks.map(|(row, mark)| sampled(pass.row(of, row), bias, temperature, *mark, logits)));
                }
            }
            values.iter_mut().skip(column).step_by(columns).zip(&chosen).for_each(|(value, chosen)| *value = *chosen);
            if column + 1 < columns && layout.seen(column + 1) > 0 {
                prefixes.split(layout.given + column, &chosen, head.size);
            }
        }
        values.chunks_exact(columns).for_each(|row| drawn.push(row));
    }

    /// -log p(y | z, c) of rows at codes `[n, latent]`, summed over the generated columns, nats, `[n]`.
    pub fn cross_entropies(&mut self, rows: &Rows, z: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; rows.len()];
        let given = self.model.layout.given;
        self.forced_logits(rows, z, |row, column, logits| {
            sums[row] += cross_entropy(logits, usize::from(rows.row(row)[given + column]));
        });
        sums
    }

    /// Shows the logits of every row's generated columns, with the row's own values before each one given (teacher
    /// forcing), at codes `[n, latent]`: `show` is given row, column and logits.
    pub fn forced_logits(&mut self, rows: &Rows, z: &[f32], mut show: impl FnMut(usize, usize, &[f32])) {
        let Self { model: Model { layout, weights, .. }, heads, trunk, pass, prior, logits, block, .. } = self;
        for start in (0..rows.len()).step_by(BLOCK) {
            let range = start..rows.len().min(start + BLOCK);
            let z = &z[range.start * layout.latent..range.end * layout.latent];
            let picked: Vec<usize> = (0..range.len()).collect();
            block.clear();
            block.extend(rows, range.clone());
            let z = prior.codes(layout, weights, block.iter(), z);
            for (column, (head, packed)) in layout.heads.iter().zip(&*heads).enumerate() {
                trunk.forward((layout, weights, packed), column, block);
                let of = HeadWeights { head, weights, packed };
                pass.logits(of, &trunk.units, &picked, z);
                let bias = &weights[head.output.bias.clone()];
                for (place, row) in range.clone().enumerate() {
                    logits.clear();
                    logits.extend(pass.row(of, place).iter().zip(bias).map(|(value, bias)| value + bias));
                    show(row, column, logits);
                }
            }
        }
    }
}

/// The row that each code is paired with, as training pairs them.
pub fn paired_rows(model: &Model, codes: &PairedCodes) -> Rows {
    let mut rows = Rows::new(model.schema.width());
    if let Some(encoder) = &model.layout.encoder {
        let share = CodeShare { codes, groups: (0, codes.counts.len()) };
        PairingPass::default().pair(&model.layout, encoder, &model.weights, share, &mut rows);
    }
    rows
}

/// The value that a row of logits, less their bias, and a uniform number stand for at a temperature.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn sampled(row: &[f32], bias: &[f32], temperature: f64, mark: f32, logits: &mut Vec<f32>) -> u16 {
    logits.clear();
    logits.extend(row.iter().zip(bias).map(|(value, bias)| value + bias));
    let highest = highest(logits);
    for logit in logits.iter_mut() {
        *logit = exp((*logit - highest) / temperature as f32);
    }
    pick(logits, mark) as u16
}

/// -log softmax of a target, nats.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn cross_entropy(logits: &[f32], target: usize) -> f64 {
    let highest = highest(logits);
    let own = logits[target] - highest;
    let mass: f32 = logits.iter().map(|logit| exp(*logit - highest)).sum();
    f64::from(mass.ln() - own)
}
