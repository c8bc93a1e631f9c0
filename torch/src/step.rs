//! One optimizer step of all trials: data to the device, objective, gradient, clipping and Adam, without waiting for
//! the device. Terms are read back when they are asked for.

use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use crate::data::{Data, KNOBS, PairedData, PriorData, RandomData, Settings};
use crate::kernels::{Kernels, Times};
use crate::layout::Shape;
use crate::lean::{Lean, PriorKind, Variant};
use crate::model::{Batch, Model, Paired, Prior, TermWeights, Terms};
use crate::random;

/// Decay of the first moments.
const BETA_1: f64 = 0.9;
/// What keeps the update finite.
const EPSILON: f64 = 1e-8;

/// How gradients are computed.
#[derive(Debug)]
enum Gradients {
    /// By libtorch's autograd, for every kind of model.
    Autograd,
    /// As derived by hand, with buffers for steps of one kind.
    ByHand(Rc<Kernels>, Option<Box<Lean>>),
}

/// Weights and moments of some trials of one shape.
#[derive(Debug)]
pub struct Trials {
    device: Device,
    model: Model,
    gradients: Gradients,
    /// `[E, weights]` in the padded layout; so are the moments.
    weights: Tensor,
    first: Tensor,
    second: Tensor,
    /// 1 for weights that decay, `[1, weights]`.
    decayed: Tensor,
    /// Terms of the steps since they were read last, `[E, 4]` each.
    terms: Vec<Tensor>,
}

impl Trials {
    /// Trials with these weights, each in the order of [`Shape::places`], and with moments of 0. Gradients are those
    /// derived by hand where the shape has a multiplicative trunk, and autograd's elsewhere.
    ///
    /// # Errors
    /// When a trial has another number of weights than the shape asks for, or the GPU's kernels can't be compiled (use
    /// [`Trials::by_autograd`] then); the text says which.
    pub fn new(shape: &Shape, device: Device, weights: &[&[f32]]) -> Result<Self, String> {
        // First, since it decides on the stream that tensors are made on.
        let gradients = match Lean::fits(shape) {
            true => Gradients::ByHand(Kernels::on(device)?, None),
            false => Gradients::Autograd,
        };
        Self::with(shape, device, weights, gradients)
    }

    /// The same with gradients by autograd: what those derived by hand are compared with.
    ///
    /// # Errors
    /// When a trial has another number of weights than the shape asks for; the text says which.
    pub fn by_autograd(shape: &Shape, device: Device, weights: &[&[f32]]) -> Result<Self, String> {
        Self::with(shape, device, weights, Gradients::Autograd)
    }

    fn with(shape: &Shape, device: Device, weights: &[&[f32]], gradients: Gradients) -> Result<Self, String> {
        for (trial, weights) in weights.iter().enumerate() {
            check(&format!("weights of trial {trial}"), weights.len(), &[shape.weights()])?;
        }
        let padded: Vec<f32> = weights.iter().flat_map(|weights| shape.pad(weights)).collect();
        let len = shape.padded().1;
        let weights = upload(&padded, &[weights.len(), len], device);
        let decayed = upload(&shape.pad(&shape.decayed()), &[1, len], device);
        let (first, second, model) = (weights.zeros_like(), weights.zeros_like(), Model::new(shape, &weights));
        Ok(Self { device, model, gradients, weights, first, second, decayed, terms: Vec::new() })
    }

    /// Number of trials.
    pub fn len(&self) -> usize {
        self.weights.size()[0] as usize
    }

    /// Whether no trial is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The model of all trials.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// A trial's weights. This waits for the device.
    pub fn weights(&self, trial: usize) -> Vec<f32> {
        self.model.shape.unpad(&read(&self.weights.get(trial as i64)))
    }

    /// A trial's first and second moments. This waits for the device.
    pub fn moments(&self, trial: usize) -> [Vec<f32>; 2] {
        [&self.first, &self.second].map(|moments| self.model.shape.unpad(&read(&moments.get(trial as i64))))
    }

