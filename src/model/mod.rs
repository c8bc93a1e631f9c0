//! The conditional VAE: its configuration, weights on disk, the trait [`Engine`], the built-in engine, and sampling.
//!
//! Value indices in, logits out. Nothing here knows a task or how a run is organised.

mod baseline;
pub mod bulk;
mod config;
pub mod cpu;
mod encodings;
pub mod engine;
pub mod layout;
mod noise;
mod sampling;
mod tensor_file;
mod update;
mod weights;

pub use baseline::{Baseline, Law};
pub use bulk::{Forward, bulk_decoder};
pub use config::{Heads, ModelConfig, ModelKind, Pairing, Prior, Trunk};
pub use cpu::{CpuEngine, Decoder, encode, exponentials, paired_rows};
pub use encodings::Encodings;
pub use engine::{
    BulkDecoder, DeviceChoice, Engine, EngineError, EngineKind, EngineOptions, MakeEngine, ObjectiveWeights,
    PairedCodes, PriorCodes, StepInput, StepOptions, Terms, check_memory,
};
pub use layout::{Layout, RADIANS_PER_UNIT};
pub use noise::{Decode, DecodeError, Noise};
pub use sampling::{PreparedBatch, Sampler};
pub use tensor_file::{Tensor, Tensors, Values, WeightsError, load_tensors, save_tensors};
pub use update::{
    AdamHyperparams, EncoderUpdate, MuonHyperparams, ScheduleFreeHyperparams, SoapHyperparams, TrainingState,
    UpdateRule,
};
pub use weights::{Model, flat, named};
