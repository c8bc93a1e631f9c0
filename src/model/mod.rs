//! The conditional VAE: encoder, decoder, their layers, the objective, sampling, and weights on disk.
//!
//! Indices in, logits out. Nothing here knows the calendar or how a model is trained.

mod config;
mod decoder;
mod encoder;
mod fused;
mod layers;
mod objective;
mod pairing;
mod sampling;
mod tensors;
mod weights;

pub use config::{Heads, ModelConfig, Trunk};
pub use decoder::Decoder;
pub use encoder::{Encoder, Posterior};
pub use fused::{AdamStep, Fused, PlainSampler, products};
pub use layers::{EmbeddingSum, Scope, one_hot_blocks};
pub use objective::{Batch, Prior, Terms, Weights, objective, paired_reconstruction};
pub use pairing::{Pairing, PriorBatch};
pub use sampling::{Decode, DecodeError, Draw, Noise, Sampler};
pub use tensors::{load_tensors, save_tensors};
pub use weights::{Model, WeightsError};
