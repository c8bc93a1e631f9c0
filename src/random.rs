//! Seeded randomness: one independent ChaCha stream for each purpose and index, so that drawing more
//! for one thing never changes another, and a run can be resumed at any step.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Choice of held-out conditions or rows.
    Split,
    /// Order of the training rows in an epoch.
    Order,
    /// Latent noise of one training step.
    Noise,
    /// Latent noise of the test losses.
    TestNoise,
    /// Initial weights.
    Weights,
    /// Latent codes and categorical draws of samples.
    Samples,
    /// The same for samples drawn again after they failed.
    Retries,
    /// Order of the conditions that codes from the prior are drawn for, in an epoch of these.
    Conditions,
    /// Latent noise of the mutual information under the encoder, by condition.
    Information,
    /// Codes of the exact marginals, by condition.
    Marginal,
    /// Draws of a perfect sampler, which charts show beside the model's.
    PerfectSampler,
    /// Rows and their order in the classifier that tells generated rows from real ones.
    Detection,
}

/// The stream of this seed for a purpose; `index` tells streams of one purpose apart (epoch, step).
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(((purpose as u64) << 48) | (index & ((1 << 48) - 1)));
    random
}

/// So many standard normal numbers.
pub fn normal(random: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.sample(StandardNormal)).collect()
}

/// So many numbers in 0..1.
pub fn uniform(random: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random()).collect()
}

/// Draws places by weights.
#[derive(Clone, Debug)]
pub struct Cumulative(Vec<f64>);

impl Cumulative {
    /// For these weights, from 0 up, with a sum above 0.
    pub fn new(weights: &[f64]) -> Self {
        Self(weights.iter().scan(0.0, |sum, weight| Some((*sum += weight, *sum).1)).collect())
    }

    /// A place, as likely as its weight says.
    pub fn draw(&self, random: &mut ChaCha8Rng) -> usize {
        let mark = random.random::<f64>() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|sum| *sum <= mark).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_purpose_and_index() {
        let draw = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        assert_eq!(draw(1, Purpose::Noise, 7), draw(1, Purpose::Noise, 7));
        let base = draw(1, Purpose::Noise, 7);
        assert_ne!(base, draw(2, Purpose::Noise, 7));
        assert_ne!(base, draw(1, Purpose::Order, 7));
        assert_ne!(base, draw(1, Purpose::Noise, 8));
    }

    #[test]
    fn places_are_drawn_by_their_weights() {
        let (choose, mut counts) = (Cumulative::new(&[1.0, 0.0, 3.0]), [0; 3]);
        let mut random = stream(1, Purpose::Order, 0);
        (0..4000).for_each(|_| counts[choose.draw(&mut random)] += 1);
        assert!(counts[1] == 0 && (900..1100).contains(&counts[0]), "{counts:?}");
    }
}
