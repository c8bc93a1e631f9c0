//! Drawing dates from the decoder: z from the prior, then the fields one after the other.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Kind, Tensor};

use super::weights::Model;
use crate::dates::{Condition, DateTokens, Field};

/// How a field's value is chosen from its logits.
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

/// The random numbers of some samples: z, and one uniform number for each field.
///
/// All of them are drawn, greedy or not, so that a seed gives the same z in both.
#[derive(Debug, Default)]
pub struct Noise {
    z: Vec<f32>,
    uniform: Vec<f32>,
}

impl Noise {
    /// Draws the numbers of `samples` more samples, in the order of the samples.
    pub fn extend(&mut self, random: &mut ChaCha8Rng, samples: usize, latent_dim: i64) {
        self.z.reserve(samples * latent_dim as usize);
        self.uniform.reserve(samples * Field::ALL.len());
        for _ in 0..samples {
            self.z.extend((0..latent_dim).map(|_| random.sample::<f32, _>(StandardNormal)));
            self.uniform.extend((0..Field::ALL.len()).map(|_| random.random::<f32>()));
        }
    }
}

/// Draws dates for conditions, a block at a time, without gradients.
#[derive(Debug)]
pub struct Sampler<'a> {
    model: &'a Model,
    decode: Decode,
    /// The decoder's state after each condition, `[6888, state]`: computed once, whatever is drawn.
    states: Tensor,
}

/// Rows of one decoding block: its activations fit a core's second-level cache.
const BLOCK: usize = 4096;

impl<'a> Sampler<'a> {
    /// A sampler of this model.
    pub fn new(model: &'a Model, decode: Decode) -> Self {
        let rows: Vec<[i64; 4]> =
            Condition::all().map(|condition| condition.indices().map(|index| index as i64)).collect();
        let conditions = Tensor::from_slice2(&rows).to_device(model.device());
        let states = tch::no_grad(|| model.decoder.condition_state(&conditions));
        Self { model, decode, states }
    }

    /// One draw for each condition, in their order.
    pub fn draw(&self, conditions: &[Condition], random: &mut ChaCha8Rng) -> Vec<DateTokens> {
        let mut drawn = Vec::with_capacity(conditions.len());
        for block in conditions.chunks(BLOCK) {
            let mut noise = Noise::default();
            noise.extend(random, block.len(), self.model.config.latent_dim);
            drawn.extend(self.decode(block, &noise));
        }
        drawn
    }

    /// The dates that these random numbers make of these conditions.
    pub fn decode(&self, conditions: &[Condition], noise: &Noise) -> Vec<DateTokens> {
        let device = self.model.device();
        let rows: Vec<i64> = conditions.iter().map(|condition| condition.index() as i64).collect();
        let (n, latent_dim) = (rows.len() as i64, self.model.config.latent_dim);
        let values = tch::no_grad(|| {
            let decoder = &self.model.decoder;
            let z = Tensor::from_slice(&noise.z).view([n, latent_dim]).to_device(device);
            let uniform = Tensor::from_slice(&noise.uniform).view([n, -1]).to_device(device);
            let latent = decoder.latent(&z);
            let mut state = self.states.index_select(0, &Tensor::from_slice(&rows).to_device(device)); // [n, state]
            let fields = Field::ALL.map(|field| {
                let units = decoder.units(&state, field);
                let logits = decoder.logits(&units, &latent[field as usize], field); // [n, size]
                let values = self.choose(&logits, &uniform.narrow(1, field as i64, 1)); // [n]
                state = decoder.advance(&state, field, &values);
                values
            });
            Tensor::stack(&fields, 1) // [n, 4]
        });
        let values = Vec::<i64>::try_from(values.view([-1])).unwrap_or_default();
        // A head has as many logits as its field has values, so every choice is inside its field.
        values
            .chunks_exact(Field::ALL.len())
            .filter_map(|row| DateTokens::from_indices([row[0], row[1], row[2], row[3]].map(|value| value as usize)))
            .collect()
    }

    /// Values `[n]` from logits `[n, size]` and uniform numbers `[n, 1]`.
    fn choose(&self, logits: &Tensor, uniform: &Tensor) -> Tensor {
        match self.decode {
            Decode::Greedy => logits.argmax(1, false),
            Decode::Sample { temperature } => {
                // The inverse of the distribution function: how many values it takes to pass the number.
                let passed = (logits / temperature).softmax(1, Kind::Float).cumsum(1, Kind::Float);
                let last = passed.size()[1] - 1;
                let mark = uniform * passed.narrow(1, last, 1);
                passed.le_tensor(&mark).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64).clamp_max(last)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::random::{Purpose, stream};
    use tch::Device;

    fn model() -> Model {
        Model::new(ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() }, Device::Cpu, 1)
    }

    fn conditions(count: usize) -> Vec<Condition> {
        (0..count).filter_map(|draw| Condition::from_index(draw * 97 % Condition::COUNT)).collect()
    }

    #[test]
    fn a_seed_repeats_its_draws_however_they_are_grouped() {
        let model = model();
        for decode in [Decode::Greedy, Decode::sample(1.0).unwrap()] {
            let sampler = Sampler::new(&model, decode);
            let conditions = conditions(300);
            let mut random = stream(1, Purpose::Samples, 0);
            let whole = sampler.draw(&conditions, &mut random);
            let mut random = stream(1, Purpose::Samples, 0);
            let parts: Vec<_> = conditions.chunks(7).flat_map(|part| sampler.draw(part, &mut random)).collect();
            assert_eq!(whole, parts);
            let mut random = stream(2, Purpose::Samples, 0);
            assert_ne!(whole, sampler.draw(&conditions, &mut random));
        }
    }

    #[test]
    fn categorical_draws_follow_the_softmax() {
        let model = model();
        let sampler = Sampler::new(&model, Decode::sample(2.0).unwrap());
        let logits = Tensor::from_slice(&[0f32, 2.0 * 3f32.ln(), f32::NEG_INFINITY]).unsqueeze(0).repeat([1000, 1]);
        // Evenly spaced uniform numbers: a quarter of them lies below 1/4 = e^0 / (e^0 + e^ln 3).
        let uniform = (Tensor::arange(1000, (Kind::Float, Device::Cpu)) / 1000.0).unsqueeze(1);
        let counts = Vec::<i64>::try_from(sampler.choose(&logits, &uniform).bincount::<Tensor>(None, 3)).unwrap();
        assert_eq!(counts, [250, 750, 0]);
    }

    #[test]
    fn temperatures_that_make_no_distribution_are_refused() {
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Decode::sample(temperature).is_err());
        }
    }
}
