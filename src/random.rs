//! Seeded randomness: one independent ChaCha stream for each purpose and index, so that drawing more
//! for one thing never changes another, and a run can be resumed at any step.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

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

/// How the standard normal numbers of several points are drawn together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// Each number by itself.
    #[default]
    Independent,
    /// By Latin hypercubes (McKay, Beckman and Conover 1979): of so many points each dimension has one number in each of
    /// as many equally likely strata, in random order. Each point by itself is distributed as ever, so that gradients
    /// stay unbiased; their variance is lower (Buchholz, Wenzel and Mandt 2018).
    Stratified,
}

impl Noise {
    /// So many points, `[points, dimensions]`.
    pub fn normal(self, random: &mut ChaCha8Rng, points: usize, dimensions: usize) -> Vec<f32> {
        if self == Self::Independent {
            return normal(random, points * dimensions);
        }
        let mut drawn = vec![0.0; points * dimensions];
        let mut strata: Vec<u32> = (0..points as u32).collect();
        for dimension in 0..dimensions {
            strata.shuffle(random);
            for (point, stratum) in drawn.chunks_exact_mut(dimensions).zip(&strata) {
                let within: f64 = random.random();
                point[dimension] = normal_quantile((f64::from(*stratum) + within) / points as f64) as f32;
            }
        }
        drawn
    }
}

/// The standard normal distribution's quantile, by the rational approximations of Wichura 1988 (algorithm AS 241, PPND7),
/// to seven digits; -/+ 8.2 and beyond at the ends. Crates that have it bring linear algebra with them.
fn normal_quantile(probability: f64) -> f64 {
    let polynomial = |x: f64, of: &[f64]| of.iter().rev().fold(0.0, |sum, factor| sum * x + factor);
    let centred = probability - 0.5;
    if centred.abs() <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return centred * polynomial(r, &[3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_72])
            / polynomial(r, &[1.0, 17.895_169_469, 78.757_757_664, 67.187_563_6]);
    }
    // Draws come as close to 0 and 1 as doubles do.
    let r = (-probability.min(1.0 - probability).max(f64::EPSILON / 2.0).ln()).sqrt();
    let size = if r <= 5.0 {
        polynomial(r - 1.6, &[1.423_437_277_7, 2.756_815_39, 1.306_728_481_6, 0.170_238_211_03])
            / polynomial(r - 1.6, &[1.0, 0.737_001_642_5, 0.120_211_329_75])
    } else {
        polynomial(r - 5.0, &[6.657_905_115, 3.081_226_386, 0.428_682_943_37, 0.017_337_203_997])
            / polynomial(r - 5.0, &[1.0, 0.241_978_942_25, 0.012_258_202_635])
    };
    size.copysign(centred)
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
    fn quantiles_are_those_of_the_normal_distribution() {
        // By Python's statistics.NormalDist().inv_cdf.
        for (probability, expected) in [
            (1e-12, -7.034_483_825),
            (1e-4, -3.719_016_485),
            (0.07, -1.475_791_028),
            (0.3, -0.524_400_513),
            (0.5, 0.0),
            (0.925, 1.439_531_471),
            (0.99, 2.326_347_874),
        ] {
            assert!((normal_quantile(probability) - expected).abs() < 1e-6, "{probability}");
        }
        assert!([0.0, 1.0].into_iter().all(|end| normal_quantile(end).is_finite()));
    }

    #[test]
    fn stratified_points_have_one_number_in_each_stratum_and_are_normal_by_themselves() {
        let mut random = stream(1, Purpose::Noise, 0);
        let (points, dimensions) = (64, 3);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..200 {
            let drawn = Noise::Stratified.normal(&mut random, points, dimensions);
            for dimension in 0..dimensions {
                let mut numbers: Vec<f64> =
                    drawn.iter().skip(dimension).step_by(dimensions).map(|z| f64::from(*z)).collect();
                // The first point's number alone: an order that is not random would show.
                (sum, squares) = (sum + numbers[0], squares + numbers[0] * numbers[0]);
                numbers.sort_by(f64::total_cmp);
                for (stratum, number) in numbers.iter().enumerate() {
                    let bound = |edge: usize| match edge {
                        0 => f64::NEG_INFINITY,
                        edge if edge == points => f64::INFINITY,
                        edge => normal_quantile(edge as f64 / points as f64),
                    };
                    assert!(
                        bound(stratum) - 1e-6 <= *number && *number <= bound(stratum + 1) + 1e-6,
                        "{stratum} {number}"
                    );
                }
            }
        }
        let (mean, variance) = (sum / 600.0, squares / 600.0);
        assert!(
            mean.abs() < 4.0 / 600f64.sqrt() && (variance - 1.0).abs() < 4.0 * (2.0f64 / 600.0).sqrt(),
            "{mean} {variance}"
        );
        let again = |noise: Noise| noise.normal(&mut stream(2, Purpose::Noise, 0), 5, 2);
        assert_eq!(again(Noise::Stratified), again(Noise::Stratified));
        assert_eq!(again(Noise::Independent), normal(&mut stream(2, Purpose::Noise, 0), 10));
    }

    #[test]
    fn places_are_drawn_by_their_weights() {
        let (choose, mut counts) = (Cumulative::new(&[1.0, 0.0, 3.0]), [0; 3]);
        let mut random = stream(1, Purpose::Order, 0);
        (0..4000).for_each(|_| counts[choose.draw(&mut random)] += 1);
        assert!(counts[1] == 0 && (900..1100).contains(&counts[0]), "{counts:?}");
    }
}
