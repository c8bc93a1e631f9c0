//! The marginal p(y | c) of a model: the decoder's probability averaged over z from the prior, and how far it is from
//! the truth.
//!
//! The average over codes is Rao-Blackwellised: probabilities are averaged, not draws. Every row of a condition's
//! support is looked at, so that validity, distance and divergence are exact but for the choice of codes, whose error is
//! stated.

use super::parallel::{Progress, Stop, in_parallel};
use crate::dates::{Condition, ValidDates};
use crate::model::{Decoder, DecoderBuffers, Model};
use crate::random::{Purpose, normal, stream};
use crate::task::dates;

/// A figure with its standard error from the choice of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// One condition's marginal against its truth, uniform or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Marginal {
    /// Probability of each row of the support, with its standard error.
    pub rows: Vec<Estimate>,
    /// 1 - the sum of these: the exact failure rate of sampled decoding.
    pub invalid_mass: Estimate,
    /// KL(truth, marginal), nats, without the bias of the logarithm of an average.
    pub nll_gap: Estimate,
    /// Mutual information of z and y under prior and decoder, nats; what fails counts as one outcome.
    pub prior_mi: Estimate,
    /// H(y | z, c): what is left to chance given z, nats; what fails counts as one outcome.
    pub entropy_given_z: Estimate,
    /// Sum over rows of the squared differences from the truth, and of the variances of the rows' probabilities: what
    /// the total variation is freed from noise by.
    pub squares: [f64; 2],
    /// Total variation as it was measured, noise included.
    pub raw_tv: f64,
}

impl Marginal {
    /// The marginal from probabilities `[codes, rows]` and the truth's `[rows]`.
    ///
    /// # Panics
    /// When there are no codes or rows.
    pub fn new(log_probabilities: &[f32], truth: &[f64]) -> Self {
        let (rows, codes) = (truth.len(), log_probabilities.len() / truth.len());
        let n = codes as f64;
        let probabilities: Vec<f64> = log_probabilities.iter().map(|log| f64::from(*log).exp()).collect();
        let mean_of = |row: usize| probabilities.iter().skip(row).step_by(rows).sum::<f64>() / n;
        let means: Vec<f64> = (0..rows).map(mean_of).collect();
        let estimate = |row: usize| {
            let squares = probabilities.iter().skip(row).step_by(rows).map(|p| (p - means[row]).powi(2));
            Estimate { value: means[row], error: standard_error(squares.sum(), n) }
        };
        let estimates: Vec<Estimate> = (0..rows).map(estimate).collect();
        let by_code = || probabilities.chunks_exact(rows);
        let failed = |code: &[f64]| (1.0 - code.iter().sum::<f64>()).max(0.0);
        let invalid_mass = Estimate::over(by_code().map(failed));
        // E[ln of a mean] = ln p - variance / 2 p^2 + ..., the delta method; so much is added back.
        let log_bias = |row: &Estimate| 0.5 * (row.error / row.value).powi(2);
        let gap: f64 = truth
            .iter()
            .zip(&estimates)
            .filter(|(truth, _)| **truth > 0.0)
            .map(|(truth, row)| truth * (truth.ln() - row.value.ln() - log_bias(row)))
            .sum();
        let slope = |code: &[f64]| -> f64 {
            let terms = code.iter().zip(truth).zip(&estimates);
            terms.map(|((p, truth), row)| if *truth > 0.0 { -truth * p / row.value } else { 0.0 }).sum()
        };
        let nll_gap = Estimate { value: gap, error: Estimate::over(by_code().map(slope)).error };
        let entropy_of = |code: &[f64]| code.iter().copied().chain([failed(code)]).map(entropy_term).sum::<f64>();
        let entropy_given_z = Estimate::over(by_code().map(entropy_of));
        // The entropy of an average is too low by variance / 2 p for each outcome.
        let outcomes = estimates.iter().chain([&invalid_mass]);
        let entropy: f64 = outcomes
            .filter(|outcome| outcome.value > 0.0)
            .map(|outcome| entropy_term(outcome.value) + 0.5 * outcome.error.powi(2) / outcome.value)
            .sum();
        // Each code's divergence from the marginal: their mean is the plug-in mutual information.
        let divergence = |code: &[f64]| {
            let cross = |p: f64, mean: f64| if p > 0.0 && mean > 0.0 { -p * mean.ln() } else { 0.0 };
            let terms = code.iter().zip(&means).map(|(p, mean)| cross(*p, *mean)).sum::<f64>();
            terms + cross(failed(code), invalid_mass.value) - entropy_of(code)
        };
        let prior_mi = Estimate {
            value: (entropy - entropy_given_z.value).max(0.0),
            error: Estimate::over(by_code().map(divergence)).error,
        };
        let differences = || truth.iter().zip(&estimates).map(|(truth, row)| truth - row.value);
        Self {
            squares: [
                differences().map(|difference| difference * difference).sum(),
                estimates.iter().map(|row| row.error * row.error).sum(),
            ],
            raw_tv: 0.5 * (differences().map(f64::abs).sum::<f64>() + invalid_mass.value),
            rows: estimates,
            invalid_mass,
            nll_gap,
            prior_mi,
            entropy_given_z,
        }
    }
}

