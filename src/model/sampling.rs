//! Drawing dates from the decoder: z from the prior, then the fields one after the other.

use std::cell::RefCell;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Kind, Tensor};

use super::fused::{Buffers, PlainDecoder};
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
    pub(super) z: Vec<f32>,
    pub(super) uniform: Vec<f32>,
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

    /// Draws the numbers of `codes` times `draws` samples: so many z, each shared by `draws` samples in a row.
    pub fn extend_shared(&mut self, random: &mut ChaCha8Rng, codes: usize, draws: usize, latent_dim: i64) {
        for _ in 0..codes {
            let z: Vec<f32> = (0..latent_dim).map(|_| random.sample(StandardNormal)).collect();
            (0..draws).for_each(|_| self.z.extend(&z));
            self.uniform.extend((0..draws * Field::ALL.len()).map(|_| random.random::<f32>()));
        }
    }

    /// The numbers of some of the samples.
    pub(super) fn of(&self, samples: &[usize], latent_dim: usize) -> Self {
        let part = |values: &[f32], width: usize| {
            samples.iter().flat_map(|sample| &values[sample * width..][..width]).copied().collect()
        };
        Self { z: part(&self.z, latent_dim), uniform: part(&self.uniform, Field::ALL.len()) }
    }

    /// Given codes, one after the other, for greedy decoding; sampling takes the median draw of each field.
    pub fn of_codes(z: Vec<f32>, latent_dim: i64) -> Self {
        let samples = z.len() / latent_dim.max(1) as usize;
        Self { z, uniform: vec![0.5; samples * Field::ALL.len()] }
    }
}

/// What draws dates.
pub trait Draw {
    /// One draw for each condition, in their order; the same from a state of `random` however they are grouped, but for
    /// close choices that rounding decides.
    fn draw(&self, conditions: &[Condition], random: &mut ChaCha8Rng) -> Vec<DateTokens>;
}

/// Draws dates for conditions, a block at a time, without gradients.
#[derive(Debug)]
pub struct Sampler<'a> {
    model: &'a Model,
    decode: Decode,
    way: Way,
}

/// What computes the logits.
#[derive(Debug)]
enum Way {
    /// By hand, and faster: the default kind of model on a CPU.
    Plain { decoder: Box<PlainDecoder>, buffers: Box<RefCell<Buffers>> },
    /// libtorch, for any model on any device.
    Libtorch {
        /// The decoder's state after each condition, `[6888, state]`: computed once, whatever is drawn.
        states: Tensor,
    },
}

/// Rows of one decoding block of libtorch's: its activations fit a core's second-level cache.
const BLOCK: usize = 512;

impl<'a> Sampler<'a> {
    /// Rows that are best decoded at once.
    pub const BLOCK: usize = BLOCK;

    /// A sampler of this model.
    pub fn new(model: &'a Model, decode: Decode) -> Self {
        match PlainDecoder::new(model, decode) {
            Some(decoder) => {
                Self { model, decode, way: Way::Plain { decoder: decoder.into(), buffers: Box::default() } }
            }
            None => Self::by_libtorch(model, decode),
        }
    }

    /// A sampler that uses libtorch, whatever the model: the definition of what is drawn.
    pub(super) fn by_libtorch(model: &'a Model, decode: Decode) -> Self {
        let rows: Vec<[i64; 4]> =
            Condition::all().map(|condition| condition.indices().map(|index| index as i64)).collect();
        let conditions = Tensor::from_slice2(&rows).to_device(model.device());
        let states = tch::no_grad(|| model.decoder.condition_state(&conditions));
        Self { model, decode, way: Way::Libtorch { states } }
    }

    /// The dates that these random numbers make of these conditions, each taken `draws` times in a row.
    pub fn decode(&self, conditions: &[Condition], draws: usize, noise: &Noise) -> Vec<DateTokens> {
        match &self.way {
            Way::Plain { decoder, buffers } => {
                let rows: Vec<Condition> =
                    conditions.iter().flat_map(|condition| std::iter::repeat_n(*condition, draws)).collect();
                decoder.decode(&mut buffers.borrow_mut(), &rows, noise)
            }
            Way::Libtorch { states } => tch::no_grad(|| self.decode_tensors(states, conditions, draws, noise)),
        }
    }

