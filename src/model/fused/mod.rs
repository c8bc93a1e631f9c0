//! The objective and its gradient by hand, for the default kind of model on a CPU.
//!
//! [`super::objective`] with libtorch's autograd is the definition, and computes every other kind of model. It
//! spends four fifths of a step on some thousand calls for small tensors. Here the same numbers, up to rounding,
//! come from plain slices, matrix products and few passes between these, in buffers that serve every step.
//!
//! [`PlainDecoder`] draws from the same decoder, for [`super::Sampler`] and for [`PlainSampler`], which needs nothing
//! of libtorch: its start alone takes longer than some thousand dates.

mod choice;
mod codes;
mod encoder;
mod heads;
mod kernels;
mod layout;
mod pairs;
mod part;
pub mod products;
mod sampling;
mod scalar;
mod trunk;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tch::{Device, Tensor};

use super::config::ModelConfig;
use super::objective::{Batch, Prior, Weights};
use super::weights::Model;
pub use kernels::AdamStep;
use layout::Layout;
use pairs::{Pair, read, read_pairs};
use part::{Others, Part, Task};
pub use sampling::{Buffers, PlainDecoder, PlainSampler};

/// Weights beyond which autograd serves as well: large models spend their time in products, and a failure to
/// allocate, likelier with them, comes from libtorch as an error that can be told.
const LARGEST: usize = 1 << 24;

/// A model's weights and what computes their gradient.
///
/// Threads share a batch out: each takes a part of its rows through everything, with buffers and a gradient of its
/// own, and the gradients are added up in the parts' order. So a number of threads gives the same numbers each time,
/// and another number the same up to rounding.
#[derive(Debug)]
pub struct Fused {
    layout: Layout,
    weights: Vec<f32>,
    /// The batch's pairs, noise, and codes from the prior where these are the batch's own.
    pairs: Vec<Pair>,
    noise: Vec<f32>,
    own: Vec<f32>,
    parts: Vec<Part>,
    /// Threads beside the caller's. They live as long as the model: what a thread needs to multiply is made once.
    helpers: Option<ThreadPool>,
}

impl Fused {
    /// Takes over a model's weights, for so many threads; none for a model of another kind, on another device or of
    /// great size.
    ///
    /// # Panics
    /// When the system gives no threads.
    pub fn new(model: &Model, threads: usize) -> Option<Self> {
        let (layout, weights) = take(model)?;
        let parts: Vec<_> = (0..threads.max(1)).map(|_| Part::new(&layout)).collect();
        let helpers = match parts.len() - 1 {
            0 => None,
            // In the words by which a lack of memory is known: nothing else keeps threads from a process.
            count => Some(match ThreadPoolBuilder::new().num_threads(count).build() {
                Ok(helpers) => helpers,
                Err(error) => panic!("failed to spawn thread: {error}"),
            }),
        };
        Some(Self { layout, weights, pairs: Vec::new(), noise: Vec::new(), own: Vec::new(), parts, helpers })
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
        &self.parts[0].gradient
    }

    /// The gradient's norm.
    pub fn gradient_norm(&self) -> f64 {
        kernels::square_norm(self.gradient()).sqrt()
    }

    /// Decays weights, then moves moments and weights by the gradient that [`Fused::objective`] left.
    pub fn update(&mut self, (first, second): (&mut [f32], &mut [f32]), step: &AdamStep) {
        if step.keep < 1.0 {
            for place in self.layout.decayed() {
                self.weights[place].iter_mut().for_each(|weight| *weight *= step.keep);
            }
        }
        kernels::adam(&mut self.weights, &self.parts[0].gradient, first, second, step);
    }

