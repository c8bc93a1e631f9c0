//! The trait of `cvae`'s engines over [`Trials`]: what `cvae-torch` trains one trial with.

use cvae::model::{
    self, DeviceChoice, Engine, EngineError, EngineKind, EngineOptions, PriorCodes, StepInput, Terms, TrainingState,
};
use cvae::task::Rows;
use tch::{Cuda, Device};

use crate::{Column, Data, Heads, PairedData, PriorData, RandomData, Settings, Shape, Trials, Trunk};

/// One trial in libtorch.
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

/// An engine that goes on from a state, as [`cvae::model::MakeEngine`] has it. On the CPU it computes by autograd.
///
/// # Errors
/// When a GPU is asked for and there is none, or libtorch refuses.
pub fn make(
    model: &model::Model,
    state: TrainingState,
    options: EngineOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let cuda = Cuda::is_available();
    let device = match options.device {
        DeviceChoice::Cuda if !cuda => return Err(EngineError::NoCuda),
        DeviceChoice::Auto if !cuda && options.engine == EngineKind::Builtin => {
            return model::CpuEngine::make(model, state, options);
        }
        DeviceChoice::Cuda | DeviceChoice::Auto if cuda => Device::Cuda(0),
        _ => Device::Cpu,
    };
    tch::set_num_threads(options.threads as i32);
    let (shape, weights) = (shape(model), [state.weights.as_slice()]);
    // On a GPU the derived gradient needs a compiler, which autograd does not.
    let fused = device.is_cuda().then(|| Trials::new(&shape, device, &weights));
    let (trials, slower) = match fused {
        Some(Ok(trials)) => (Ok(trials), None),
        Some(Err(reason)) => (Trials::by_autograd(&shape, device, &weights), Some(reason)),
        None => (Trials::by_autograd(&shape, device, &weights), None),
    };
    let mut trials = trials.map_err(EngineError::Device)?;
    trials.set_moments(0, [&state.first, &state.second]).map_err(EngineError::Device)?;
    Ok(Box::new(TorchEngine { trials, device, slower }))
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

/// The data of a step as plain slices; `shape` gives the number of columns.
pub struct StepData<'a> {
    rows: Vec<i32>,
    noise: &'a [f32],
    prior: &'a PriorCodes,
    candidates: Vec<i32>,
    counts: Vec<i32>,
}

impl<'a> StepData<'a> {
    /// Takes over what a step is computed from.
    pub fn new(input: &'a StepInput<'a>) -> Self {
        let values = |rows: &Rows| rows.iter().flatten().map(|value| i32::from(*value)).collect();
        let (mut candidates, mut counts) = (Vec::new(), Vec::new());
        if let PriorCodes::Paired(codes) = input.prior {
            let longest = codes.counts.iter().copied().max().unwrap_or(0);
            let mut start = 0;
            for count in &codes.counts {
                // Shorter lists are filled up with their first row.
                let places = (0..longest).map(|place| start + if place < *count { place } else { 0 });
                candidates.extend(places.flat_map(|row| codes.candidates.row(row)).map(|value| i32::from(*value)));
                start += count;
            }
            counts = codes.counts.iter().map(|count| *count as i32).collect();
        }
        Self { rows: values(input.rows), noise: input.noise, prior: input.prior, candidates, counts }
    }

    /// The same for [`Trials`].
    pub fn data(&self) -> Data<'_> {
        let (prior, codes, uniforms): (_, &[f32], &[f32]) = match self.prior {
            PriorCodes::None => (PriorData::None, &[], &[]),
            PriorCodes::Own(codes) => (PriorData::Own, codes, &[]),
            PriorCodes::Paired(codes) => {
                let paired = PairedData {
                    candidates: &self.candidates,
                    counts: &self.counts,
                    codes: codes.uniform.len() / self.counts.len().max(1),
                    balanced: codes.balanced,
                };
                (PriorData::Paired(paired), &codes.z, &codes.uniform)
            }
        };
        Data { rows: &self.rows, prior, random: RandomData::Given { noise: self.noise, codes, uniforms } }
    }
}

impl Engine for TorchEngine {
    fn step(&mut self, input: &StepInput<'_>) -> Result<(), EngineError> {
        let data = StepData::new(input);
        self.trials.step(&data.data(), &[settings(input)]).map_err(EngineError::Device)
    }

    fn take_terms(&mut self) -> Result<Vec<Terms>, EngineError> {
        let terms = self.trials.terms().into_iter().flatten();
        let widened = terms.map(|terms| terms.map(f64::from));
        Ok(widened.map(|[loss, recon, kl, prior_recon]| Terms { loss, recon, kl, prior_recon }).collect())
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

    fn state(&self) -> Result<TrainingState, EngineError> {
        let [first, second] = self.trials.moments(0);
        Ok(TrainingState { weights: self.trials.weights(0), first, second })
    }
}
