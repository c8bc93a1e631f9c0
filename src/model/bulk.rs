//! Decoding very many rows at once, in place of the CPU: what a GPU brings to an evaluation.

use std::fmt::Debug;
use std::sync::OnceLock;

use super::engine::{EngineError, EngineOptions};
use super::noise::Decode;
use super::weights::Model;
use crate::task::{Groups, Rows};

/// The decoder of one trained model, with random numbers of its own. A condition's rows and codes depend on its seed alone,
/// whichever others are asked for beside it.
pub trait BulkDecoder: Debug {
    /// `draws` rows for each condition `[conditions, given]`, condition by condition, `[conditions * draws, generated]`.
    ///
    /// # Errors
    /// When the device fails, for lack of memory as a rule.
    fn draw(&self, conditions: &Rows, seeds: &[u64], draws: usize, decode: Decode) -> Result<Rows, EngineError>;

    /// log p(y | z, c) of each condition's rows under each of `codes` codes from the prior, nats: `[codes, rows]` for each
    /// condition.
    ///
    /// # Errors
    /// As [`BulkDecoder::draw`].
    fn log_probabilities(&self, conditions: &Groups, seeds: &[u64], codes: usize)
    -> Result<Vec<Vec<f32>>, EngineError>;
}

/// Makes the decoder of a model where it is to run on such a device; none where the CPU decodes.
pub type MakeDecoder = fn(&Model, EngineOptions) -> Result<Option<Box<dyn BulkDecoder>>, EngineError>;

static INSTALLED: OnceLock<MakeDecoder> = OnceLock::new();

/// Makes this program evaluate with another decoder where a config asks for it. The first call counts.
pub fn install(make: MakeDecoder) {
    // As for engines: a second one would be an error of its author.
    let _ = INSTALLED.set(make);
}

/// The decoder of a model on the device that is asked for; none where the CPU decodes.
///
/// # Errors
/// When the device fails.
pub fn bulk_decoder(model: &Model, options: EngineOptions) -> Result<Option<Box<dyn BulkDecoder>>, EngineError> {
    INSTALLED.get().map_or(Ok(None), |make| make(model, options))
}