    fn decode_tensors(
        &self,
        states: &Tensor,
        conditions: &[Condition],
        draws: usize,
        noise: &Noise,
    ) -> Vec<DateTokens> {
        let device = self.model.device();
        let index = |rows: &[i64]| Tensor::from_slice(rows).to_device(device);
        let n = conditions.len() * draws;
        let mut dates = vec![[0; 4]; n];
        let decoder = &self.model.decoder;
        let z = Tensor::from_slice(&noise.z).view([n as i64, self.model.config.latent_dim]).to_device(device);
        let uniform = Tensor::from_slice(&noise.uniform).view([n as i64, -1]).to_device(device);
        let latent = decoder.latent(&z);
        let mut prefixes = Prefixes::new(conditions.len(), draws);
        let rows: Vec<i64> = conditions.iter().map(|condition| condition.index() as i64).collect();
        let mut state = states.index_select(0, &index(&rows)); // [prefixes, state]
        for field in Field::ALL {
            let units = decoder.units(&state, field).index_select(0, &index(&prefixes.of_row)); // [n, width]
            let logits = decoder.logits(&units, &latent[field as usize], field); // [n, size]
            let values = choose(self.decode, &logits, &uniform.narrow(1, field as i64, 1)); // [n]
            let values = Vec::<i64>::try_from(values).unwrap_or_default();
            dates.iter_mut().zip(&values).for_each(|(date, value)| date[field as usize] = *value as usize);
            // The day comes last: nothing is computed from it.
            if field != Field::Day {
                let (parents, values) = prefixes.split(&values, field.size());
                state = decoder.advance(&state.index_select(0, &index(&parents)), field, &index(&values));
            }
        }
        // A head has as many logits as its field has values, so every choice is inside its field.
        dates.into_iter().filter_map(DateTokens::from_indices).collect()
    }
}