    /// Loss, reconstruction, KL and prior reconstruction as [`super::objective`] has them; computes the gradient.
    pub fn objective(&mut self, batch: &Batch, noise: &Tensor, prior: Option<&Prior>, weights: Weights) -> [f64; 4] {
        read_pairs(&batch.condition, &batch.date, &mut self.pairs);
        read(noise, &mut self.noise);
        let (n, closed) = (self.pairs.len(), weights.beta.is_infinite());
        let prior = prior.filter(|_| !closed);
        let rest = match prior {
            None => 0,
            Some(Prior::Own(z)) => {
                read(z, &mut self.own);
                n
            }
            Some(Prior::Paired(prior)) => prior.uniform.numel(),
        };
        let task = Task {
            layout: &self.layout,
            weights: &self.weights,
            closed,
            scale: 1.0 / n as f32,
            prior_scale: (weights.hybrid / rest.max(1) as f64) as f32,
        };
        let latent = self.layout.latent;
        let count = self.parts.len();
        let share = |len: usize, part: usize| len * part / count..len * (part + 1) / count;
        // What each part takes of the batch and of the codes from the prior.
        let shares = (0..count).map(|part| {
            let rows = share(n, part);
            let codes = rows.start * latent..rows.end * latent;
            let others = match prior {
                None => Others::None,
                Some(Prior::Own(_)) => Others::Own(&self.own[codes.clone()]),
                Some(Prior::Paired(prior)) => {
                    let groups = share(prior.uniform.size()[0] as usize, part);
                    Others::Paired(prior.narrow(groups.start as i64, groups.len() as i64))
                }
            };
            (&self.pairs[rows], &self.noise[codes], others)
        });
        let work: Vec<_> = self.parts.iter_mut().zip(shares).collect();
        let work = side_by_side(self.helpers.as_ref(), work, |(part, (pairs, noise, others))| {
            part.encode(&task, pairs, noise);
            (part, others)
        });
        let kl: Vec<f64> = (0..latent)
            .map(|dimension| work.iter().map(|(part, _)| f64::from(part.kl[dimension])).sum::<f64>() / n as f64)
            .collect();
        // A dimension below its free bits costs these and has no slope.
        let is_free = |kl: f64| weights.free_bits > 0.0 && kl < weights.free_bits;
        let pressed: f64 = kl.iter().map(|kl| if is_free(*kl) { weights.free_bits } else { *kl }).sum();
        let slope = (weights.beta / n as f64) as f32;
        let press: Vec<f32> = kl.iter().map(|kl| if is_free(*kl) { 0.0 } else { slope }).collect();
        let sums = side_by_side(self.helpers.as_ref(), work, |(part, others)| part.learn(&task, others, &press));
        self.add_gradients();
        let recon = sums.iter().map(|[recon, _]| recon).sum::<f64>() / n as f64;
        let prior_recon = sums.iter().map(|[_, prior_recon]| prior_recon).sum::<f64>() / rest.max(1) as f64;
        if closed {
            return [recon, recon, 0.0, 0.0];
        }
        let loss = recon + weights.beta * pressed + weights.hybrid * prior_recon;
        [loss, recon, kl.iter().sum(), prior_recon]
    }

    /// Adds all gradients to the first part's.
    fn add_gradients(&mut self) {
        let Some((sum, others)) = self.parts.split_first_mut() else { return };
        for part in others {
            sum.gradient.iter_mut().zip(&part.gradient).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// The layout of the models that are computed here.
fn fitting(config: &ModelConfig) -> Option<Layout> {
    Layout::of(config).filter(|layout| layout.len <= LARGEST)
}

/// A model's layout and weights; none for a model of another kind, on another device or of great size.
fn take(model: &Model) -> Option<(Layout, Vec<f32>)> {
    let layout = fitting(&model.config).filter(|_| model.device() == Device::Cpu)?;
    let mut weights = Vec::with_capacity(layout.len);
    for parameter in model.parameters() {
        let mut values = Vec::new();
        read(&parameter, &mut values);
        weights.append(&mut values);
    }
    Some((layout, weights))
}

/// Runs the first piece of work on this thread and each other one on a helper's; results in their order.
fn side_by_side<T: Send, R: Send>(helpers: Option<&ThreadPool>, work: Vec<T>, run: impl Fn(T) -> R + Sync) -> Vec<R> {
    let Some(helpers) = helpers else { return work.into_iter().map(run).collect() };
    let mut results: Vec<Option<R>> = work.iter().map(|_| None).collect();
    let mut pieces = work.into_iter().zip(&mut results);
    let Some((first, result)) = pieces.next() else { return Vec::new() };
    let run = &run;
    helpers.in_place_scope(|scope| {
        for (piece, result) in pieces {
            scope.spawn(move |_| *result = Some(run(piece)));
        }
        *result = Some(run(first));
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
