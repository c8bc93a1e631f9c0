//! Dates from the decoder by hand: what [`crate::model::Sampler`] draws, without libtorch.

use std::path::Path;

use multiversion::multiversion;
use rand_chacha::ChaCha8Rng;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};
use safetensors::tensor::{Dtype, SafeTensors};

use super::choice::pick;
use super::heads::{BLOCK, HeadPass};
use super::layout::Layout;
use super::pairs::Pair;
use super::scalar::{exp, larger};
use super::trunk::TrunkPass;
use super::{fitting, take};
use crate::dates::{Condition, DATE_FIELDS, DateTokens, Field};
use crate::model::sampling::{Decode, Draw, Noise, Prefixes};
use crate::model::tensors::read_checked;
use crate::model::{Model, ModelConfig, WeightsError};

/// The decoder by hand, with weights of its own.
#[derive(Debug)]
pub struct PlainDecoder {
    layout: Layout,
    weights: Vec<f32>,
    decode: Decode,
}

/// Draws dates on several threads.
#[derive(Debug)]
pub struct PlainSampler {
    decoder: PlainDecoder,
    /// None where the system gives no threads.
    threads: Option<ThreadPool>,
}

/// Random numbers that are drawn at once.
const NUMBERS: usize = 1 << 20;

/// What decoding a block needs.
#[derive(Debug, Default)]
pub struct Buffers {
    trunk: TrunkPass,
    head: HeadPass,
}

impl PlainDecoder {
    /// Takes over a model's weights; none for a model of another kind, on another device or of great size.
    pub fn new(model: &Model, decode: Decode) -> Option<Self> {
        let (layout, weights) = take(model)?;
        Some(Self { layout, weights, decode })
    }

    /// The dates that these random numbers make of these conditions.
    ///
    /// # Panics
    /// When there are not as many random numbers as they need.
    pub fn decode(&self, buffers: &mut Buffers, conditions: &[Condition], noise: &Noise) -> Vec<DateTokens> {
        assert_eq!(noise.z.len(), conditions.len() * self.layout.latent, "codes that don't fit the conditions");
        assert_eq!(noise.uniform.len(), conditions.len() * Field::ALL.len(), "numbers that don't fit the conditions");
        let codes = noise.z.chunks(BLOCK * self.layout.latent);
        let blocks = conditions.chunks(BLOCK).zip(codes).zip(noise.uniform.chunks(BLOCK * Field::ALL.len()));
        blocks.flat_map(|((conditions, z), uniform)| self.block(buffers, conditions, z, uniform)).collect()
    }

    /// The dates of at most [`BLOCK`] conditions, from codes `[n, latent]` and uniform numbers `[n, 4]`.
    fn block(&self, buffers: &mut Buffers, conditions: &[Condition], z: &[f32], uniform: &[f32]) -> Vec<DateTokens> {
        let Buffers { trunk, head: pass } = buffers;
        let mut dates = vec![[0; 4]; conditions.len()];
        let mut prefixes = Prefixes::new(1, conditions.len());
        let rows: Vec<i64> = conditions.iter().map(|condition| condition.index() as i64).collect();
        let (_, different) = prefixes.split(&rows, Condition::COUNT);
        let different = different.into_iter().filter_map(|index| Condition::from_index(index as usize));
        let mut pairs: Vec<Pair> =
            different.map(|condition| Pair { condition: condition.indices(), date: [0; 4] }).collect();
        for (field, head) in self.layout.heads.iter().enumerate() {
            trunk.forward(&self.layout, &self.weights, field, &pairs);
            let picked: Vec<usize> = prefixes.of_row.iter().map(|prefix| *prefix as usize).collect();
            pass.logits(head, &self.weights, &trunk.units, &picked, z);
            let marks = uniform.iter().skip(field).step_by(Field::ALL.len());
            let bias = &self.weights[head.output.bias.clone()];
            let choose = |(row, mark): (usize, &f32)| value(pass.row(head, row), bias, self.decode, *mark) as i64;
            let values: Vec<i64> = (0..conditions.len()).zip(marks).map(choose).collect();
            dates.iter_mut().zip(&values).for_each(|(date, value)| date[field] = *value as usize);
            if field == Field::Day as usize {
                break;
            }
            let (parents, values) = prefixes.split(&values, head.size);
            let longer = parents.iter().zip(&values).map(|(parent, value)| {
                let mut pair = pairs[*parent as usize];
                pair.date[field] = *value as usize;
                pair
            });
            pairs = longer.collect();
        }
        // A head has as many logits as its field has values, so every choice is inside its field.
        dates.into_iter().filter_map(DateTokens::from_indices).collect()
    }
}

impl PlainSampler {
    /// A sampler of the weights in a file, on so many threads, or on all cores. None for a model of another kind or of
    /// great size, and for a file that isn't one of this model's: [`crate::model::Model::load`] reads all kinds, and
    /// says what is wrong.
    ///
    /// # Errors
    /// When the file can't be read or is damaged.
    pub fn load(
        config: &ModelConfig,
        path: &Path,
        decode: Decode,
        threads: Option<usize>,
    ) -> Result<Option<Self>, WeightsError> {
        let Some(layout) = fitting(config) else { return Ok(None) };
        let Some(weights) = read(&layout, &read_checked(path)?) else { return Ok(None) };
        let threads = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build().ok();
        Ok(Some(Self { decoder: PlainDecoder { layout, weights, decode }, threads }))
    }

