//! Drawing rows from the decoder: z from the prior, then the columns one after the other.

use std::thread;

use rand_chacha::ChaCha8Rng;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::cpu::Decoder;
use super::noise::{Decode, Noise, shape};
use super::weights::Model;
use crate::task::{Rows, Schema};

/// Draws rows for conditions on several threads. What is drawn depends on no number of threads.
#[derive(Debug)]
pub struct Sampler<'a> {
    model: &'a Model,
    decode: Decode,
    // None where one thread is asked for or the system gives no others.
    threads: Option<ThreadPool>,
}

/// Conditions `[n, given]` with the random numbers that decide what is drawn for them.
#[derive(Debug)]
pub struct PreparedBatch {
    conditions: Rows,
    noise: Noise,
    /// Places of the conditions, equal ones together: they share most of the work.
    order: Vec<usize>,
}

/// Values and random numbers of a batch: some mebibytes. In tests few, so that several batches are drawn.
const NUMBERS: usize = if cfg!(test) { 1 << 11 } else { 3 << 20 };

impl<'a> Sampler<'a> {
    /// A sampler of this model on so many threads, or on all cores.
    pub fn new(model: &'a Model, decode: Decode, threads: Option<usize>) -> Self {
        let threads = match threads {
            Some(1) => None,
            // Counted here: rayon would take any number that its environment variable names.
            threads => {
                let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
                ThreadPoolBuilder::new().num_threads(threads).build().ok()
            }
        };
        Self { model, decode, threads }
    }

    /// The columns of the model that is drawn from.
    pub fn schema(&self) -> &Schema {
        &self.model.schema
    }

    /// Conditions that are best drawn for at once: so many that equal ones come together, few enough for the memory.
    pub fn batch_size(&self) -> usize {
        let (latent, _) = shape(self.model);
        (NUMBERS / (latent + self.schema().width())).max(Decoder::BLOCK)
    }

    /// One draw for each condition `[n, given]`, in their order, `[n, generated]`; the same from a state of `random`
    /// however they are grouped, but for close choices that rounding decides.
    pub fn draw(&self, conditions: &Rows, random: &mut ChaCha8Rng) -> Rows {
        let mut drawn = Rows::new(self.schema().generated.len());
        for start in (0..conditions.len()).step_by(self.batch_size()) {
            let mut batch = Rows::new(conditions.width());
            batch.extend(conditions, start..conditions.len().min(start + self.batch_size()));
            let rows = self.decode(self.prepare(batch, random));
            drawn.extend(&rows, 0..rows.len());
        }
        drawn
    }

    /// Draws the random numbers for conditions `[n, given]`, in their order; [`Sampler::decode`] turns them into rows.
    /// Memory grows with n: best are [`Sampler::batch_size`] at a time.
    pub fn prepare(&self, conditions: Rows, random: &mut ChaCha8Rng) -> PreparedBatch {
        let mut noise = Noise::default();
        noise.extend(random, self.model, conditions.len());
        let mut order: Vec<usize> = (0..conditions.len()).collect();
        // Different conditions may have one key. They come together then, which costs time and changes nothing.
        let key =
            |row: &[u16]| row.iter().fold(0u64, |key, value| key.wrapping_mul(65_537).wrapping_add((*value).into()));
        order.sort_by_cached_key(|place| key(conditions.row(*place)));
        PreparedBatch { conditions, noise, order }
    }

    /// The rows `[n, generated]` of a batch, in the conditions' order: most of the time of a draw. Blocks are decoded side
    /// by side.
    ///
    /// # Panics
    /// When a sampler of another model prepared the batch.
    pub fn decode(&self, batch: PreparedBatch) -> Rows {
        let PreparedBatch { conditions, noise, order } = batch;
        let model = self.model;
        let decode = |decoder: &mut Decoder<'_>, block: &[usize]| {
            let mut asked = Rows::new(conditions.width());
            block.iter().for_each(|place| asked.push(conditions.row(*place)));
            decoder.decode(&asked, &noise.of(block, model, self.decode), self.decode)
        };
        let blocks: Vec<&[usize]> = order.chunks(Decoder::BLOCK).collect();
        let decoded: Vec<Rows> = match &self.threads {
            Some(threads) if blocks.len() > 1 => {
                threads.install(|| blocks.into_par_iter().map_init(|| Decoder::new(model), decode).collect())
            }
            _ => {
                let mut decoder = Decoder::new(model);
                blocks.into_iter().map(|block| decode(&mut decoder, block)).collect()
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
            let drawn = Decoder::new(&model).decode(&asked, &noise, Decode::Greedy);
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
        let drawn = Decoder::new(&model).decode(&asked, &noise, decode);
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
