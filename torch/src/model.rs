//! The conditional VAE, for `E` trials at once: every tensor has a leading dimension of trials.
//!
//! The same model as `cvae`'s built-in engine, in plain tensor calls, with gradients by autograd. In comments `n` is rows
//! of data, `m` conditions of the hybrid term, `p` candidate rows of a condition and `k` codes of a condition.

use tch::{Kind, Tensor};

use crate::layout::{Linear, Parts, Shape};

/// Entries of the angles' tables are in units of so many radians: Adam moves every entry by about the learning rate.
pub(crate) const RADIANS_PER_UNIT: f64 = 6.0;
/// Logarithms of variances lie within so much of 0.
pub(crate) const LOGVAR_BOUND: f64 = 8.0;
/// Rounds of Sinkhorn's algorithm.
pub(crate) const ROUNDS: usize = 8;
/// The log density of a candidate that isn't there.
pub(crate) const NO_ROW: f64 = -1e9;

/// Weights of all trials.
#[derive(Debug)]
pub struct Model {
    /// Sizes and kinds.
    pub shape: Shape,
    /// Views of the flat weights, `[E, ...]`, on which gradients are collected.
    pub weights: Parts<Tensor>,
    /// The same in the order of the flat layout.
    pub leaves: Vec<Tensor>,
}

/// What a step is taken on.
#[derive(Debug)]
pub struct Batch {
    /// Indices of values, given columns first, `[E, n, columns]`, 64-bit.
    pub rows: Tensor,
    /// Standard normal, `[E, n, latent]`.
    pub noise: Tensor,
    /// Codes from the prior, for the hybrid term.
    pub prior: Option<Prior>,
}

/// Codes from the prior.
#[derive(Debug)]
pub enum Prior {
    /// One for each row of the batch, `[E, n, latent]`.
    Own(Tensor),
    /// Some for each of a few conditions, to be paired with rows of the condition.
    Paired(Paired),
}

/// Codes from the prior and the rows that they may be paired with.
#[derive(Debug)]
pub struct Paired {
    /// Rows of each condition, `[E, m, p, columns]`, the last ones of shorter lists arbitrary but valid.
    pub candidates: Tensor,
    /// Lengths of the lists, `[E, m]`, 64-bit, at least 1.
    pub counts: Tensor,
    /// Logarithms of each row's probability times the list's length, `[E, m, p]`.
    pub log_shares: Tensor,
    /// Standard normal, `[E, m, k, latent]`.
    pub codes: Tensor,
    /// In 0..1, `[E, m, k]`: each chooses a code's row.
    pub uniforms: Tensor,
    /// Whether the rows of a condition share its codes out by their probabilities.
    pub balanced: bool,
}

/// Weights of the terms, of each trial `[E]`.
#[derive(Debug)]
pub struct TermWeights {
    /// 0 for a trial whose code is closed: z is 0 and there is no KL and no hybrid term. 1 for the others.
    pub open: Tensor,
    /// Of the KL term; finite.
    pub beta: Tensor,
    /// Of the reconstruction under z from the prior.
    pub hybrid: Tensor,
    /// KL below which a latent dimension is not pressed, nats.
    pub free_bits: Tensor,
    /// Whether any trial's code is open: if not, the encoder is not run.
    pub any_open: bool,
}

/// The terms of each trial's objective, `[E]`, nats per row.
#[derive(Debug)]
pub struct Terms {
    /// What is minimised.
    pub loss: Tensor,
    /// -log p(row | z, condition) at z from the posterior.
    pub recon: Tensor,
    /// KL(q(z | row) || N(0, I)).
    pub kl: Tensor,
    /// The reconstruction at z from the prior.
    pub prior_recon: Tensor,
}