    /// Sets a trial's first and second moments, to take it up where it stood.
    ///
    /// # Errors
    /// When there are more or fewer than the trial has weights.
    pub fn set_moments(&mut self, trial: usize, moments: [&[f32]; 2]) -> Result<(), String> {
        let shape = &self.model.shape;
        for (own, values) in [&self.first, &self.second].into_iter().zip(moments) {
            check(&format!("moments of trial {trial}"), values.len(), &[shape.weights()])?;
            own.get(trial as i64).copy_(&Tensor::from_slice(&shape.pad(values)));
        }
        Ok(())
    }

    /// Goes on with these trials alone, in this order. Terms that weren't read yet are gone.
    pub fn retain(&mut self, trials: &[usize]) {
        let places: Vec<i64> = trials.iter().map(|trial| *trial as i64).collect();
        let places = Tensor::from_slice(&places).to_device(self.device);
        for values in [&mut self.weights, &mut self.first, &mut self.second] {
            *values = values.index_select(0, &places);
        }
        self.model = Model::new(&self.model.shape, &self.weights);
        if let Gradients::ByHand(_, lean) = &mut self.gradients {
            *lean = None;
        }
        self.terms.clear();
    }

    /// Has steps on a GPU captured as CUDA graphs, as they are at first, or not: for all trials of this thread.
    pub fn set_graphs(&self, graphs: bool) {
        if let Gradients::ByHand(kernels, _) = &self.gradients {
            kernels.set_graphs(graphs);
        }
    }

    /// Milliseconds that a step's kernels and products take one by one, by name; nothing where gradients are autograd's.
    ///
    /// # Errors
    /// As [`Trials::step`].
    pub fn profile(&mut self, data: &Data<'_>, settings: &[Settings]) -> Result<Times, String> {
        let Gradients::ByHand(kernels, _) = &self.gradients else { return Ok(Times::new()) };
        let (kernels, graphs) = (Rc::clone(kernels), kernels.graphs());
        kernels.set_graphs(false);
        let mut result = Ok(());
        let times = kernels.profile(|| result = self.step(data, settings));
        kernels.set_graphs(graphs);
        result.map(|()| times)
    }

    /// Takes a step of every trial.
    ///
    /// # Errors
    /// When a slice's length is not what its shape asks for; the text says which.
    pub fn step(&mut self, data: &Data<'_>, settings: &[Settings]) -> Result<(), String> {
        let variant = self.variant(data, settings)?;
        if self.load(data, settings, variant) {
            let state = [&self.weights, &self.first, &self.second, &self.decayed];
            if let Gradients::ByHand(_, Some(lean)) = &mut self.gradients {
                lean.step(state);
                self.terms.push(lean.terms().copy());
            }
            return Ok(());
        }
        let (batch, knobs) = (self.batch(data, variant), self.knobs(settings));
        let (gradient, terms) = self.differentiate(&batch, &knobs, variant.open);
        self.update(gradient, &knobs);
        self.terms.push(terms);
        Ok(())
    }

    /// The gradients of all trials' losses, `[E, weights]`, and their terms as [`Trials::terms`] has them.
    ///
    /// # Errors
    /// As [`Trials::step`].
    pub fn gradient(&mut self, data: &Data<'_>, settings: &[Settings]) -> Result<(Vec<f32>, Vec<[f32; 4]>), String> {
        let variant = self.variant(data, settings)?;
        let (gradient, terms) = if self.load(data, settings, variant)
            && let Gradients::ByHand(_, Some(lean)) = &self.gradients
        {
            lean.differentiate(&self.weights);
            (lean.gradient().shallow_clone(), lean.terms().shallow_clone())
        } else {
            self.differentiate(&self.batch(data, variant), &self.knobs(settings), variant.open)
        };
        let padded = read(&gradient);
        let gradient = padded.chunks(self.model.shape.padded().1).flat_map(|one| self.model.shape.unpad(one));
        Ok((gradient.collect(), read(&terms).as_chunks::<4>().0.to_vec()))
    }

    /// Loss, reconstruction, KL and prior reconstruction of each trial at each step since the last call, in nats per row.
    /// This waits for the device.
    pub fn terms(&mut self) -> Vec<Vec<[f32; 4]>> {
        if self.terms.is_empty() {
            return Vec::new();
        }
        let values = read(&Tensor::stack(&std::mem::take(&mut self.terms), 0));
        values.as_chunks::<4>().0.chunks(self.len()).map(<[_]>::to_vec).collect()
    }

