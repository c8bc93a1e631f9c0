//! How values are chosen from logits, and the random numbers that it takes.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::weights::Model;

/// How a column's value is chosen from its logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decode {
    /// The most likely value: all variety comes from z.
    Greedy,
    /// A draw from the categorical distribution, logits divided by the temperature.
    Sample {
        /// Above 0; 1 is the model's own distribution.
        temperature: f64,
    },
}

/// A temperature that makes no distribution.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a temperature of {0} makes no distribution; choose one above 0, or greedy decoding")]
pub struct DecodeError(f64);

impl Decode {
    /// Categorical draws at this temperature.
    ///
    /// # Errors
    /// When the temperature is not a positive number.
    pub fn sample(temperature: f64) -> Result<Self, DecodeError> {
        let usable = temperature.is_finite() && temperature >= 1e-3;
        if usable { Ok(Self::Sample { temperature }) } else { Err(DecodeError(temperature)) }
    }
}

/// The random numbers of some samples: z, and one uniform number for each generated column.
///
/// All of them are drawn, greedy or not, so that a seed gives the same z in both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noise {
    /// Codes, `[n, latent]`.
    pub z: Vec<f32>,
    /// Numbers in 0..1, `[n, generated]`.
    pub uniform: Vec<f32>,
}

impl Noise {
    /// Draws the numbers of `samples` more samples of a model, in the order of the samples.
    pub fn extend(&mut self, random: &mut ChaCha8Rng, model: &Model, samples: usize) {
        let (latent, columns) = shape(model);
        self.z.reserve(samples * latent);
        self.uniform.reserve(samples * columns);
        for _ in 0..samples {
            self.z.extend((0..latent).map(|_| random.sample::<f32, _>(StandardNormal)));
            self.uniform.extend((0..columns).map(|_| random.random::<f32>()));
        }
    }

    /// Draws the numbers of `codes` times `draws` samples: so many z, each shared by `draws` samples in a row.
    pub fn extend_shared(&mut self, random: &mut ChaCha8Rng, model: &Model, codes: usize, draws: usize) {
        let (latent, columns) = shape(model);
        for _ in 0..codes {
            let z: Vec<f32> = (0..latent).map(|_| random.sample(StandardNormal)).collect();
            (0..draws).for_each(|_| self.z.extend(&z));
            self.uniform.extend((0..draws * columns).map(|_| random.random::<f32>()));
        }
    }

    /// The numbers of some of the samples, which are decoded so.
    pub(super) fn of(&self, samples: &[usize], model: &Model, decode: Decode) -> Self {
        let part = |values: &[f32], width: usize| {
            let mut taken = Vec::with_capacity(samples.len() * width);
            samples.iter().for_each(|sample| taken.extend_from_slice(&values[sample * width..][..width]));
            taken
        };
        let (latent, columns) = shape(model);
        let uniform = if decode == Decode::Greedy { Vec::new() } else { part(&self.uniform, columns) };
        Self { z: part(&self.z, latent), uniform }
    }

    /// Given codes `[n, latent]` for greedy decoding; sampling takes the median draw of each column.
    pub fn of_codes(z: Vec<f32>, model: &Model) -> Self {
        let (latent, columns) = shape(model);
        let samples = z.len() / latent.max(1);
        Self { z, uniform: vec![0.5; samples * columns] }
    }
}

/// Dimensions of z and number of generated columns.
pub(super) fn shape(model: &Model) -> (usize, usize) {
    (model.layout.latent, model.schema.generated.len())
}
