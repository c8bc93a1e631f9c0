//! One thread's shard of a batch: some of its rows and of the codes from the prior, forward and backward.

use super::encoder::{EncoderPass, sample, sample_backward};
use super::heads::{HeadPass, RowBlock};
use super::pairing::{CodeShare, PairingPass};
use super::prefixes::{Origin, Prefixes};
use super::trunk::TrunkPass;
use crate::model::layout::Layout;
use crate::task::Rows;

/// What all shards of a step share.
#[derive(Debug)]
pub struct StepContext<'a> {
    pub layout: &'a Layout,
    pub weights: &'a [f32],
    /// The code is closed: z is 0, and the encoder is not run.
    pub closed: bool,
    /// What a row's cross-entropy counts for.
    pub scale: f32,
    /// The same for a code from the prior.
    pub prior_scale: f32,
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
    /// Its rows of the batch, then those of the codes from the prior.
    rows: Rows,
    batch: usize,
    targets: Vec<usize>,
    prefixes: Prefixes,
    noise: Vec<f32>,
    z: Vec<f32>,
    z_gradient: Vec<f32>,
    encoder: EncoderPass,
    pairing: PairingPass,
    trunk: TrunkPass,
    heads: HeadPass,
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
            encoder: EncoderPass::default(),
            pairing: PairingPass::default(),
            trunk: TrunkPass::default(),
            heads: HeadPass::default(),
        }
    }

    /// Takes rows of the batch with their noise `[n, latent]`, and draws their codes from the posterior.
    pub fn encode(&mut self, step: &StepContext<'_>, rows: &Rows, range: std::ops::Range<usize>, noise: &[f32]) {
        self.gradient.fill(0.0);
        self.kl.fill(0.0);
        self.batch = range.len();
        self.rows.clear();
        self.rows.extend(rows, range);
        let Some(encoder) = step.layout.encoder.as_ref().filter(|_| !step.closed) else { return };
        self.noise.clear();
        self.noise.extend_from_slice(noise);
        self.encoder.forward(step.layout, encoder, step.weights, &self.rows);
        self.z.resize(noise.len(), 0.0);
        sample(&mut self.z, &self.encoder.posterior, &self.noise, &mut self.kl);
    }

    /// Sums of both reconstructions, and the gradient; `kl_weight` is each dimension's weight of a row's KL.
    pub fn backpropagate(&mut self, step: &StepContext<'_>, prior: PriorShare<'_>, kl_weight: &[f32]) -> [f64; 2] {
        let (n, latent) = (self.batch, step.layout.latent);
        let encoder = step.layout.encoder.as_ref().filter(|_| !step.closed);
        let (origin, codes) = match (prior, encoder) {
            (PriorShare::Own(z), Some(_)) => {
                for row in 0..n {
                    let row = self.rows.row(row).to_vec();
                    self.rows.push(&row);
                }
                (Origin::Again, z)
            }
            (PriorShare::Paired(share), Some(encoder)) => {
                self.pairing.pair(step.layout, encoder, step.weights, share, &mut self.rows);
                (Origin::Grouped(share.codes.codes), share.z(latent))
            }
            _ => (Origin::Again, &[][..]),
        };
        let sums = self.reconstruct(step, origin, codes);
        if let Some(encoder) = encoder {
            let pass = &mut self.encoder;
            pass.posterior_gradient.resize(n * 2 * latent, 0.0);
            sample_backward(&mut pass.posterior_gradient, &self.z_gradient, &pass.posterior, &self.noise, kl_weight);
            pass.backward(step.layout, encoder, step.weights, &mut self.gradient, &self.rows, n);
        }
        sums
    }

    /// Both reconstructions, of the batch's rows and of the others, and all that their gradients touch. While the code
    /// is closed, z is 0, and no gradient by it is asked for.
    fn reconstruct(&mut self, step: &StepContext<'_>, origin: Origin, codes: &[f32]) -> [f64; 2] {
        let Self { gradient, rows, batch: n, targets, prefixes, z, z_gradient, trunk, heads, .. } = self;
        let (layout, weights, n) = (step.layout, step.weights, *n);
        let rest = rows.len() - n;
        z_gradient.clear();
        z_gradient.resize(n * layout.latent, 0.0);
        let mut sums = [0.0; 2];
        for (column, head) in layout.heads.iter().enumerate() {
            prefixes.find(rows, n, origin, layout.given + layout.seen(column));
            targets.clear();
            targets.extend(rows.iter().map(|row| usize::from(row[layout.given + column])));
            trunk.forward(layout, weights, column, &prefixes.rows);
            trunk.begin_gradient();
            let mut own = RowBlock {
                rows: 0..n,
                z: (!step.closed).then_some(z.as_slice()),
                z_gradient: (!step.closed).then_some(z_gradient.as_mut_slice()),
                scale: step.scale,
            };
            let picked = (prefixes.picked.as_slice(), targets.as_slice());
            sums[0] += heads.run(head, weights, gradient, trunk, picked, &mut own);
            if rest > 0 {
                let scale = step.prior_scale;
                let mut other = RowBlock { rows: n..n + rest, z: Some(codes), z_gradient: None, scale };
                sums[1] += heads.run(head, weights, gradient, trunk, picked, &mut other);
            }
            trunk.backward(layout, weights, gradient, column, &prefixes.rows);
        }
        sums
    }
}
