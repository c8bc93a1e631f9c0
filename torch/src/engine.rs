//! The trait of `cvae`'s engines over [`Trials`]: what `cvae-torch` trains with.

use cvae::caught::caught;
use cvae::model::{
    self, BulkDecoder, Decode, DeviceChoice, Encodings, Engine, EngineError, EngineKind, EngineOptions, PairedCodes,
    PriorCodes, StepInput, StepOptions, Terms, TrainingState, UpdateRule,
};
use cvae::task::{Groups, Rows};
use tch::{Cuda, Device};

use crate::data::Candidates;
use crate::decoder::Decoder;
use crate::{Column, Data, Heads, PairedData, PriorData, RandomData, Settings, Shape, Trials, Trunk};

/// Environment variable: whether products on a GPU may round their factors to 10 bits, `1` or `0`.
const TF32: &str = "CVAE_TF32";

/// What is not computed here.
const PRIOR: &str =
    "a conditional prior is trained by the built-in engine alone; set engine = \"builtin\" and device = \"cpu\"";
/// The same.
const OPTIONS: &str = "objective.importance_samples, objective.mmd, training.encoder_updates, training.optimizer and \
                       training.average are computed by the built-in engine alone; set engine = \"builtin\" and device = \"cpu\"";

/// Trials in libtorch.
#[derive(Debug)]
pub struct TorchEngine {
    trials: Trials,
    device: Device,
    /// Why the GPU's own kernels are not used.
    slower: Option<String>,
}

/// The shape of a model of `cvae`.
pub fn shape(model: &model::Model) -> Shape {
    let column = |column: &cvae::task::Column| Column { size: column.size(), narrow: column.determined };
    Shape {
        given: model.schema.given.iter().map(|column| column.size()).collect(),
        generated: model.schema.generated.iter().map(column).collect(),
        latent: model.layout.latent,
        hidden: model.layout.hidden,
        angles: usize::try_from(model.config.angles).unwrap_or(0),
        trunk: match model.config.trunk {
            model::Trunk::Additive => Trunk::Additive,
            model::Trunk::Multiplicative => Trunk::Multiplicative,
        },
        heads: match model.config.heads {
            model::Heads::Independent => Heads::Independent,
            model::Heads::Autoregressive => Heads::Autoregressive,
        },
    }
}

/// An engine that goes on from these states, as [`cvae::model::MakeEngine`] has it. On the CPU it computes by autograd.
///
/// # Errors
/// When a GPU is asked for and there is none, or libtorch refuses.
pub fn make(
    model: &model::Model,
    states: Vec<TrainingState>,
    options: EngineOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let Some(device) = device(options)? else { return model::CpuEngine::make(model, states, options) };
    if model.layout.prior.is_some() {
        return Err(EngineError::Unsupported(PRIOR));
    }
    tch::set_num_threads(options.threads as i32);
    if let Ok(choice) = std::env::var(TF32) {
        crate::allow_tf32(choice == "1");
    }
    let count = states.len();
    let engine = guarded(count, || {
        let (shape, weights) = (shape(model), states.iter().map(|state| state.weights.as_slice()).collect::<Vec<_>>());
        // On a GPU the derived gradient needs a compiler, which autograd does not.
        let fused = device.is_cuda().then(|| Trials::new(&shape, device, &weights));
        let (trials, slower) = match fused {
            Some(Ok(trials)) => (Ok(trials), None),
            Some(Err(reason)) => (Trials::by_autograd(&shape, device, &weights), Some(reason)),
            None => (Trials::by_autograd(&shape, device, &weights), None),
        };
        let mut trials = trials?;
        for (trial, state) in states.iter().enumerate() {
            trials.set_moments(trial, [&state.first, &state.second])?;
        }
        Ok(TorchEngine { trials, device, slower })
    })?;
    Ok(Box::new(engine))
}

/// Does some work for so many trials on a device: what libtorch or a driver refuses, by a panic as a rule, is an error.
fn guarded<T>(trials: usize, work: impl FnOnce() -> Result<T, String>) -> Result<T, EngineError> {
    let reason = match caught(work) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(reason)) | Err(reason) => reason,
    };
    const MEMORY: [&str; 4] = ["out of memory", "ALLOC_FAILED", "failed with status 2", "train fewer trials"];
    if MEMORY.iter().any(|words| reason.contains(words)) {
        return Err(EngineError::OutOfMemory { trials, reason });
    }
    Err(EngineError::Device(reason))
}

/// The settings of a step.
pub fn settings(input: &StepInput<'_>) -> Settings {
    let (weights, adam) = (input.weights, input.adam);
    Settings {
        beta: weights.beta,
        hybrid: weights.hybrid,
        free_bits: weights.free_bits,
        rate: adam.rate,
        clip: adam.clip,
        weight_decay: adam.weight_decay,
        beta2: adam.beta2,
        bias_correction1: adam.bias_correction1,
        bias_correction2: adam.bias_correction2,
    }
}

