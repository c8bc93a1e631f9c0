//! One thread's part of a batch: some of its rows and of the codes from the prior, forward and backward.

use super::choice::Choice;
use super::encoder::{EncoderPass, sample, sample_backward};
use super::heads::{HeadPass, Rows};
use super::layout::Layout;
use super::pairs::{Origin, Pair, Prefixes};
use super::trunk::TrunkPass;
use crate::model::PriorBatch;

/// What all parts of a batch share.
#[derive(Debug)]
pub struct Task<'a> {
    pub layout: &'a Layout,
    pub weights: &'a [f32],
    /// The code is closed: z is 0, and the encoder is not run.
    pub closed: bool,
    /// What a row's cross-entropy counts for.
    pub scale: f32,
    /// The same for a code from the prior.
    pub prior_scale: f32,
}

/// Codes from the prior that a part trains on.
#[derive(Debug)]
pub enum Others<'a> {
    /// None.
    None,
    /// One for each of its rows, `[n, latent]`.
    Own(&'a [f32]),
    /// Some for each of a few conditions.
    Paired(PriorBatch),
}

/// Buffers, and what they come to.
#[derive(Debug)]
pub struct Part {
    /// The gradient of this part's share of the loss.
    pub gradient: Vec<f32>,
    /// KL of each dimension, summed over rows.
    pub kl: Vec<f32>,
    /// Its rows of the batch, then those of the codes from the prior.
    pairs: Vec<Pair>,
    targets: Vec<usize>,
    prefixes: Prefixes,
    noise: Vec<f32>,
    z: Vec<f32>,
    z_gradient: Vec<f32>,
    encoder: EncoderPass,
    choice: Choice,
    trunk: TrunkPass,
    heads: HeadPass,
}

impl Part {
    /// Empty buffers for a model of this layout.
    pub fn new(layout: &Layout) -> Self {
        Self {
            gradient: vec![0.0; layout.len],
            kl: vec![0.0; layout.latent],
            pairs: Vec::new(),
            targets: Vec::new(),
            prefixes: Prefixes::default(),
            noise: Vec::new(),
            z: Vec::new(),
            z_gradient: Vec::new(),
            encoder: EncoderPass::default(),
            choice: Choice::default(),
            trunk: TrunkPass::default(),
            heads: HeadPass::default(),
        }
    }

    /// Takes over rows of the batch with their noise `[n, latent]`, and draws their codes from the posterior.
    pub fn encode(&mut self, task: &Task<'_>, pairs: &[Pair], noise: &[f32]) {
        self.gradient.fill(0.0);
        self.kl.fill(0.0);
        self.pairs.clear();
        self.pairs.extend_from_slice(pairs);
        if task.closed {
            return;
        }
        self.noise.clear();
        self.noise.extend_from_slice(noise);
        self.encoder.forward(task.layout, task.weights, &self.pairs);
        self.z.resize(noise.len(), 0.0);
        sample(&mut self.z, &self.encoder.posterior, &self.noise, &mut self.kl);
    }

    /// Sums of both reconstructions, and the gradient; `press` is each dimension's weight of a row's KL.
    pub fn learn(&mut self, task: &Task<'_>, others: Others<'_>, press: &[f32]) -> [f64; 2] {
        let (n, latent) = (self.pairs.len(), task.layout.latent);
        let origin = match &others {
            Others::None => Origin::Again,
            Others::Own(z) => {
                self.choice.z.clear();
                self.choice.z.extend_from_slice(z);
                self.pairs.extend_from_within(..n);
                Origin::Again
            }
            Others::Paired(prior) => {
                self.choice.make(task.layout, task.weights, prior, &mut self.pairs);
                Origin::Grouped(prior.uniform.size()[1] as usize)
            }
        };
        let sums = self.reconstruct(task, n, origin);
        if !task.closed {
            let encoder = &mut self.encoder;
            encoder.posterior_gradient.resize(n * 2 * latent, 0.0);
            sample_backward(&mut encoder.posterior_gradient, &self.z_gradient, &encoder.posterior, &self.noise, press);
            encoder.backward(task.layout, task.weights, &mut self.gradient, &self.pairs[..n]);
        }
        sums
    }

    /// Both reconstructions, of the first `n` pairs and of the others, and all that their gradients touch. While the
    /// code is closed, z is 0, and no gradient by it is asked for.
    fn reconstruct(&mut self, task: &Task<'_>, n: usize, origin: Origin) -> [f64; 2] {
        let Self { gradient, pairs, targets, prefixes, z, z_gradient, choice, trunk, heads, .. } = self;
        let (layout, weights) = (task.layout, task.weights);
        let rest = pairs.len() - n;
        z_gradient.clear();
        z_gradient.resize(n * layout.latent, 0.0);
        let mut sums = [0.0; 2];
        for (field, head) in layout.heads.iter().enumerate() {
            prefixes.find(pairs, n, origin, field);
            targets.clear();
            targets.extend(pairs.iter().map(|pair| pair.date[field]));
            trunk.forward(layout, weights, field, &prefixes.pairs);
            trunk.begin_gradient();
            let mut own = Rows {
                rows: 0..n,
                z: (!task.closed).then_some(z.as_slice()),
                z_gradient: (!task.closed).then_some(z_gradient.as_mut_slice()),
                scale: task.scale,
            };
            let picked = (prefixes.picked.as_slice(), targets.as_slice());
            sums[0] += heads.run(head, weights, gradient, trunk, picked, &mut own);
            if rest > 0 {
                let scale = task.prior_scale;
                let mut other = Rows { rows: n..n + rest, z: Some(&choice.z), z_gradient: None, scale };
                sums[1] += heads.run(head, weights, gradient, trunk, picked, &mut other);
            }
            trunk.backward(layout, weights, gradient, field, &prefixes.pairs);
        }
        sums
    }
}
