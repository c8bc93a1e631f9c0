//! Drawing rows from the decoder: z from the prior, then the columns one after the other.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::cpu::{Decoder, DecoderBuffers};
use super::weights::Model;
use crate::task::Rows;

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

    /// The numbers of some of the samples.
    fn of(&self, samples: &[usize], model: &Model) -> Self {
        let part = |values: &[f32], width: usize| {
            samples.iter().flat_map(|sample| &values[sample * width..][..width]).copied().collect()
        };
        let (latent, columns) = shape(model);
        Self { z: part(&self.z, latent), uniform: part(&self.uniform, columns) }
    }

    /// Given codes `[n, latent]` for greedy decoding; sampling takes the median draw of each column.
    pub fn of_codes(z: Vec<f32>, model: &Model) -> Self {
        let (latent, columns) = shape(model);
        let samples = z.len() / latent.max(1);
        Self { z, uniform: vec![0.5; samples * columns] }
    }
}

/// Dimensions of z and number of generated columns.
fn shape(model: &Model) -> (usize, usize) {
    (model.layout.latent, model.schema.generated.len())
}

/// Draws rows for conditions on several threads. What is drawn depends on no number of threads.
#[derive(Debug)]
pub struct Sampler<'a> {
    decoder: Decoder<'a>,
    decode: Decode,
    // None where one thread is asked for or the system gives no others.
    threads: Option<ThreadPool>,
}

/// Random numbers that are drawn at once: a few mebibytes.
const NUMBERS: usize = 1 << 20;

impl<'a> Sampler<'a> {
    /// A sampler of this model on so many threads, or on all cores.
    pub fn new(model: &'a Model, decode: Decode, threads: Option<usize>) -> Self {
        let threads = match threads {
            Some(1) => None,
            threads => ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build().ok(),
        };
        Self { decoder: Decoder { model }, decode, threads }
    }

    /// One draw for each condition `[n, given]`, in their order, `[n, generated]`; the same from a state of `random`
    /// however they are grouped, but for close choices that rounding decides.
    pub fn draw(&self, conditions: &Rows, random: &mut ChaCha8Rng) -> Rows {
        let (latent, columns) = shape(self.decoder.model);
        let at_once = (NUMBERS / (latent + columns)).max(Decoder::BLOCK);
        let mut drawn = Rows::new(columns);
        for start in (0..conditions.len()).step_by(at_once) {
            let mut part = Rows::new(conditions.width());
            part.extend(conditions, start..conditions.len().min(start + at_once));
            let rows = self.draw_part(&part, random);
            drawn.extend(&rows, 0..rows.len());
        }
        drawn
    }

    fn draw_part(&self, conditions: &Rows, random: &mut ChaCha8Rng) -> Rows {
        // Random numbers are drawn in the conditions' order. Then equal conditions come together, since they share most
        // of the work, and blocks are decoded side by side.
        let model = self.decoder.model;
        let mut noise = Noise::default();
        noise.extend(random, model, conditions.len());
        let mut order: Vec<usize> = (0..conditions.len()).collect();
        order.sort_by_key(|place| conditions.row(*place));
        let decode = |buffers: &mut DecoderBuffers, block: &[usize]| {
            let mut asked = Rows::new(conditions.width());
            block.iter().for_each(|place| asked.push(conditions.row(*place)));
            self.decoder.decode(buffers, &asked, &noise.of(block, model), self.decode)
        };
        let blocks: Vec<&[usize]> = order.chunks(Decoder::BLOCK).collect();
        let decoded: Vec<Rows> = match &self.threads {
            Some(threads) if blocks.len() > 1 => {
                threads.install(|| blocks.into_par_iter().map_init(DecoderBuffers::default, decode).collect())
            }
            _ => {
                let mut buffers = DecoderBuffers::default();
                blocks.into_iter().map(|block| decode(&mut buffers, block)).collect()
            }
        };
        let mut place_of = vec![0u32; order.len()];
        order.iter().enumerate().for_each(|(place, row)| place_of[*row] = place as u32);
        let mut sorted = Rows::new(model.schema.generated.len());
        decoded.iter().for_each(|rows| sorted.extend(rows, 0..rows.len()));
        let mut drawn = Rows::default();
        drawn.gather(&sorted, &place_of);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Heads, ModelConfig, Trunk};
    use crate::random::{Purpose, stream};
    use crate::task::dates::{self, Condition};