impl Model {
    /// A model over flat weights in the padded layout, `[E, weights]`, which it shares.
    pub(crate) fn new(shape: &Shape, flat: &Tensor) -> Self {
        let (trials, mut places) = (flat.size()[0], shape.padded().0.into_iter());
        let mut leaves = Vec::new();
        let weights = shape.parts(|_, sizes| {
            let place = places.next().unwrap_or_default();
            let sizes: Vec<i64> = [trials].into_iter().chain(sizes.iter().map(|size| *size as i64)).collect();
            let values = flat.narrow(1, place.start as i64, place.len() as i64);
            let leaf = values.view(sizes.as_slice()).detach().set_requires_grad(true);
            leaves.push(leaf.shallow_clone());
            leaf
        });
        Self { shape: shape.clone(), weights, leaves }
    }

    /// Loss and terms of each trial: reconstruction + beta KL + hybrid weight x reconstruction under z from the prior.
    pub fn objective(&self, batch: &Batch, by: &TermWeights) -> Terms {
        let Batch { rows, noise, prior } = batch;
        let blocks = self.one_hot(rows); // [E, n, values]
        let units = self.units(&blocks); // columns x [E, n, width]
        if !by.any_open || self.shape.latent == 0 {
            let recon = self.reconstruction(&units, &noise.zeros_like(), rows);
            let zeros = recon.detach().zeros_like();
            return Terms { loss: recon.shallow_clone(), recon, kl: zeros.shallow_clone(), prior_recon: zeros };
        }
        let (mu, logvar) = self.posterior(&blocks); // [E, n, latent] each
        let open = by.open.view([-1, 1, 1]); // [E, 1, 1]
        // z = mu + sigma noise (Kingma and Welling 2014), 0 for a closed code.
        let z = (&mu + (&logvar * 0.5).exp() * noise) * &open;
        let recon = self.reconstruction(&units, &z, rows); // [E]
        let kl = (mu.square() + logvar.exp() - 1.0 - &logvar) * 0.5 * open; // [E, n, latent]
        let kl = kl.mean_dim([1i64].as_slice(), false, Kind::Float); // [E, latent]
        let sum = |by_dimension: &Tensor| by_dimension.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        let free = by.free_bits.unsqueeze(1); // [E, 1]
        let pressed = kl.maximum(&free.where_self(&free.gt(0.0), &free.full_like(NO_ROW))); // [E, latent]
        let loss = &recon + sum(&pressed) * &by.beta * &by.open;
        let prior_recon = match prior {
            None => recon.detach().zeros_like(),
            Some(Prior::Own(z)) => self.reconstruction(&units, z, rows),
            Some(Prior::Paired(paired)) => self.paired_reconstruction(paired),
        };
        let hybrid = &by.hybrid * &by.open;
        let prior_recon = prior_recon * hybrid.gt(0.0);
        Terms { loss: loss + &prior_recon * hybrid, recon, kl: sum(&kl), prior_recon }
    }

    /// The encoder: means and logarithms of variances of q(z | row), `[E, n, latent]` each.
    pub fn posterior(&self, blocks: &Tensor) -> (Tensor, Tensor) {
        let units = blocks.bmm(&self.weights.embed).silu(); // [E, n, hidden]
        let units = linear(&self.weights.hidden, &units).silu(); // [E, n, hidden]
        let output = linear(&self.weights.output, &units).chunk(2, 2); // 2 x [E, n, latent]
        (output[0].shallow_clone(), (&output[1] / LOGVAR_BOUND).tanh() * LOGVAR_BOUND)
    }

    /// The units of all heads before z enters, given the true values before each one's column: columns x `[E, n, width]`.
    pub fn units(&self, blocks: &Tensor) -> Vec<Tensor> {
        let mut state = blocks.narrow(2, 0, self.shape.given_values() as i64).bmm(&self.weights.condition); // [E, n, state]
        let (mut units, mut start, mut row) = (Vec::new(), self.shape.given_values() as i64, 0);
        for column in &self.shape.generated {
            units.push(self.head_units(units.len(), &state)); // [E, n, width]
            if let Some(prefix) = self.weights.prefix.as_ref().filter(|_| units.len() < self.shape.generated.len()) {
                let size = column.size as i64;
                state = &state + blocks.narrow(2, start, size).bmm(&prefix.narrow(1, row, size));
                (start, row) = (start + size, row + size);
            }
        }
        units
    }

