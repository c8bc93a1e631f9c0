//! One thread's shard of a batch: some of its rows and of the codes from the prior, forward and backward.

use std::ops::Range;

use super::decoder::cross_entropy;
use super::encoder::{GaussianPass, sample, sample_backward};
use super::heads::{BLOCK, HeadPass, HeadWeights, RowBlock};
use super::importance;
use super::mmd::MmdPass;
use super::packed::{PackedBack, PackedHead};
use super::pairing::{CodeShare, PairingPass};
use super::prefixes::{Origin, Prefixes};
use super::prior::PriorPass;
use super::trunk::TrunkPass;
use crate::model::engine::PairedCodes;
use crate::model::layout::Layout;
use crate::task::Rows;

/// What all shards of a step share.
#[derive(Debug)]
pub struct StepContext<'a> {
    pub layout: &'a Layout,
    pub weights: &'a [f32],
    /// The code is closed: z is 0, and the encoder is not run.
    pub closed: bool,
    /// Codes of each row: 1 for the ELBO, more for the importance-weighted bound.
    pub samples: usize,
    /// Weight of the KL.
    pub beta: f32,
    /// What a row's cross-entropy counts for.
    pub scale: f32,
    /// The same for a code from the prior.
    pub prior_scale: f32,
    /// What a condition's squared MMD counts for.
    pub mmd_scale: f64,
}

/// What a shard adds to the terms of the objective, each a sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// The cross-entropies of the rows, over all of their codes.
    pub recon: f64,
    /// Those of the codes from the prior.
    pub prior_recon: f64,
    /// The importance-weighted bounds of the rows; 0 for the ELBO.
    pub bound: f64,
    /// The squared MMDs of the conditions.
    pub mmd: f64,
}

