//! Losses over a set of rows: reconstruction, KL and ELBO, in nats per row.

use rand_chacha::ChaCha8Rng;

use super::marginal::Moments;
use crate::model::{Decoder, Encodings, Forward, Model, PairedCodes, Pairing, encode};
use crate::random::{Cumulative, Noise, Purpose, normal, stream, uniform};
use crate::task::{Groups, Rows};

/// Losses over a data set, nats per row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TestTerms {
    /// Reconstruction at z from the posterior.
    pub recon: f64,
    /// KL of the posterior from the prior.
    pub kl: f64,
}

impl TestTerms {
    /// The negative evidence lower bound: reconstruction + KL at beta 1, whatever beta was trained.
    pub fn elbo(self) -> f64 {
        self.recon + self.kl
    }
}

/// Losses of a model over a data set, with one z per row drawn by the seed.
pub fn test_terms(model: &Model, rows: &Rows, seed: u64) -> TestTerms {
    let Ok(terms) = test_terms_on(model, &encode(model, rows), rows, seed);
    terms
}

/// The same wherever the model is computed, from the rows' posteriors.
///
/// # Errors
/// When a device fails.
pub fn test_terms_on<M: Forward + ?Sized>(
    model: &M,
    posterior: &Encodings,
    rows: &Rows,
    seed: u64,
) -> Result<TestTerms, M::Error> {
    let mut random = stream(seed, Purpose::TestNoise, 0);
    let noise = normal(&mut random, rows.len() * posterior.latent);
    let codes = posterior.mu.iter().zip(&posterior.logvar).zip(noise);
    let z: Vec<f32> = codes.map(|((mu, logvar), noise)| mu + (0.5 * logvar).exp() * noise).collect();
    let recon = model.mean_cross_entropy(rows, &z)?;
    Ok(TestTerms { recon, kl: posterior.kl().sum::<f64>() / rows.len() as f64 })
}

/// The hybrid term over a data set, given by condition: reconstruction at z from the prior, nats per row, paired as in
/// training, `codes` for each condition.
pub fn test_prior_recon(model: &Model, groups: &Groups, pairing: (Pairing, usize), seed: u64) -> f64 {
    let Ok(recon) = test_prior_recon_on(model, model.layout.latent, groups, pairing, seed);
    recon
}

/// The same wherever the model, of so many latent dimensions, is computed.
///
/// # Errors
/// When a device fails.
pub fn test_prior_recon_on<M: Forward + ?Sized>(
    model: &M,
    latent: usize,
    groups: &Groups,
    (pairing, codes): (Pairing, usize),
    seed: u64,
) -> Result<f64, M::Error> {
    let mut random = stream(seed, Purpose::TestNoise, 1);
    if pairing == Pairing::Own || latent == 0 {
        let z = normal(&mut random, groups.rows().len() * latent);
        return model.mean_cross_entropy(groups.rows(), &z);
    }
    let all: Vec<u32> = (0..groups.len() as u32).collect();
    let mut sum = 0.0;
    for conditions in all.chunks(M::CONDITIONS) {
        // The same numbers are drawn for any number of conditions at once.
        let blocks = conditions.chunks(BLOCK);
        let drawn =
            blocks.map(|block| draw_codes(groups, block, (codes, latent), pairing == Pairing::Balanced, &mut random));
        let Some(drawn) = drawn.reduce(PairedCodes::followed_by) else { continue };
        sum += model.mean_cross_entropy(&model.paired_rows(&drawn)?, &drawn.z)? * conditions.len() as f64;
    }
    Ok(sum / groups.len() as f64)
}

/// -log p(y given c), mean over rows, nats: the marginal over codes from the prior, which all rows share, corrected to
/// the second order for the bias of the logarithm of an average. Uncorrected, it would prefer models whose z says little.
pub fn marginal_nll(model: &Model, rows: &Rows, seed: u64) -> f64 {
    let codes = if model.layout.latent == 0 { 1 } else { (CODES_AND_ROWS / rows.len().max(1)).clamp(64, 512) };
    let z = normal(&mut stream(seed, Purpose::TestNoise, 3), codes * model.layout.latent);
    let logs = Decoder::new(model).log_probabilities(rows, codes, &z);
    let log_mean = |logs: &[f32]| {
        let largest = logs.iter().copied().fold(f32::MIN, f32::max);
        let shares: Vec<f32> = logs.iter().map(|log| (log - largest).exp()).collect();
        let mean = shares.iter().map(|share| f64::from(*share)).sum::<f64>() / codes as f64;
        let bias = if codes > 1 { Moments::of(&shares, mean).log_bias(codes as f64) } else { 0.0 };
        f64::from(largest) + mean.ln() - bias
    };
    -logs.chunks_exact(codes).map(log_mean).sum::<f64>() / rows.len() as f64
}

/// Codes times rows of [`marginal_nll`], about: a second or so of a core.
const CODES_AND_ROWS: usize = 1 << 18;

/// Conditions whose codes are drawn at once.
const BLOCK: usize = 64;

/// Rows of a condition that its codes are paired with in one step, at most.
const MOST_CANDIDATES: usize = 64;

/// Codes from the prior for some conditions, `codes` for each, with the rows that they may be paired with: all rows of a
/// condition, or as many as 64 drawn by their probabilities where it has more.
pub fn draw_codes(
    groups: &Groups,
    conditions: &[u32],
    (codes, latent): (usize, usize),
    balanced: bool,
    random: &mut ChaCha8Rng,
) -> PairedCodes {
    let mut drawn = paired_candidates(groups, conditions, codes, balanced, random);
    draw_into(&mut drawn, latent, Noise::Independent, random);
    drawn
}

