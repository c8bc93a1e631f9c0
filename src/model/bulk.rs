//! Decoding very many rows at once, in place of the CPU: what a GPU brings to an evaluation.

use std::convert::Infallible;
use std::sync::OnceLock;

use super::cpu::{Decoder, encode, paired_rows};
use super::encodings::Encodings;
use super::engine::{BulkDecoder, EngineError, EngineOptions, PairedCodes};
use super::weights::Model;
use crate::task::Rows;

/// A trained model without gradients, wherever it is computed.
pub trait Forward {
    /// What can go wrong.
    type Error;
    /// Conditions whose codes are paired at once.
    const CONDITIONS: usize;
    /// The posteriors of rows.
    ///
    /// # Errors
    /// When a device fails.
    fn encode(&self, rows: &Rows) -> Result<Encodings, Self::Error>;
    /// -log p(y | z, c) of rows at codes `[n, latent]`, nats, mean over the rows.
    ///
    /// # Errors
    /// When a device fails.
    fn mean_cross_entropy(&self, rows: &Rows, z: &[f32]) -> Result<f64, Self::Error>;
    /// The row that each code is paired with, as training pairs them.
    ///
    /// # Errors
    /// When a device fails.
    fn paired_rows(&self, codes: &PairedCodes) -> Result<Rows, Self::Error>;
}

impl Forward for Model {
    type Error = Infallible;
    const CONDITIONS: usize = 64;

    fn encode(&self, rows: &Rows) -> Result<Encodings, Infallible> {
        Ok(encode(self, rows))
    }

    fn mean_cross_entropy(&self, rows: &Rows, z: &[f32]) -> Result<f64, Infallible> {
        let sums = Decoder::new(self).cross_entropies(rows, z);
        Ok(sums.iter().sum::<f64>() / rows.len() as f64)
    }

    fn paired_rows(&self, codes: &PairedCodes) -> Result<Rows, Infallible> {
        Ok(paired_rows(self, codes))
    }
}

impl Forward for dyn BulkDecoder + '_ {
    type Error = EngineError;
    const CONDITIONS: usize = 1024;

    fn encode(&self, rows: &Rows) -> Result<Encodings, EngineError> {
        BulkDecoder::encode(self, rows)
    }

    fn mean_cross_entropy(&self, rows: &Rows, z: &[f32]) -> Result<f64, EngineError> {
        BulkDecoder::mean_cross_entropy(self, rows, z)
    }

    fn paired_rows(&self, codes: &PairedCodes) -> Result<Rows, EngineError> {
        BulkDecoder::paired_rows(self, codes)
    }
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