    /// The gradient of every trial's loss, `[E, weights]`, and the terms `[E, 4]`, by autograd.
    fn differentiate(&self, batch: &Batch, knobs: &Tensor, any_open: bool) -> (Tensor, Tensor) {
        let knob = |column| knobs.select(1, column);
        let by = TermWeights { open: knob(0), beta: knob(1), hybrid: knob(2), free_bits: knob(3), any_open };
        let Terms { loss, recon, kl, prior_recon } = self.model.objective(batch, &by);
        // No trial's loss depends on another's weights.
        let gradients = Tensor::run_backward(&[loss.sum(Kind::Float)], &self.model.leaves, false, false);
        let flat = self.weights.zeros_like();
        for (gradient, place) in gradients.iter().zip(self.model.shape.padded().0) {
            // The encoder's, while all codes are closed, have none.
            if gradient.defined() {
                let gradient = gradient.reshape([self.len() as i64, -1]);
                flat.narrow(1, place.start as i64, place.len() as i64).copy_(&gradient);
            }
        }
        (flat, Tensor::stack(&[loss, recon, kl, prior_recon], 1).detach())
    }

    /// Shortens long gradients, then Adam (Kingma and Ba 2015) with decoupled decay (Loshchilov and Hutter 2019).
    fn update(&mut self, mut gradient: Tensor, knobs: &Tensor) {
        let knob = |column| knobs.narrow(1, column, 1); // [E, 1]
        let [clip, decay_factor, move2, scale1, scale2] = [4, 5, 6, 7, 8].map(knob);
        tch::no_grad(|| {
            self.weights *= &self.decayed * (decay_factor - 1.0) + 1.0;
            let norm = gradient.square().sum_dim_intlist([1i64].as_slice(), true, Kind::Float).sqrt();
            gradient *= (clip / (norm + 1e-12)).clamp_max(1.0);
            let _ = self.first.lerp_(&gradient, 1.0 - BETA_1);
            self.second += (gradient.square() - &self.second) * move2;
            self.weights -= &self.first * scale1 / ((&self.second * scale2).sqrt() + EPSILON);
        });
    }

    fn knobs(&self, settings: &[Settings]) -> Tensor {
        let knobs: Vec<f32> = settings.iter().flat_map(Settings::knobs).collect();
        stage(&knobs, &[settings.len() as i64, KNOBS as i64], self.device)
    }

    /// Checks a step's data; which launches it takes.
    fn variant(&self, data: &Data<'_>, settings: &[Settings]) -> Result<Variant, String> {
        let (shape, trials) = (&self.model.shape, self.len());
        let (columns, latent) = (shape.columns(), shape.latent);
        check("settings", settings.len(), &[trials])?;
        let n = data.rows.len() / (trials * columns).max(1);
        check("rows", data.rows.len(), &[trials, n, columns])?;
        if n == 0 {
            return Err("rows: a step needs at least one row".to_owned());
        }
        let open = latent > 0 && settings.iter().any(|settings| settings.beta.is_finite());
        let (prior, own_codes, own_uniforms) = match data.prior {
            PriorData::None => (PriorKind::None, 0, 0),
            PriorData::Own => (PriorKind::Own, n, 0),
            PriorData::Paired(PairedData { candidates, counts, log_shares, codes: k, balanced }) => {
                let m = counts.len() / trials.max(1);
                let p = candidates.len() / (trials * m * columns).max(1);
                check("counts", counts.len(), &[trials, m])?;
                check("candidates", candidates.len(), &[trials, m, p, columns])?;
                check("log_shares", log_shares.len(), &[trials, m, p])?;
                if let Some(count) = counts.iter().find(|count| !(1..=p as i32).contains(*count)) {
                    return Err(format!("counts: {count} is not in 1..={p}"));
                }
                (PriorKind::Paired { m: m as i64, p: p as i64, k: k as i64, balanced }, m * k, m * k)
            }
        };
        let seeds = match data.random {
            RandomData::Given { noise, codes, uniforms } => {
                check("noise", noise.len(), &[trials, n, latent])?;
                check("codes", codes.len(), &[trials, own_codes, latent])?;
                check("uniforms", uniforms.len(), &[trials, own_uniforms])?;
                false
            }
            RandomData::Seeds(seeds) => {
                check("seeds", seeds.len(), &[trials])?;
                true
            }
        };
        let prior = if open { prior } else { PriorKind::None };
        Ok(Variant { trials: trials as i64, n: n as i64, open, prior, seeds })
    }