    fn draw_part(&self, conditions: &[Condition], random: &mut ChaCha8Rng) -> Vec<DateTokens> {
        // Random numbers are drawn in the conditions' order. Then equal conditions come together, since they share most
        // of the work, and blocks are decoded side by side.
        let latent = self.decoder.layout.latent;
        let mut noise = Noise::default();
        noise.extend(random, conditions.len(), latent as i64);
        let mut order: Vec<usize> = (0..conditions.len()).collect();
        order.sort_by_key(|place| conditions[*place].index());
        let decode = |buffers: &mut Buffers, block: &[usize]| {
            let asked: Vec<Condition> = block.iter().map(|place| conditions[*place]).collect();
            self.decoder.decode(buffers, &asked, &noise.of(block, latent))
        };
        let blocks: Vec<&[usize]> = order.chunks(BLOCK).collect();
        let decoded: Vec<Vec<DateTokens>> = match &self.threads {
            Some(threads) if blocks.len() > 1 => {
                threads.install(|| blocks.into_par_iter().map_init(Buffers::default, decode).collect())
            }
            _ => {
                let mut buffers = Buffers::default();
                blocks.into_iter().map(|block| decode(&mut buffers, block)).collect()
            }
        };
        let mut drawn: Vec<_> = order.into_iter().zip(decoded.into_iter().flatten()).collect();
        drawn.sort_unstable_by_key(|(place, _)| *place);
        drawn.into_iter().map(|(_, tokens)| tokens).collect()
    }
}

impl Draw for PlainSampler {
    fn draw(&self, conditions: &[Condition], random: &mut ChaCha8Rng) -> Vec<DateTokens> {
        // Not more random numbers at once than a few mebibytes take.
        let at_once = (NUMBERS / (self.decoder.layout.latent + Field::ALL.len())).max(BLOCK);
        conditions.chunks(at_once).flat_map(|part| self.draw_part(part, random)).collect()
    }
}

/// The value that a row of logits, less their bias, and a uniform number stand for.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn value(row: &[f32], bias: &[f32], decode: Decode, mark: f32) -> usize {
    // No field has more values.
    let mut logits = [0.0; DATE_FIELDS[0]];
    for (logit, (value, bias)) in logits.iter_mut().zip(row.iter().zip(bias)) {
        *logit = value + bias;
    }
    let logits = &mut logits[..row.len()];
    let highest = logits.iter().fold(f32::MIN, |highest, logit| larger(*logit, highest));
    match decode {
        Decode::Greedy => logits.iter().position(|logit| *logit == highest).unwrap_or(0),
        Decode::Sample { temperature } => {
            for logit in logits.iter_mut() {
                *logit = exp((*logit - highest) / temperature as f32);
            }
            pick(logits, mark)
        }
    }
}

/// The weights in a file's bytes, if they are those of this layout and nothing else.
fn read(layout: &Layout, bytes: &[u8]) -> Option<Vec<f32>> {
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let expected = layout.tensors();
    if tensors.len() != expected.len() {
        return None;
    }
    let mut weights = Vec::new();
    for (name, shape, _) in expected {
        let tensor = tensors.tensor(&name).ok()?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return None;
        }
        weights.extend(tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    }
    weights.iter().all(|weight| weight.is_finite()).then_some(weights)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::model::Sampler;
    use crate::random::{Purpose, stream};

    fn small() -> ModelConfig {
        ModelConfig { latent_dim: 3, hidden_dim: 16, angles: 8, ..ModelConfig::default() }
    }

    #[test]
    fn it_draws_what_libtorch_draws() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model = Model::new(small(), Device::Cpu, 5);
        model.save(&path).unwrap();
        // Several blocks, the last not full, and conditions that come again.
        let conditions: Vec<_> = (0..1100).filter_map(|draw| Condition::from_index(draw % 900 * 7)).collect();
        for decode in [Decode::Greedy, Decode::sample(1.0).unwrap(), Decode::sample(0.4).unwrap()] {
            let on = |threads| {
                let plain = PlainSampler::load(&small(), &path, decode, threads).unwrap().unwrap();
                plain.draw(&conditions, &mut stream(1, Purpose::Samples, 0))
            };
            let drawn = on(None);
            assert_eq!(drawn, on(Some(1)));
            let exact = Sampler::by_libtorch(&model, decode).draw(&conditions, &mut stream(1, Purpose::Samples, 0));
            assert_eq!(drawn.len(), exact.len());
            // Sums in another order may tip a close choice.
            let same = drawn.iter().zip(&exact).filter(|(drawn, exact)| drawn == exact).count();
            assert!(same >= 1098, "{decode:?}: {same} of 1100 are the same");
            assert!(drawn.iter().any(|tokens| *tokens != drawn[0]));
        }
    }

    #[test]
    fn weights_of_another_model_are_left_to_the_reader_that_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        Model::new(small(), Device::Cpu, 5).save(&path).unwrap();
        let wider = ModelConfig { latent_dim: 4, ..small() };
        assert!(PlainSampler::load(&wider, &path, Decode::Greedy, None).unwrap().is_none());
        let independent = ModelConfig { heads: crate::model::Heads::Independent, ..small() };
        assert!(PlainSampler::load(&independent, &path, Decode::Greedy, None).unwrap().is_none());
        std::fs::write(&path, b"damaged").unwrap();
        assert!(PlainSampler::load(&small(), &path, Decode::Greedy, None).is_err());
    }

    #[test]
    fn names_shapes_and_order_are_those_of_the_model() {
        let model = Model::new(small(), Device::Cpu, 5);
        let tensors = Layout::of(&small()).unwrap().tensors();
        let named = model.named();
        assert_eq!(tensors.len(), named.len());
        for ((name, shape, place), parameter) in tensors.iter().zip(model.parameters()) {
            let shape: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
            assert_eq!(named[name].size(), shape, "{name}");
            assert_eq!(named[name].data_ptr(), parameter.data_ptr(), "{name} stands elsewhere");
            assert_eq!(place.len(), parameter.numel(), "{name}");
        }
    }
}