/// The data of a step of some trials as plain slices.
pub struct StepData<'a> {
    rows: Vec<i32>,
    noise: Vec<f32>,
    codes: Vec<f32>,
    uniforms: Vec<f32>,
    seeds: Option<Vec<u64>>,
    prior: &'a PriorCodes,
    candidates: Candidates,
}

impl<'a> StepData<'a> {
    /// Takes over what a step is computed from, of one input for each trial. Random numbers are those of the inputs, or
    /// to be drawn from their seeds where there are none.
    ///
    /// # Panics
    /// When there are no inputs.
    pub fn new(inputs: &'a [StepInput<'a>]) -> Self {
        let mut rows = Vec::with_capacity(inputs.iter().map(|input| input.rows.len() * input.rows.width()).sum());
        inputs.iter().for_each(|input| push(&mut rows, input.rows));
        // Trials whose hybrid term has not begun are given some codes as well, which count for nothing.
        let has_codes = |input: &&StepInput<'_>| !matches!(input.prior, PriorCodes::None);
        let prior = inputs.iter().find(has_codes).map_or(inputs[0].prior, |input| input.prior);
        let mut candidates = Candidates::default();
        if let PriorCodes::Paired(first) = prior {
            for input in inputs {
                match input.prior {
                    PriorCodes::Paired(codes) => candidates.push(codes, longest(inputs)),
                    _ => candidates.push_none(first, longest(inputs)),
                }
            }
        }
        let (mut noise, mut codes, mut uniforms) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            noise.extend_from_slice(input.noise);
            match input.prior {
                PriorCodes::None => match prior {
                    PriorCodes::Paired(first) if !noise.is_empty() => {
                        codes.resize(codes.len() + first.z.len(), 0.0);
                        uniforms.resize(uniforms.len() + first.uniform.len(), 0.5);
                    }
                    PriorCodes::Own(first) if !noise.is_empty() => codes.resize(codes.len() + first.len(), 0.0),
                    _ => {}
                },
                PriorCodes::Own(z) => codes.extend_from_slice(z),
                PriorCodes::Paired(paired) => {
                    codes.extend_from_slice(&paired.z);
                    uniforms.extend_from_slice(&paired.uniform);
                }
            }
        }
        let seeds = noise.is_empty().then(|| inputs.iter().map(|input| input.noise_seed).collect());
        Self { rows, noise, codes, uniforms, seeds, prior, candidates }
    }

    /// The same for [`Trials`].
    pub fn data(&self) -> Data<'_> {
        let Self { noise, codes, uniforms, .. } = self;
        let prior = match self.prior {
            PriorCodes::None => PriorData::None,
            PriorCodes::Own(_) => PriorData::Own,
            PriorCodes::Paired(PairedCodes { codes, balanced, .. }) => PriorData::Paired(PairedData {
                candidates: &self.candidates.rows,
                counts: &self.candidates.counts,
                log_shares: &self.candidates.log_shares,
                codes: *codes,
                balanced: *balanced,
            }),
        };
        let random = match &self.seeds {
            Some(seeds) => RandomData::Seeds(seeds),
            None => RandomData::Given { noise, codes, uniforms },
        };
        Data { rows: &self.rows, prior, random }
    }
}

/// The longest list of candidates of any trial's data: lists of one length at every step make all steps alike.
fn longest(inputs: &[StepInput<'_>]) -> usize {
    let of = |input: &StepInput<'_>| match input.prior {
        PriorCodes::Paired(codes) => codes.longest.max(codes.counts.iter().copied().max().unwrap_or(0)),
        _ => 0,
    };
    inputs.iter().map(of).max().unwrap_or(0)
}

fn push(to: &mut Vec<i32>, rows: &Rows) {
    rows.iter().for_each(|row| to.extend(row.iter().map(|value| i32::from(*value))));
}

impl Engine for TorchEngine {
    fn step(&mut self, inputs: &[StepInput<'_>]) -> Result<(), EngineError> {
        let asks = |StepOptions { importance_samples, aggregated, encoder, rule, average_share }: StepOptions<'_>| {
            let moves = encoder.is_some() || rule != UpdateRule::Adam || average_share > 0.0;
            importance_samples > 1 || aggregated.is_some() || moves
        };
        if inputs.iter().any(|input| asks(input.options)) {
            return Err(EngineError::Unsupported(OPTIONS));
        }
        guarded(inputs.len(), || {
            let data = StepData::new(inputs);
            let settings: Vec<Settings> = inputs.iter().map(settings).collect();
            self.trials.step(&data.data(), &settings)
        })
    }

