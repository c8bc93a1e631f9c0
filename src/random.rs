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
}
