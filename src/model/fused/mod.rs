//! The objective and its gradient by hand, for the default kind of model on a CPU.
//!
//! [`super::objective`] with libtorch's autograd is the definition, and computes every other kind of model. It
//! spends four fifths of a step on some thousand calls for small tensors. Here the same numbers, up to rounding,
//! come from plain slices, matrix products and few passes between these, in buffers that serve every step.

mod choice;
mod codes;
mod encoder;
mod heads;
mod kernels;
mod layout;
mod pairs;
pub mod products;
mod scalar;
mod trunk;

use tch::{Device, Tensor};

use super::objective::{Batch, Prior, Weights};
use super::weights::Model;
use choice::Choice;
use encoder::{EncoderPass, sample, sample_backward};
use heads::{HeadPass, Part};
pub use kernels::AdamStep;
use layout::Layout;
use pairs::{Others, Pair, Prefixes, read, read_pairs};
use trunk::TrunkPass;

/// Weights beyond which autograd serves as well: large models spend their time in products, and a failure to
/// allocate, likelier with them, comes from libtorch as an error that can be told.
const LARGEST: usize = 1 << 24;

/// A model's weights and what computes their gradient.
#[derive(Debug)]
pub struct Fused {
    layout: Layout,
    weights: Vec<f32>,
    gradient: Vec<f32>,
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

impl Fused {
    /// Takes over a model's weights; none for a model of another kind, on another device or of great size.
    pub fn new(model: &Model) -> Option<Self> {
        let layout = (model.device() == Device::Cpu).then(|| Layout::of(model)).flatten()?;
        if layout.len > LARGEST {
            return None;
        }
        let mut weights = Vec::with_capacity(layout.len);
        for parameter in model.parameters() {
            let mut values = Vec::new();
            read(&parameter, &mut values);
            weights.append(&mut values);
        }
        Some(Self {
            gradient: vec![0.0; layout.len],
            layout,
            weights,
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
        })
    }

    /// Hands the weights back to the model that they were taken over from.
    pub fn write(&self, model: &Model) {
        let mut place = 0;
        for mut parameter in model.parameters() {
            let values = &self.weights[place..place + parameter.numel()];
            tch::no_grad(|| parameter.copy_(&Tensor::from_slice(values).view_as(&parameter)));
            place += values.len();
        }
    }

    /// The gradient that [`Fused::objective`] left, in the order of [`Model::parameters`].
    pub fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// The gradient's norm.
    pub fn gradient_norm(&self) -> f64 {
        kernels::square_norm(&self.gradient).sqrt()
    }

    /// Moves moments and weights by the gradient that [`Fused::objective`] left.
    pub fn update(&mut self, (first, second): (&mut [f32], &mut [f32]), step: &AdamStep) {
        kernels::adam(&mut self.weights, &self.gradient, first, second, step);
    }

    /// Loss, reconstruction, KL and prior reconstruction as [`super::objective`] has them; computes the gradient.
    pub fn objective(&mut self, batch: &Batch, noise: &Tensor, prior: Option<&Prior>, weights: Weights) -> [f64; 4] {
        self.gradient.fill(0.0);
        read_pairs(&batch.condition, &batch.date, &mut self.pairs);
        let n = self.pairs.len();
        if weights.beta.is_infinite() {
            let [recon, _] = self.reconstruct(n, None, 0.0);
            return [recon, recon, 0.0, 0.0];
        }
        let latent = self.layout.latent;
        read(noise, &mut self.noise);
        self.encoder.forward(&self.layout, &self.weights, &self.pairs);
        self.z.resize(n * latent, 0.0);
        let mut kl = vec![0f32; latent];
        sample(&mut self.z, &self.encoder.posterior, &self.noise, &mut kl);
        let kl: Vec<f64> = kl.iter().map(|sum| f64::from(*sum) / n as f64).collect();
        // A dimension below its free bits costs these and has no slope.
        let is_free = |kl: f64| weights.free_bits > 0.0 && kl < weights.free_bits;
        let pressed: f64 = kl.iter().map(|kl| if is_free(*kl) { weights.free_bits } else { *kl }).sum();
        let slope = (weights.beta / n as f64) as f32;
        let press: Vec<f32> = kl.iter().map(|kl| if is_free(*kl) { 0.0 } else { slope }).collect();
        let others = match prior {
            None => None,
            Some(Prior::Own(z)) => {
                read(z, &mut self.choice.z);
                self.pairs.extend_from_within(..n);
                Some(Others::Again)
            }
            Some(Prior::Paired(prior)) => {
                self.choice.make(&self.layout, &self.weights, prior, &mut self.pairs);
                Some(Others::Grouped(prior.uniform.size()[1] as usize))
            }
        };
        let [recon, prior_recon] = self.reconstruct(n, others.or(Some(Others::Again)), weights.hybrid);
        let (encoder, kl) = (&mut self.encoder, kl.iter().sum::<f64>());
        encoder.posterior_gradient.resize(n * 2 * latent, 0.0);
        sample_backward(&mut encoder.posterior_gradient, &self.z_gradient, &encoder.posterior, &self.noise, &press);
        encoder.backward(&self.layout, &self.weights, &mut self.gradient, &self.pairs[..n]);
        let loss = recon + weights.beta * pressed + if prior.is_some() { weights.hybrid * prior_recon } else { 0.0 };
        [loss, recon, kl, prior_recon]
    }

    /// Both reconstructions, of the first `n` pairs and of the others, and all that their gradients touch. Without
    /// `others` the code is closed: z is 0, and no gradient by it is asked for.
    fn reconstruct(&mut self, n: usize, others: Option<Others>, hybrid: f64) -> [f64; 2] {
        let Self { layout, weights, gradient, pairs, targets, prefixes, z, z_gradient, choice, trunk, heads, .. } =
            self;
        let rest = pairs.len() - n;
        z_gradient.clear();
        z_gradient.resize(n * layout.latent, 0.0);
        let mut sums = [0.0; 2];
        for (field, head) in layout.heads.iter().enumerate() {
            prefixes.find(pairs, n, others.unwrap_or(Others::Again), field);
            targets.clear();
            targets.extend(pairs.iter().map(|pair| pair.date[field]));
            trunk.forward(layout, weights, field, &prefixes.pairs);
            let mut own = Part {
                rows: 0..n,
                z: others.is_some().then_some(z.as_slice()),
                z_gradient: others.is_some().then_some(z_gradient.as_mut_slice()),
                scale: 1.0 / n as f32,
            };
            let rows = (prefixes.picked.as_slice(), targets.as_slice());
            sums[0] += heads.run(head, weights, gradient, trunk, rows, &mut own);
            if rest > 0 {
                let scale = (hybrid / rest as f64) as f32;
                let mut other = Part { rows: n..n + rest, z: Some(&choice.z), z_gradient: None, scale };
                sums[1] += heads.run(head, weights, gradient, trunk, rows, &mut other);
            }
            trunk.backward(layout, weights, gradient, field, &prefixes.pairs);
        }
        [sums[0] / n as f64, if rest > 0 { sums[1] / rest as f64 } else { 0.0 }]
    }
}

#[cfg(test)]
mod tests;