    fn take_terms(&mut self) -> Result<Vec<Vec<Terms>>, EngineError> {
        let count = self.trials.len();
        let steps = guarded(count, || Ok(self.trials.terms()))?;
        let widened = |terms: [f32; 4]| {
            let [loss, recon, kl, prior_recon] = terms.map(f64::from);
            Terms { loss, recon, kl, prior_recon }
        };
        Ok((0..count).map(|trial| steps.iter().map(|terms| widened(terms[trial])).collect()).collect())
    }

    fn device(&self) -> String {
        match self.device {
            Device::Cpu => format!("the CPU by libtorch with {} thread(s)", tch::get_num_threads()),
            device => match &self.slower {
                None => format!("the GPU by libtorch ({device:?})"),
                Some(reason) => format!("the GPU by libtorch's autograd ({device:?}; its kernels failed: {reason})"),
            },
        }
    }

    fn state(&self, trial: usize) -> Result<TrainingState, EngineError> {
        guarded(self.trials.len(), || {
            let [first, second] = self.trials.moments(trial);
            Ok(TrainingState {
                weights: self.trials.weights(trial),
                first,
                second,
                average: Vec::new(),
                bases: Vec::new(),
            })
        })
    }

    fn retain(&mut self, trials: &[usize]) -> Result<(), EngineError> {
        guarded(trials.len(), || {
            self.trials.retain(trials);
            Ok(())
        })
    }

    fn draws(&self) -> bool {
        true
    }

    fn decoder(&self, model: &model::Model) -> Result<Option<Box<dyn BulkDecoder>>, EngineError> {
        let made = guarded(1, || Ok(Decoder::new(&shape(model), &model.weights, self.device)))?;
        Ok(Some(Box::new(made)))
    }
}

/// The decoder of a model, as [`cvae::model::bulk::MakeDecoder`] has it: libtorch's on a GPU, or where libtorch is asked for.
///
/// # Errors
/// When a GPU is asked for and there is none, or it fails.
pub fn make_decoder(model: &model::Model, options: EngineOptions) -> Result<Option<Box<dyn BulkDecoder>>, EngineError> {
    // A conditional prior is decoded by the built-in engine.
    match device(options)?.filter(|_| model.layout.prior.is_none()) {
        Some(device) => {
            let made = guarded(1, || Ok(Decoder::new(&shape(model), &model.weights, device)))?;
            Ok(Some(Box::new(made)))
        }
        None => Ok(None),
    }
}

/// Where libtorch is to compute; none where the built-in engine is.
fn device(options: EngineOptions) -> Result<Option<Device>, EngineError> {
    let cuda = options.device != DeviceChoice::Cpu && Cuda::is_available();
    match options.device {
        DeviceChoice::Cuda if !cuda => Err(EngineError::NoCuda),
        DeviceChoice::Cuda | DeviceChoice::Auto if cuda => Ok(Some(Device::Cuda(0))),
        _ => Ok((options.engine == EngineKind::Torch).then_some(Device::Cpu)),
    }
}

impl BulkDecoder for Decoder {
    fn draw(&self, conditions: &Rows, seeds: &[u64], draws: usize, decode: Decode) -> Result<Rows, EngineError> {
        guarded(1, || Ok(Decoder::draw(self, conditions, seeds, draws, decode)))
    }

    fn log_probabilities(
        &self,
        table: &Groups,
        conditions: &[usize],
        seeds: &[u64],
        codes: usize,
    ) -> Result<Vec<f32>, EngineError> {
        guarded(1, || Ok(Decoder::log_probabilities(self, table, conditions, seeds, codes)))
    }

    fn encode(&self, rows: &Rows) -> Result<Encodings, EngineError> {
        guarded(1, || Ok(Decoder::encode(self, rows)))
    }

    fn mean_cross_entropy(&self, rows: &Rows, z: &[f32]) -> Result<f64, EngineError> {
        guarded(1, || Ok(Decoder::mean_cross_entropy(self, rows, z)))
    }

    fn paired_rows(&self, codes: &PairedCodes) -> Result<Rows, EngineError> {
        guarded(1, || Ok(Decoder::paired_rows(self, codes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_refuses_is_an_error_of_its_trials() {
        let memory = guarded(8, || -> Result<(), String> { panic!("CUDA out of memory. Tried to allocate 2 GiB\nat") });
        assert!(matches!(memory, Err(EngineError::OutOfMemory { trials: 8, .. })), "{memory:?}");
        let lost = guarded(8, || -> Result<(), String> { panic!("GPU: cuGraphLaunch failed with status 719") });
        let lost = lost.unwrap_err();
        assert!(matches!(lost, EngineError::Device(_)) && lost.to_string().contains("status 719"), "{lost}");
    }
}