    /// The trunk: state `[E, n, state]` to features `[E, n, features]`.
    fn features(&self, state: &Tensor) -> Tensor {
        match &self.weights.trunk {
            Some(hidden) => linear(hidden, &state.silu()).silu(),
            None => {
                let angles = self.shape.angles as i64;
                let angle = state.narrow(2, 0, angles) * RADIANS_PER_UNIT;
                let plain = state.narrow(2, angles, self.shape.plain() as i64);
                Tensor::cat(&[angle.cos(), angle.sin(), plain], 2)
            }
        }
    }

    /// The state before the first generated column, from the given ones `[E, n, given]`, 64-bit: `[E, n, state]`. Of one
    /// trial alone: look-ups for many rows cost less than products.
    pub fn given_state(&self, given: &Tensor) -> Tensor {
        let (n, columns) = (given.size()[1], self.shape.given.len() as i64);
        let starts = self.shape.given.iter().scan(0, |sum, size| Some(std::mem::replace(sum, *sum + *size as i64)));
        let starts = Tensor::from_slice(&starts.collect::<Vec<i64>>()).to_device(given.device());
        let rows = self.weights.condition.squeeze_dim(0).index_select(0, &(given + starts).view([-1]));
        rows.view([1, n, columns, -1]).sum_dim_intlist([2i64].as_slice(), false, Kind::Float)
    }

    /// A head's units before z enters, from the trunk's state `[E, n, state]`: `[E, n, width]`.
    pub fn head_units(&self, column: usize, state: &Tensor) -> Tensor {
        linear(&self.weights.heads[column].input, &self.features(state)).silu()
    }

    /// What z `[E, n, latent]` does to each head: columns x `[E, n, 2 width]`, gate and shift.
    pub fn latents(&self, z: &Tensor) -> Vec<Tensor> {
        let columns = 0..self.shape.generated.len();
        let widths: Vec<i64> = columns.map(|column| 2 * self.shape.width(column) as i64).collect();
        linear(&self.weights.latent, z).split_with_sizes(&widths, 2)
    }

    /// A head's logits `[E, n, size]`, from its units and what z does to it.
    pub fn head_logits(&self, column: usize, units: &Tensor, latents: &Tensor) -> Tensor {
        let head = &self.weights.heads[column];
        let parts = latents.chunk(2, 2); // gate and shift, [E, n, width] each
        let gated = (units + units * &parts[0] + &parts[1]).silu();
        let hidden = linear(&head.hidden, &gated).silu() + gated;
        linear(&head.output, &hidden)
    }

    /// Logits of all columns, columns x `[E, n, size]`, from units and z `[E, n, latent]`.
    pub fn logits(&self, units: &[Tensor], z: &Tensor) -> Vec<Tensor> {
        let heads = units.iter().zip(self.latents(z)).enumerate();
        heads.map(|(column, (units, latents))| self.head_logits(column, units, &latents)).collect()
    }

    /// -log p(row | z, condition), mean over the rows of each trial, `[E]`.
    pub fn reconstruction(&self, units: &[Tensor], z: &Tensor, rows: &Tensor) -> Tensor {
        let given = self.shape.given.len() as i64;
        let columns = self.logits(units, z).into_iter().zip(given..).map(|(logits, column)| {
            let target = rows.narrow(2, column, 1); // [E, n, 1]
            -logits.log_softmax(2, Kind::Float).gather(2, &target, false)
        });
        let columns: Vec<Tensor> = columns.collect();
        Tensor::cat(&columns, 2).sum_dim_intlist([2i64].as_slice(), false, Kind::Float).mean_dim(
            [1i64].as_slice(),
            false,
            Kind::Float,
        )
    }