fn entropy_term(p: f64) -> f64 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}

fn standard_error(squares: f64, n: f64) -> f64 {
    if n > 1.0 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 }
}

impl Estimate {
    /// The mean of independent values.
    fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        Self { value: mean, error: standard_error(values.map(|value| (value - mean).powi(2)).sum(), n) }
    }

    /// The weighted mean of independent estimates.
    fn weighted(parts: impl Iterator<Item = (f64, Self)> + Clone) -> Self {
        let total: f64 = parts.clone().map(|(weight, _)| weight).sum();
        let value = parts.clone().map(|(weight, part)| weight * part.value).sum::<f64>() / total;
        let variance: f64 = parts.map(|(weight, part)| (weight * part.error).powi(2)).sum();
        Self { value, error: variance.sqrt() / total }
    }
}

/// What a model's marginals come to over conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginalSummary {
    /// [`Marginal::invalid_mass`].
    pub invalid_mass: Estimate,
    /// [`Marginal::nll_gap`].
    pub nll_gap: Estimate,
    /// Total variation between truth and marginal, noise removed in quadrature.
    pub tv: f64,
    /// [`Marginal::prior_mi`].
    pub prior_mi: Estimate,
    /// [`Marginal::entropy_given_z`].
    pub entropy_given_z: Estimate,
    /// The highest invalid mass of a condition.
    pub worst_invalid_mass: Estimate,
    /// That condition.
    pub worst_condition: Condition,
}

/// How conditions count in a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// Each condition by its number of rows, as the data are.
    ByRow,
    /// Each condition once.
    ByCondition,
}

impl MarginalSummary {
    /// The summary of some conditions; none without any.
    pub fn of(marginals: &[(Condition, Marginal)], weighting: Weighting) -> Option<Self> {
        let weight = |marginal: &Marginal| match weighting {
            Weighting::ByRow => marginal.rows.len() as f64,
            Weighting::ByCondition => 1.0,
        };
        let mean = |figure: fn(&Marginal) -> Estimate| {
            Estimate::weighted(marginals.iter().map(|(_, marginal)| (weight(marginal), figure(marginal))))
        };
        let worst = marginals.iter().max_by(|a, b| a.1.invalid_mass.value.total_cmp(&b.1.invalid_mass.value))?;
        Some(Self {
            invalid_mass: mean(|marginal| marginal.invalid_mass),
            nll_gap: mean(|marginal| marginal.nll_gap),
            tv: noise_free_tv(marginals.iter().map(|(_, marginal)| (weight(marginal), marginal))),
            prior_mi: mean(|marginal| marginal.prior_mi),
            entropy_given_z: mean(|marginal| marginal.entropy_given_z),
            worst_invalid_mass: worst.1.invalid_mass,
            worst_condition: worst.0,
        })
    }
}

/// The mean total variation without the noise of a finite number of codes.
///
/// A row's difference from the truth is measured with a noise of known variance. The squares of difference and noise add
/// up, so that the share of the noise in the pooled squares is known, and the mean of the absolute differences is scaled
/// by the root of what is left. This is exact where differences are distributed as the noise is, and some percent too
/// low where few large differences stand far above it; more codes make both small.
fn noise_free_tv<'a>(parts: impl Iterator<Item = (f64, &'a Marginal)> + Clone) -> f64 {
    let sum = |figure: fn(&Marginal) -> f64| -> f64 {
        parts.clone().map(|(weight, marginal)| weight * figure(marginal)).sum()
    };
    let total: f64 = parts.clone().map(|(weight, _)| weight).sum();
    let (squares, noise) = (sum(|marginal| marginal.squares[0]), sum(|marginal| marginal.squares[1]));
    let left = if squares > 0.0 { (1.0 - noise / squares).max(0.0) } else { 0.0 };
    sum(|marginal| marginal.raw_tv) / total * left.sqrt()
}