/// Draws the codes, `[latent]` each, and the numbers that choose their rows.
pub fn draw_into(paired: &mut PairedCodes, latent: usize, noise: Noise, random: &mut ChaCha8Rng) {
    let (conditions, codes) = (paired.counts.len(), paired.codes);
    paired.z = match noise {
        Noise::Independent => normal(random, conditions * codes * latent),
        Noise::Stratified => (0..conditions).flat_map(|_| noise.normal(random, codes, latent)).collect(),
    };
    paired.uniform = uniform(random, conditions * codes);
}

/// The same without the codes, for an engine that draws them.
pub fn paired_candidates(
    groups: &Groups,
    conditions: &[u32],
    codes: usize,
    balanced: bool,
    random: &mut ChaCha8Rng,
) -> PairedCodes {
    let mut candidates = Rows::new(groups.rows().width());
    let (mut counts, mut log_shares) = (Vec::with_capacity(conditions.len()), Vec::new());
    for group in conditions.iter().map(|condition| *condition as usize) {
        let (range, probabilities) = (groups.range(group), groups.probabilities(group));
        let count = range.len().min(MOST_CANDIDATES);
        counts.push(count);
        if count == range.len() {
            candidates.extend(groups.rows(), range);
            if !groups.is_uniform() {
                log_shares.extend(probabilities.iter().map(|p| (p * count as f64).ln() as f32));
            }
        } else {
            let choose = Cumulative::new(probabilities);
            for _ in 0..count {
                candidates.push(groups.rows().row(range.start + choose.draw(random)));
            }
            if !groups.is_uniform() {
                log_shares.resize(candidates.len(), 0.0);
            }
        }
    }
    let longest = groups.longest().min(MOST_CANDIDATES);
    PairedCodes { candidates, counts, log_shares, codes, longest, balanced, ..PairedCodes::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Heads, ModelConfig, Trunk};
    use crate::task::dates;

    #[test]
    fn losses_are_means_over_all_rows_and_repeat() {
        let valid = dates::ValidDates::new();
        let some: Vec<_> = valid.conditions().iter().flat_map(|c| valid.of(*c).to_vec()).take(3000).collect();
        let (rows, groups) = (dates::rows(&some), dates::groups(&some));
        let small = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        for config in [
            small,
            ModelConfig { latent_dim: 0, ..small },
            ModelConfig { heads: Heads::Independent, trunk: Trunk::Additive, ..small },
        ] {
            let model = Model::new(config, dates::schema(), 1);
            let terms = test_terms(&model, &rows, 1);
            assert_eq!(terms, test_terms(&model, &rows, 1));
            // An untrained model guesses: ln(41 12 10 31) = 11.9 nats.
            assert!((terms.recon - 11.9).abs() < 1.0 && terms.kl >= 0.0, "{terms:?}");
            assert_eq!(terms.elbo(), terms.recon + terms.kl);
            assert_eq!(terms.kl == 0.0, config.latent_dim == 0);
            for pairing in [Pairing::Own, Pairing::Posterior, Pairing::Balanced] {
                let recon = test_prior_recon(&model, &groups, (pairing, 16), 1);
                assert!((recon - 11.9).abs() < 1.0, "{pairing:?} {recon}");
                assert_eq!(recon, test_prior_recon(&model, &groups, (pairing, 16), 1));
            }
        }
    }

    #[test]
    fn drawn_codes_come_with_the_rows_of_their_conditions() {
        let valid = dates::ValidDates::new();
        let some: Vec<_> = valid.conditions()[..50].iter().flat_map(|c| valid.of(*c).to_vec()).collect();
        let groups = dates::groups(&some);
        assert_eq!((groups.len(), groups.rows().len()), (50, some.len()));
        let drawn = draw_codes(&groups, &[3, 0], (5, 2), true, &mut stream(1, Purpose::Noise, 0));
        assert_eq!((drawn.z.len(), drawn.uniform.len()), (20, 10));
        let conditions = valid.conditions();
        let lists = [valid.of(conditions[3]), valid.of(conditions[0])];
        assert_eq!(drawn.counts, lists.map(<[_]>::len));
        assert_eq!(drawn.candidates, dates::rows(&lists.concat()));
    }

    #[test]
    fn candidates_have_their_shares_and_many_are_drawn_by_them() {
        let mut rows = Rows::new(2);
        (0..3).for_each(|value| rows.push(&[0, value]));
        (0..200).for_each(|value| rows.push(&[1, value]));
        let weights = |uneven: f64| (0..203).map(|row| if [0, 3].contains(&row) { uneven } else { 1.0 }).collect();
        let draw = |groups: &Groups| draw_codes(groups, &[0, 1], (5, 2), true, &mut stream(1, Purpose::Noise, 0));
        let drawn = draw(&Groups::weighted(rows.clone(), 1, weights(2.0)));
        assert_eq!((drawn.counts.as_slice(), drawn.candidates.len(), drawn.log_shares.len()), (&[3, 64][..], 67, 67));
        assert!((drawn.log_shares[0] - 1.5f32.ln()).abs() < 1e-6 && drawn.log_shares[3..].iter().all(|s| *s == 0.0));
        let even = draw(&Groups::new(rows.clone(), 1));
        assert!(even.log_shares.is_empty() && even.candidates.len() == 67);
        // Half of the mass lies on one row.
        let drawn = draw(&Groups::weighted(rows, 1, weights(199.0)));
        let heavy = drawn.candidates.iter().filter(|row| **row == [1, 0]).count();
        assert!((20..44).contains(&heavy), "{heavy}");
    }
}