    /// The reconstruction of the rows that codes from the prior are paired with, `[E]`.
    fn paired_reconstruction(&self, paired: &Paired) -> Tensor {
        let chosen = tch::no_grad(|| self.pair(paired)); // [E, m k, columns]
        let units = self.units(&self.one_hot(&chosen));
        let latent = self.shape.latent as i64;
        self.reconstruction(&units, &paired.codes.view([chosen.size()[0], -1, latent]), &chosen)
    }

    /// The row that each code is paired with, `[E, m k, columns]`: drawn by its probability times the posterior density
    /// at the code and, balanced, shared out by the probabilities with Sinkhorn's algorithm (Cuturi 2013).
    pub fn pair(&self, paired: &Paired) -> Tensor {
        let Paired { candidates, counts, log_shares, codes, uniforms, balanced } = paired;
        let [trials, m, p, columns] = candidates.size()[..] else { return candidates.shallow_clone() };
        let k = codes.size()[2];
        let (mu, logvar) = self.posterior(&self.one_hot(&candidates.view([trials, m * p, columns])));
        let of_row = |tensor: &Tensor| tensor.view([trials, m, 1, p, -1]);
        let (mu, logvar) = (of_row(&mu), of_row(&logvar));
        // log q(z | row), less a constant, of every code under every candidate.
        let distance = (codes.unsqueeze(3) - mu).square() / logvar.exp() + logvar; // [E, m, k, p, latent]
        let place = Tensor::arange(p, (Kind::Int64, candidates.device())); // [p]
        let mask = place.ge_tensor(&counts.unsqueeze(2)).to_kind(Kind::Float) * NO_ROW; // [E, m, p]
        let mask = (mask + log_shares).unsqueeze(2); // [E, m, 1, p]
        let mut shares = distance.sum_dim_intlist([4i64].as_slice(), false, Kind::Float) * -0.5 + &mask; // [E, m, k, p]
        for _ in 0..if *balanced { ROUNDS } else { 0 } {
            shares = &shares - shares.logsumexp([3i64].as_slice(), true);
            shares = &shares - shares.logsumexp([2i64].as_slice(), true) + &mask;
        }
        // The inverse of the distribution function: how many candidates it takes to pass the number.
        let passed = shares.softmax(3, Kind::Float).cumsum(3, Kind::Float);
        let mark = uniforms.unsqueeze(3) * passed.narrow(3, p - 1, 1);
        let chosen = passed.le_tensor(&mark).sum_dim_intlist([3i64].as_slice(), false, Kind::Int64).clamp_max(p - 1); // [E, m, k]
        let chosen = chosen.unsqueeze(3).expand([trials, m, k, columns], false);
        candidates.gather(2, &chosen, false).view([trials, m * k, columns])
    }

    /// Concatenated one-hot blocks of rows `[E, n, columns]`: `[E, n, values]`.
    pub fn one_hot(&self, rows: &Tensor) -> Tensor {
        let starts = self.shape.sizes().into_iter().scan(0, |sum, size| {
            let start = *sum;
            *sum += size as i64;
            Some(start)
        });
        let starts = Tensor::from_slice(&starts.collect::<Vec<i64>>()).to_device(rows.device());
        let sizes = [rows.size()[0], rows.size()[1], self.shape.values() as i64];
        Tensor::zeros(sizes, (Kind::Float, rows.device())).scatter_value_(2, &(rows + starts), 1.0)
    }
}

/// `[E, n, inputs]` to `[E, n, outputs]`.
fn linear(layer: &Linear<Tensor>, inputs: &Tensor) -> Tensor {
    layer.bias.unsqueeze(1).baddbmm(inputs, &layer.weight.transpose(1, 2), 1, 1)
}