/// Values `[n]` from logits `[n, size]` and uniform numbers `[n, 1]`.
fn choose(decode: Decode, logits: &Tensor, uniform: &Tensor) -> Tensor {
    match decode {
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

impl Draw for Sampler<'_> {
    fn draw(&self, conditions: &[Condition], random: &mut ChaCha8Rng) -> Vec<DateTokens> {
        let mut drawn = Vec::with_capacity(conditions.len());
        for block in conditions.chunks(BLOCK) {
            let mut noise = Noise::default();
            noise.extend(random, block.len(), self.model.config.latent_dim);
            drawn.extend(self.decode(block, 1, &noise));
        }
        drawn
    }
}

/// Which rows of a block share condition and fields so far. What the decoder computes before z enters
/// depends on nothing else and is computed once for each such prefix: a few for each condition.
pub(super) struct Prefixes {
    /// The prefix of each row.
    pub(super) of_row: Vec<i64>,
    count: usize,
}

impl Prefixes {
    /// One prefix for each condition, which has `draws` rows.
    pub(super) fn new(conditions: usize, draws: usize) -> Self {
        let of_row = (0..conditions as i64).flat_map(|condition| std::iter::repeat_n(condition, draws)).collect();
        Self { of_row, count: conditions }
    }

    /// Tells prefixes apart by one more field, `size` values wide: each new prefix's parent and value.
    pub(super) fn split(&mut self, values: &[i64], size: usize) -> (Vec<i64>, Vec<i64>) {
        let mut numbers = vec![-1; self.count * size];
        let (mut parents, mut added) = (Vec::new(), Vec::new());
        for (prefix, value) in self.of_row.iter_mut().zip(values) {
            let number = &mut numbers[*prefix as usize * size + *value as usize];
            if *number < 0 {
                *number = parents.len() as i64;
                parents.push(*prefix);
                added.push(*value);
            }
            *prefix = *number;
        }
        self.count = parents.len();
        (parents, added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Heads, ModelConfig, Trunk};
    use crate::random::{Purpose, stream};
    use tch::Device;

    fn model() -> Model {
        Model::new(ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() }, Device::Cpu, 1)
    }

    /// Both ways of drawing.
    fn samplers(model: &Model, decode: Decode) -> [Sampler<'_>; 2] {
        [Sampler::new(model, decode), Sampler::by_libtorch(model, decode)]
    }

    fn conditions(count: usize) -> Vec<Condition> {
        (0..count).filter_map(|draw| Condition::from_index(draw * 97 % Condition::COUNT)).collect()
    }

    #[test]
    fn the_default_kind_is_decoded_by_hand_and_others_by_libtorch() {
        let plain = |model: &Model| matches!(Sampler::new(model, Decode::Greedy).way, Way::Plain { .. });
        assert!(plain(&model()));
        let small = model().config;
        for other in
            [ModelConfig { heads: Heads::Independent, ..small }, ModelConfig { trunk: Trunk::Additive, ..small }]
        {
            assert!(!plain(&Model::new(other, Device::Cpu, 1)), "{other:?}");
        }
    }

    #[test]
    fn a_seed_repeats_its_draws_however_they_are_grouped() {
        let model = model();
        for decode in [Decode::Greedy, Decode::sample(1.0).unwrap()] {
            for sampler in samplers(&model, decode) {
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
    }

    #[test]
    fn shared_computations_change_no_date() {
        let model = model();
        for decode in [Decode::Greedy, Decode::sample(1.0).unwrap()] {
            for sampler in samplers(&model, decode) {
                let conditions = conditions(5);
                let mut noise = Noise::default();
                noise.extend(&mut stream(1, Purpose::Samples, 0), 200, model.config.latent_dim);
                let whole = sampler.decode(&conditions, 40, &noise);
                // One draw of each condition after the other: no two rows in a row share anything.
                let order: Vec<usize> = (0..200).map(|place| place % 5 * 40 + place / 5).collect();
                let turns: Vec<_> = order.iter().map(|row| conditions[row / 40]).collect();
                let drawn = sampler.decode(&turns, 1, &noise.of(&order, model.config.latent_dim as usize));
                assert_eq!(drawn, order.iter().map(|row| whole[*row]).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn samples_that_share_a_code_are_the_same_when_decoded_greedily() {
        let model = model();
        let mut noise = Noise::default();
        noise.extend_shared(&mut stream(1, Purpose::Samples, 0), 3, 4, model.config.latent_dim);
        let width = model.config.latent_dim as usize;
        let codes: Vec<f32> = noise.z.chunks(4 * width).flat_map(|shared| shared[..width].to_vec()).collect();
        let given = Noise::of_codes(codes, model.config.latent_dim);
        for sampler in samplers(&model, Decode::Greedy) {
            let drawn = sampler.decode(&conditions(1), 12, &noise);
            assert!(drawn.chunks(4).all(|shared| shared.iter().all(|tokens| *tokens == shared[0])));
            assert_eq!(sampler.decode(&conditions(1), 3, &given), [drawn[0], drawn[4], drawn[8]]);
        }
    }

    #[test]
    fn categorical_draws_follow_the_softmax() {
        let logits = Tensor::from_slice(&[0f32, 2.0 * 3f32.ln(), f32::NEG_INFINITY]).unsqueeze(0).repeat([1000, 1]);
        // Evenly spaced uniform numbers: a quarter of them lies below 1/4 = e^0 / (e^0 + e^ln 3).
        let uniform = (Tensor::arange(1000, (Kind::Float, Device::Cpu)) / 1000.0).unsqueeze(1);
        let decode = Decode::sample(2.0).unwrap();
        let counts = Vec::<i64>::try_from(choose(decode, &logits, &uniform).bincount::<Tensor>(None, 3)).unwrap();
        assert_eq!(counts, [250, 750, 0]);
    }

    #[test]
    fn temperatures_that_make_no_distribution_are_refused() {
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Decode::sample(temperature).is_err());
        }
    }
}