    /// A small model of each kind.
    fn models() -> Vec<Model> {
        let small = ModelConfig { latent_dim: 3, hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let kinds = [
            small,
            ModelConfig { heads: Heads::Independent, ..small },
            ModelConfig { trunk: Trunk::Additive, ..small },
            ModelConfig { latent_dim: 0, ..small },
        ];
        kinds.map(|config| Model::new(config, dates::schema(), 1)).into()
    }

    fn conditions(count: usize) -> Rows {
        let mut rows = Rows::new(4);
        let draws = (0..count).filter_map(|draw| Condition::from_index(draw * 97 % Condition::COUNT));
        draws.for_each(|condition| rows.push(&condition.row()));
        rows
    }

    const BOTH: [Decode; 2] = [Decode::Greedy, Decode::Sample { temperature: 1.0 }];

    #[test]
    fn a_seed_repeats_its_draws_however_they_are_grouped_and_on_any_number_of_threads() {
        for model in models() {
            for decode in BOTH {
                let conditions = conditions(600);
                let random = || stream(1, Purpose::Samples, 0);
                let whole = Sampler::new(&model, decode, Some(1)).draw(&conditions, &mut random());
                assert_eq!(whole, Sampler::new(&model, decode, Some(3)).draw(&conditions, &mut random()));
                let sampler = Sampler::new(&model, decode, Some(1));
                let (mut random, mut parts) = (random(), Rows::new(4));
                for start in (0..600).step_by(50) {
                    let mut part = Rows::new(4);
                    part.extend(&conditions, start..start + 50);
                    let drawn = sampler.draw(&part, &mut random);
                    parts.extend(&drawn, 0..50);
                }
                assert_eq!(whole, parts);
                if model.layout.latent > 0 || decode != Decode::Greedy {
                    assert_ne!(whole, sampler.draw(&conditions, &mut stream(2, Purpose::Samples, 0)));
                }
            }
        }
    }

    #[test]
    fn samples_that_share_a_code_are_the_same_when_decoded_greedily() {
        for model in models() {
            let mut noise = Noise::default();
            noise.extend_shared(&mut stream(1, Purpose::Samples, 0), &model, 3, 4);
            let mut asked = Rows::new(4);
            (0..12).for_each(|_| asked.push(conditions(1).row(0)));
            let drawn =
                Decoder { model: &model }.decode(&mut DecoderBuffers::default(), &asked, &noise, Decode::Greedy);
            for code in 0..3 {
                assert!((0..4).all(|draw| drawn.row(code * 4 + draw) == drawn.row(code * 4)));
            }
        }
    }

    #[test]
    fn sampled_values_follow_the_models_probabilities() {
        let mut model = models().swap_remove(3);
        for column in ["decade", "month", "digit", "day"] {
            model.tensor_mut(&format!("decoder.{column}.output.weight")).unwrap().fill(0.0);
        }
        // Digits 0 and 1 with odds of 3 to 1 at temperature 2; no others.
        let bias = model.tensor_mut("decoder.digit.output.bias").unwrap();
        bias.fill(-1e9);
        (bias[0], bias[1]) = (2.0 * 3f32.ln(), 0.0);
        let mut asked = Rows::new(4);
        (0..1000).for_each(|_| asked.push(conditions(1).row(0)));
        // Evenly spaced numbers.
        let uniform = (0..1000).flat_map(|mark| [mark as f32 / 1000.0; 4]).collect();
        let noise = Noise { z: Vec::new(), uniform };
        let decode = Decode::sample(2.0).unwrap();
        let drawn = Decoder { model: &model }.decode(&mut DecoderBuffers::default(), &asked, &noise, decode);
        let zeros = drawn.iter().filter(|row| row[2] == 0).count();
        assert!((749..=751).contains(&zeros) && drawn.iter().all(|row| row[2] < 2), "{zeros}");
    }

    #[test]
    fn temperatures_that_make_no_distribution_are_refused() {
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Decode::sample(temperature).is_err());
        }
    }
}
