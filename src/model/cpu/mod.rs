//! The built-in engine: the objective and its gradient derived by hand, on plain slices.
//!
//! A step is a sequence of matrix products and few passes between these, in buffers that serve every step. Threads
//! share a batch out: each takes a shard of its rows through everything, with buffers and a gradient of its own, and
//! the gradients are added up in the shards' order. So a number of threads gives the same numbers each time, and another
//! number gives the same up to rounding.

mod buffer;
mod codes;
mod decoder;
mod encoder;
mod heads;
mod importance;
mod kernels;
mod marginal;
mod mmd;
mod muon;
mod packed;
mod pairing;
mod prefixes;
mod prior;
pub mod products;
mod scalar;
mod shard;
mod soap;
mod trunk;
mod update;

use std::cmp::Reverse;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::engine::{Engine, EngineError, EngineOptions, PriorCodes, StepInput, StepOptions, Terms};
use super::layout::Layout;
use super::update::{AdamHyperparams, TrainingState};
use super::weights::Model;
pub use decoder::{Decoder, encode, paired_rows};
pub use kernels::exponentials;
use pairing::CodeShare;
use shard::{PriorShare, Shard, StepContext, Sums};
use update::Updater;

/// Weights, moments, and what computes a step.
#[derive(Debug)]
pub struct CpuEngine {
    layout: Layout,
    state: TrainingState,
    shards: Vec<Shard>,
    // Threads beside the caller's. They live as long as the engine: what a thread needs to multiply is made once.
    helpers: Option<ThreadPool>,
    updater: Updater,
    terms: Vec<Terms>,
}

impl CpuEngine {
    /// An engine of this layout that goes on from a state.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(layout: &Layout, state: TrainingState, options: EngineOptions) -> Result<Self, EngineError> {
        let shards: Vec<_> = (0..options.threads.max(1)).map(|_| Shard::new(layout)).collect();
        let helpers = match shards.len() - 1 {
            0 => None,
            count => Some(
                ThreadPoolBuilder::new()
                    .num_threads(count)
                    .build()
                    .map_err(|error| EngineError::Threads(error.to_string()))?,
            ),
        };
        Ok(Self { layout: layout.clone(), state, shards, helpers, updater: Updater::default(), terms: Vec::new() })
    }

    /// [`CpuEngine::new`] as [`super::engine::MakeEngine`] has it, for one trial.
    ///
    /// # Errors
    /// When the system gives no threads, or there is not one state.
    pub fn make(
        model: &Model,
        states: Vec<TrainingState>,
        options: EngineOptions,
    ) -> Result<Box<dyn Engine>, EngineError> {
        match <[TrainingState; 1]>::try_from(states) {
            Ok([state]) => Ok(Box::new(Self::new(&model.layout, state, options)?)),
            Err(states) => Err(EngineError::TooMany(states.len())),
        }
    }

    /// The gradient that [`CpuEngine::objective`] left, in the order of [`Layout`].
    pub fn gradient(&self) -> &[f32] {
        &self.shards[0].gradient
    }

    /// Computes the terms of the objective and its gradient.
    pub fn objective(&mut self, input: &StepInput<'_>) -> Terms {
        let Self { layout, state, shards, helpers, .. } = self;
        let weights = input.weights;
        let (n, latent) = (input.rows.len(), layout.latent);
        let closed = weights.beta.is_infinite() || latent == 0;
        let samples = if closed { 1 } else { input.options.importance_samples.max(1) };
        let prior = if closed || samples > 1 { &PriorCodes::None } else { input.prior };
        let aggregated = input.options.aggregated.filter(|_| !closed && weights.mmd > 0.0);
        let rest = match prior {
            PriorCodes::None => 0,
            PriorCodes::Own(_) => n,
            PriorCodes::Paired(codes) => codes.uniform.len(),
        };
        let step = StepContext {
            layout,
            weights: &state.weights,
            closed,
            samples,
            beta: weights.beta as f32,
            scale: 1.0 / n as f32,
            prior_scale: (weights.hybrid / rest.max(1) as f64) as f32,
            mmd_scale: weights.mmd / aggregated.map_or(1, |conditions| conditions.counts.len()) as f64,
        };
        let count = shards.len();
        let share = |len: usize, shard: usize| len * shard / count..len * (shard + 1) / count;
        let work: Vec<_> = shards.iter_mut().enumerate().collect();
        let work = side_by_side(helpers.as_ref(), work, |(index, shard)| {
            let rows = share(n, index);
            let codes = rows.start * latent..rows.end * latent;
            let noise = |sample: usize| {
                let start = sample * n * latent;
                input.noise.get(start + codes.start..start + codes.end).unwrap_or_default()
            };
            shard.encode(&step, input.rows, rows, (0..samples).map(noise));
            let prior = match prior {
                PriorCodes::None => PriorShare::None,
                PriorCodes::Own(z) => PriorShare::Own(&z[codes.clone()]),
                PriorCodes::Paired(codes) => {
                    let groups = share(codes.counts.len(), index);
                    PriorShare::Paired(CodeShare { codes, groups: (groups.start, groups.end) })
                }
            };
            (shard, (prior, aggregated.map(|conditions| (conditions, share(conditions.counts.len(), index)))))
        });
        let kl: Vec<f64> = (0..latent)
            .map(|dimension| work.iter().map(|(shard, _)| f64::from(shard.kl[dimension])).sum::<f64>() / n as f64)
            .collect();
        // A dimension below its free bits costs these and has no slope.
        let is_free = |kl: f64| weights.free_bits > 0.0 && kl < weights.free_bits;
        let bounded_kl: f64 = kl.iter().map(|kl| if is_free(*kl) { weights.free_bits } else { *kl }).sum();
        let slope = (weights.beta / n as f64) as f32;
        let kl_weight: Vec<f32> = kl.iter().map(|kl| if is_free(*kl) { 0.0 } else { slope }).collect();
        let sums = side_by_side(helpers.as_ref(), work, |(shard, (prior, aggregated))| {
            shard.backpropagate(&step, prior, aggregated, &kl_weight)
        });
        add_gradients(shards);
        let sum = |of: fn(&Sums) -> f64| sums.iter().map(of).sum::<f64>();
        let recon = sum(|sums| sums.recon) / (n * samples) as f64;
        if closed {
            return Terms { loss: recon, recon, kl: 0.0, prior_recon: 0.0 };
        }
        let prior_recon = sum(|sums| sums.prior_recon) / rest.max(1) as f64;
        let bound = match samples {
            1 => recon + weights.beta * bounded_kl + weights.hybrid * prior_recon,
            _ => sum(|sums| sums.bound) / n as f64,
        };
        let loss = bound + step.mmd_scale * sum(|sums| sums.mmd);
        Terms { loss, recon, kl: kl.iter().sum(), prior_recon }
    }

    /// Moves weights, and what their updates remember, by the gradient that [`CpuEngine::objective`] left.
    pub fn update(&mut self, adam: &AdamHyperparams, options: &StepOptions<'_>) {
        let Self { layout, state, shards, helpers, updater, .. } = self;
        updater.update((layout, helpers.as_ref()), state, &shards[0].gradient, (adam, options));
    }
}