/// Codes from the prior that a shard trains on.
#[derive(Clone, Copy, Debug)]
pub enum PriorShare<'a> {
    /// None.
    None,
    /// One for each of its rows, `[n, latent]`.
    Own(&'a [f32]),
    /// Some for each of a few conditions.
    Paired(CodeShare<'a>),
}

/// Buffers, and what they come to.
#[derive(Debug)]
pub struct Shard {
    /// The gradient of this shard's part of the loss.
    pub gradient: Vec<f32>,
    /// KL of each dimension, summed over rows.
    pub kl: Vec<f32>,
    /// Its rows of the batch, as often as they have codes, then those of the codes from the prior.
    rows: Rows,
    batch: usize,
    targets: Vec<usize>,
    prefixes: Prefixes,
    noise: Vec<f32>,
    /// Codes from the posterior, then those from the prior. With a conditional prior they are those that it maps.
    z: Vec<f32>,
    z_gradient: Vec<f32>,
    /// Each code's share of its row's importance weights; empty for the ELBO.
    shares: Vec<f32>,
    encoder: GaussianPass,
    prior: PriorPass,
    pairing: PairingPass,
    mmd: MmdPass,
    trunk: TrunkPass,
    heads: HeadPass,
    /// One head's weights at a time.
    packed: PackedHead,
    packed_back: PackedBack,
}

impl Shard {
    /// Empty buffers for a model of this layout.
    pub fn new(layout: &Layout) -> Self {
        Self {
            gradient: vec![0.0; layout.len],
            kl: vec![0.0; layout.latent],
            rows: Rows::new(layout.offsets.len()),
            batch: 0,
            targets: Vec::new(),
            prefixes: Prefixes::default(),
            noise: Vec::new(),
            z: Vec::new(),
            z_gradient: Vec::new(),
            shares: Vec::new(),
            encoder: GaussianPass::default(),
            prior: PriorPass::default(),
            pairing: PairingPass::default(),
            mmd: MmdPass::default(),
            trunk: TrunkPass::default(),
            heads: HeadPass::default(),
            packed: PackedHead::default(),
            packed_back: PackedBack::default(),
        }
    }

    /// Takes rows of the batch with noise `[n, latent]` for each of their codes, and draws these from the posterior.
    pub fn encode<'a>(
        &mut self,
        step: &StepContext<'_>,
        rows: &Rows,
        range: Range<usize>,
        noise: impl Iterator<Item = &'a [f32]>,
    ) {
        self.gradient.fill(0.0);
        self.kl.fill(0.0);
        self.batch = range.len();
        self.rows.clear();
        self.rows.extend(rows, range.clone());
        let Some(encoder) = step.layout.encoder.as_ref().filter(|_| !step.closed) else { return };
        self.encoder.forward(step.layout, encoder, step.weights, &self.rows);
        self.noise.clear();
        for (index, noise) in noise.enumerate() {
            let start = self.noise.len();
            self.noise.extend_from_slice(noise);
            self.z.resize(self.noise.len(), 0.0);
            // The KL is that of the posterior, of which there is one for each row.
            let (kl, mut again) = (&mut self.kl, vec![0.0; step.layout.latent]);
            let kl = if index == 0 { kl } else { &mut again };
            sample(&mut self.z[start..], &self.encoder.posterior, noise, kl);
            if index > 0 {
                self.rows.extend(rows, range.clone());
            }
        }
    }

    /// What the shard's rows, codes and conditions come to, and the gradient; `kl_weight` is each dimension's weight of a
    /// row's KL.
    pub fn backpropagate(
        &mut self,
        step: &StepContext<'_>,
        prior: PriorShare<'_>,
        aggregated: Option<(&PairedCodes, Range<usize>)>,
        kl_weight: &[f32],
    ) -> Sums {
        let (n, latent) = (self.batch, step.layout.latent);
        let Some(encoder) = step.layout.encoder.as_ref().filter(|_| !step.closed) else {
            return self.reconstruct(step, Origin::Again);
        };
        let origin = match prior {
            PriorShare::None => Origin::Again,
            PriorShare::Own(z) => {
                for row in 0..n {
                    let row = self.rows.row(row).to_vec();
                    self.rows.push(&row);
                }
                self.z.extend_from_slice(z);
                Origin::Again
            }
            PriorShare::Paired(share) => {
                self.pairing.pair(step.layout, encoder, step.weights, share, &mut self.rows);
                self.z.extend_from_slice(share.z(latent));
                Origin::Grouped(share.codes.codes)
            }
        };
        let bound = if step.samples > 1 { self.weigh(step) } else { 0.0 };
        let sums = self.reconstruct(step, origin);
        let pass = &mut self.encoder;
        pass.posterior_gradient.resize(n * 2 * latent, 0.0);
        if step.samples > 1 {
            let codes = codes(step, &pass.posterior[..n * 2 * latent], &self.noise, &self.z);
            codes.backward(&mut pass.posterior_gradient, &self.z_gradient, &self.shares, step.scale);
        } else {
            sample_backward(&mut pass.posterior_gradient, &self.z_gradient, &pass.posterior, &self.noise, kl_weight);
        }
        pass.backward(step.layout, encoder, step.weights, &mut self.gradient, &self.rows, n);
        let mmd = aggregated.map_or(0.0, |conditions| {
            self.mmd.run((step.layout, encoder), (step.weights, &mut self.gradient), conditions, step.mmd_scale)
        });
        Sums { bound, mmd, ..sums }
    }

    /// The importance-weighted bounds of the rows, summed, and each code's share of its row's weights.
    fn weigh(&mut self, step: &StepContext<'_>) -> f64 {
        let Self { rows, batch: n, prefixes, noise, z, shares, encoder, prior, trunk, heads, packed, .. } = self;
        let (layout, weights, n) = (step.layout, step.weights, *n);
        let given_z = prior.codes(layout, weights, rows.iter(), z);
        shares.clear();
        shares.resize(rows.len(), 0.0);
        let mut logits = Vec::new();
        for (column, head) in layout.heads.iter().enumerate() {
            prefixes.find(rows, n, Origin::Again, layout.given + layout.seen(column));
            packed.pack(head, weights);
            trunk.forward((layout, weights, packed), column, &prefixes.rows);
            let of = HeadWeights { head, weights, packed };
            let bias = &weights[head.output.bias.clone()];
            for start in (0..rows.len()).step_by(BLOCK) {
                let block = start..rows.len().min(start + BLOCK);
                let codes = &given_z[block.start * layout.latent..block.end * layout.latent];
                heads.logits(of, &trunk.units, &prefixes.picked[block.clone()], codes);
                for (place, row) in block.enumerate() {
                    logits.clear();
                    logits.extend(heads.row(of, place).iter().zip(bias).map(|(value, bias)| value + bias));
                    let target = usize::from(rows.row(row)[layout.given + column]);
                    shares[row] += cross_entropy(&logits, target) as f32;
                }
            }
        }
        codes(step, &encoder.posterior[..n * 2 * layout.latent], noise, z).bound(shares)
    }

    /// Both reconstructions, of the batch's rows and of the others, and all that their gradients touch. While the code
    /// is closed, z is 0, and no gradient by it is asked for.
    fn reconstruct(&mut self, step: &StepContext<'_>, origin: Origin) -> Sums {
        let Self { gradient, rows, batch: n, targets, prefixes, z, z_gradient, shares, prior, trunk, heads, .. } = self;
        let (packed, packed_back) = (&mut self.packed, &mut self.packed_back);
        let (layout, weights, n) = (step.layout, step.weights, *n);
        let own = n * step.samples;
        let rest = rows.len() - own;
        let given_z = match step.closed {
            true => &[][..],
            false => prior.codes(layout, weights, rows.iter(), z),
        };
        // Of codes from the prior only the map of a conditional prior learns.
        let learned = if layout.prior.is_some() { rows.len() } else { own };
        z_gradient.clear();
        z_gradient.resize(learned * layout.latent, 0.0);
        let (of_own, of_rest) = given_z.split_at(given_z.len().min(own * layout.latent));
        let (by_own, by_rest) = z_gradient.split_at_mut(own * layout.latent);
        let mut sums = Sums::default();
        for (column, head) in layout.heads.iter().enumerate() {
            prefixes.find(rows, n, origin, layout.given + layout.seen(column));
            targets.clear();
            targets.extend(rows.iter().map(|row| usize::from(row[layout.given + column])));
            packed.pack(head, weights);
            packed_back.pack(head, weights);
            let of = (HeadWeights { head, weights, packed }, &*packed_back);
            trunk.forward((layout, weights, packed), column, &prefixes.rows);
            trunk.begin_gradient();
            let mut block = RowBlock {
                rows: 0..own,
                z: (!step.closed).then_some(of_own),
                z_gradient: (!step.closed).then_some(&mut *by_own),
                scale: step.scale,
                shares: if step.samples > 1 { shares } else { &[] },
            };
            let picked = (prefixes.picked.as_slice(), targets.as_slice());
            sums.recon += heads.run(of, gradient, trunk, picked, &mut block);
            if rest > 0 {
                let mut block = RowBlock {
                    rows: own..own + rest,
                    z: Some(of_rest),
                    z_gradient: (!by_rest.is_empty()).then_some(&mut *by_rest),
                    scale: step.prior_scale,
                    shares: &[],
                };
                sums.prior_recon += heads.run(of, gradient, trunk, picked, &mut block);
            }
            trunk.backward((layout, weights, packed_back), gradient, column, &prefixes.rows);
        }
        if !step.closed {
            prior.backward(layout, weights, gradient, z, z_gradient);
        }
        sums
    }
}

/// The codes of the batch's rows.
fn codes<'a>(step: &StepContext<'_>, posterior: &'a [f32], noise: &'a [f32], z: &'a [f32]) -> importance::Codes<'a> {
    importance::Codes { posterior, noise, z: &z[..noise.len()], latent: step.layout.latent, beta: step.beta }
}