    /// Fills the buffers of the gradients by hand; false where they are autograd's.
    fn load(&mut self, data: &Data<'_>, settings: &[Settings], variant: Variant) -> bool {
        let device = self.device;
        let Gradients::ByHand(kernels, lean) = &mut self.gradients else { return false };
        if lean.as_ref().is_none_or(|lean| !variant.fits(lean.variant)) {
            // The old buffers go before the new ones come.
            *lean = None;
            *lean = Some(Box::new(Lean::new(&self.model.shape, variant.with_room(), Rc::clone(kernels), device)));
        }
        let Some(lean) = lean else { return false };
        lean.load(data, settings);
        true
    }

    /// A step's data on the device, for autograd.
    fn batch(&self, data: &Data<'_>, variant: Variant) -> Batch {
        let (e, n, device) = (variant.trials, variant.n, self.device);
        let (c, z) = (self.model.shape.columns() as i64, self.model.shape.latent as i64);
        let indices = |values: &[i32], sizes: &[i64]| stage(values, sizes, device).to_kind(Kind::Int64);
        let (codes, uniforms) = match variant.prior {
            PriorKind::None => ([0; 4], [0; 3]),
            PriorKind::Own => ([e, n, 1, z], [0; 3]),
            PriorKind::Paired { m, k, .. } => ([e, m, k, z], [e, m, k]),
        };
        let sizes: [&[i64]; 3] = [&[e, n, z], &codes, &uniforms];
        let [noise, codes, uniforms] = match data.random {
            RandomData::Seeds(seeds) => {
                random::draw(&Kernels::cpu(), Device::Cpu, seeds, sizes).map(|values| values.to_device(device))
            }
            RandomData::Given { noise, codes, uniforms } => {
                // Codes that no trial uses may be there.
                let used = |values: &'_ [f32], sizes: &[i64]| values.len() as i64 * i64::from(sizes[0] > 0);
                let stage = |values: &[f32], sizes| stage(&values[..used(values, sizes) as usize], sizes, device);
                [stage(noise, sizes[0]), stage(codes, sizes[1]), stage(uniforms, sizes[2])]
            }
        };
        let prior = match (variant.prior, data.prior) {
            (PriorKind::Own, _) => Some(Prior::Own(codes.squeeze_dim(2))),
            (PriorKind::Paired { m, p, balanced, .. }, PriorData::Paired(paired)) => Some(Prior::Paired(Paired {
                candidates: indices(paired.candidates, &[e, m, p, c]),
                counts: indices(paired.counts, &[e, m]),
                log_shares: stage(paired.log_shares, &[e, m, p], device),
                codes,
                uniforms,
                balanced,
            })),
            _ => None,
        };
        Batch { rows: indices(data.rows, &[e, n, c]), noise, prior }
    }
}

/// A slice on the device.
fn stage<T: tch::kind::Element>(values: &[T], sizes: &[i64], device: Device) -> Tensor {
    Tensor::from_slice(values).view(sizes).to_device(device)
}

/// Checks a slice's length against the shape that it stands for.
fn check(what: &str, len: usize, shape: &[usize]) -> Result<(), String> {
    if len == shape.iter().product::<usize>() {
        return Ok(());
    }
    Err(format!("{what}: {len} values do not fill the shape {shape:?}"))
}

fn upload<T: tch::kind::Element>(values: &[T], sizes: &[usize], device: Device) -> Tensor {
    let sizes: Vec<i64> = sizes.iter().map(|size| *size as i64).collect();
    Tensor::from_slice(values).view(sizes.as_slice()).to_device(device)
}

pub(crate) fn read(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.numel()];
    read_into(tensor, &mut values);
    values
}

/// Copies a tensor's values to a slice of as many.
pub(crate) fn read_into(tensor: &Tensor, values: &mut [f32]) {
    tensor.detach().to_device(Device::Cpu).contiguous().copy_data(values, values.len());
}
