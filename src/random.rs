//! Seeded randomness: one independent ChaCha stream for each purpose and index, so that drawing more
//! for one thing never changes another, and a run can be taken up at any step.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Choice of held-out conditions or dates.
    Split,
    /// Order of the training dates in an epoch.
    Order,
    /// Noise of one training step, drawn by libtorch's generator.
    Noise,
    /// Initial weights, drawn by libtorch's generator.
    Weights,
    /// Latent codes and categorical draws of samples.
    Samples,
}

/// The stream of this seed for a purpose; `index` tells streams of one purpose apart (epoch, step).
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(((purpose as u64) << 48) | (index & ((1 << 48) - 1)));
    random
}

/// A seed for libtorch's own generator, whose state cannot be saved: it is seeded anew for each use.
pub fn torch_seed(seed: u64, purpose: Purpose, index: u64) -> i64 {
    use rand::Rng;
    stream(seed, purpose, index).next_u64() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_purpose_and_index() {
        let draw = |seed, purpose, index| torch_seed(seed, purpose, index);
        assert_eq!(draw(1, Purpose::Noise, 7), draw(1, Purpose::Noise, 7));
        let base = draw(1, Purpose::Noise, 7);
        assert_ne!(base, draw(2, Purpose::Noise, 7));
        assert_ne!(base, draw(1, Purpose::Order, 7));
        assert_ne!(base, draw(1, Purpose::Noise, 8));
    }
}