/// The marginals of these conditions, each from `codes` codes of a stream of its own; none where the progress asked for
/// an end.
pub fn marginals(
    model: &Model,
    valid: &ValidDates,
    conditions: &[Condition],
    codes: usize,
    (seed, threads): (u64, usize),
    progress: Progress<'_>,
) -> Option<Vec<(Condition, Marginal)>> {
    // Without z every code is the same.
    let codes = if model.layout.latent == 0 { 1 } else { codes.max(1) };
    let work = |buffers: &mut DecoderBuffers, condition: &Condition, _: Stop<'_>| {
        let rows = dates::rows(valid.of(*condition));
        let mut random = stream(seed, Purpose::Marginal, condition.index() as u64);
        let z = normal(&mut random, codes * model.layout.latent);
        let log_probabilities = Decoder { model }.log_probabilities(buffers, &rows, codes, &z);
        (*condition, Marginal::new(&log_probabilities, &vec![1.0 / rows.len() as f64; rows.len()]))
    };
    in_parallel(threads, conditions, DecoderBuffers::default, work, progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// Log probabilities of codes of which each gives row i with probability `table[code][i]`.
    fn logs(table: &[Vec<f64>]) -> Vec<f32> {
        table.iter().flatten().map(|p| (p.ln()).max(-1e4) as f32).collect()
    }

    /// Codes that choose one of `rows` groups at random, with a probability of `sharp` for the row of their own and the
    /// rest shared evenly among the others, times 1 - `invalid`.
    fn mixture(codes: usize, rows: usize, sharp: f64, invalid: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut random = stream(seed, Purpose::Marginal, 0);
        let other = (1.0 - sharp) / (rows as f64 - 1.0);
        let code = |own: usize| (0..rows).map(|row| (1.0 - invalid) * if row == own { sharp } else { other }).collect();
        (0..codes).map(|_| code(random.random_range(0..rows))).collect()
    }

    #[test]
    fn a_perfect_model_has_no_gap_distance_or_failures() {
        let marginal = Marginal::new(&logs(&vec![vec![0.25; 4]; 8]), &[0.25; 4]);
        for figure in [marginal.invalid_mass, marginal.nll_gap, marginal.prior_mi] {
            assert!(figure.value.abs() < 1e-6 && figure.error < 1e-6, "{marginal:?}");
        }
        assert!((marginal.entropy_given_z.value - 4f64.ln()).abs() < 1e-6 && marginal.raw_tv < 1e-6);
    }

    #[test]
    fn known_marginals_are_found_whatever_the_number_of_codes() {
        // Each code gives its own row 0.9; over codes the marginal is uniform, up to failures of 0.02.
        let (rows, sharp, invalid) = (8, 0.9, 0.02);
        let truth = vec![1.0 / rows as f64; rows];
        let exact_gap = -(1.0f64 - invalid).ln();
        let other: f64 = (1.0 - sharp) / (rows as f64 - 1.0);
        let inner = -sharp * sharp.ln() - (1.0 - sharp) * other.ln();
        let exact_mi = (1.0 - invalid) * ((rows as f64).ln() - inner);
        for codes in [256, 4096] {
            // Many conditions: what is left of a bias shows in their mean.
            let measured: Vec<Marginal> = (0..300)
                .map(|seed| Marginal::new(&logs(&mixture(codes, rows, sharp, invalid, seed)), &truth))
                .collect();
            let mean = |figure: fn(&Marginal) -> Estimate| {
                Estimate::weighted(measured.iter().map(|marginal| (1.0, figure(marginal))))
            };
            let close = |figure: Estimate, exact: f64| {
                assert!((figure.value - exact).abs() < 3.0 * figure.error + 2e-4, "{codes}: {figure:?} {exact}");
            };
            close(mean(|marginal| marginal.invalid_mass), invalid);
            close(mean(|marginal| marginal.nll_gap), exact_gap);
            close(mean(|marginal| marginal.prior_mi), exact_mi);
            // Without the correction the gap would be off by the variance of the logarithm.
            let bias: f64 = measured
                .iter()
                .map(|m| m.rows.iter().map(|r| 0.5 * (r.error / r.value).powi(2)).sum::<f64>() / 8.0)
                .sum::<f64>()
                / 300.0;
            assert!(codes > 256 || bias > 0.008, "{bias}");
        }
    }

    #[test]
    fn noise_is_removed_from_the_total_variation_and_error_is_not() {
        // Half of the rows are twice as likely as they should be: tv 1/4 with a truth of 3/2, 1/2.
        let (rows, codes) = (8, 512);
        let truth: Vec<f64> = (0..rows).map(|row| if row % 2 == 0 { 1.5 } else { 0.5 } / rows as f64).collect();
        let uniform = vec![1.0 / rows as f64; rows];
        let tv = |truth: &[f64]| {
            let measured: Vec<Marginal> =
                (0..200).map(|seed| Marginal::new(&logs(&mixture(codes, rows, 0.95, 0.0, seed)), truth)).collect();
            (noise_free_tv(measured.iter().map(|m| (1.0, m))), measured.iter().map(|m| m.raw_tv).sum::<f64>() / 200.0)
        };
        let ((off, _), (none, raw)) = (tv(&truth), tv(&uniform));
        assert!((off - 0.25).abs() < 0.01, "{off}");
        assert!(raw > 0.04 && none < 0.01, "{raw} {none}");
    }
}