impl Engine for CpuEngine {
    /// Takes the step of its one trial.
    fn step(&mut self, inputs: &[StepInput<'_>]) -> Result<(), EngineError> {
        for input in inputs {
            let Terms { loss, recon, kl, prior_recon } = self.objective(input);
            self.update(&input.adam, &input.options);
            // Terms are logged in the precision of the weights, as any engine can give them.
            let [loss, recon, kl, prior_recon] = [loss, recon, kl, prior_recon].map(|term| f64::from(term as f32));
            self.terms.push(Terms { loss, recon, kl, prior_recon });
        }
        Ok(())
    }

    fn take_terms(&mut self) -> Result<Vec<Vec<Terms>>, EngineError> {
        Ok(vec![std::mem::take(&mut self.terms)])
    }

    fn device(&self) -> String {
        format!("the CPU with {} thread(s)", self.shards.len())
    }

    fn state(&self, _: usize) -> Result<TrainingState, EngineError> {
        Ok(self.state.clone())
    }

    fn retain(&mut self, _: &[usize]) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Adds all gradients to the first shard's.
fn add_gradients(shards: &mut [Shard]) {
    let Some((sum, others)) = shards.split_first_mut() else { return };
    for shard in others {
        sum.gradient.iter_mut().zip(&shard.gradient).for_each(|(sum, value)| *sum += value);
    }
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

/// Work of these sizes in a part for each thread, the large pieces first, so that all have about as much.
fn share_out<T>(mut work: Vec<(usize, T)>, threads: usize) -> Vec<Vec<T>> {
    work.sort_by_key(|(size, _)| Reverse(*size));
    let mut shares: Vec<(usize, Vec<T>)> = (0..threads).map(|_| (0, Vec::new())).collect();
    for (size, piece) in work {
        if let Some((sum, share)) = shares.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum += size;
            share.push(piece);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

#[cfg(test)]
mod tests;
