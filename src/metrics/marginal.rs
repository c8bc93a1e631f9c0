//! The marginal p(y | c) of a model: the decoder's probability averaged over z from the prior, and how far it is from
//! the truth.
//!
//! The average over codes is Rao-Blackwellised: probabilities are averaged, not draws. Every row of a condition's
//! support is looked at, so that validity, distance and divergence are exact but for the choice of codes, whose error is
//! stated.

use super::distance::{Difference, Distance, jackknife};
use super::exact::{Figure, Weighting};
use super::parallel::{Progress, Stop, in_parallel};
use super::population::stream_index;
use crate::model::{Decoder, Model, exponentials};
use crate::random::{Purpose, normal, stream};
use crate::task::Truth;

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
    /// The condition's weight among others: p(c) up to a constant.
    pub mass: f64,
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
    /// What the total variation from the truth follows from.
    pub distance: Distance,
}

/// The moments of a row's probability over codes.
pub(super) struct Moments {
    /// The mean.
    mean: f64,
    /// Its standard error.
    error: f64,
    /// Third central moment, in units of the mean's cube.
    skewness: f64,
}

impl Moments {
    pub(super) fn of(probabilities: &[f32], mean: f64) -> Self {
        let n = probabilities.len() as f64;
        let (mut squares, mut cubes) = (0.0, 0.0);
        for p in probabilities {
            let from_mean = f64::from(*p) - mean;
            squares += from_mean * from_mean;
            cubes += from_mean * from_mean * from_mean;
        }
        Self { mean, error: standard_error(squares, n), skewness: cubes / n / mean.powi(3) }
    }

    /// E[ln of the mean] - ln of its expectation by the delta method, to the second order in 1 / codes: what is left
    /// after the first order, whose own estimate is biased, is (3 v^2 / 4 - 2 s / 3) / codes^2 for a relative variance v
    /// and skewness s.
    pub(super) fn log_bias(&self, codes: f64) -> f64 {
        let variance = (self.error / self.mean).powi(2);
        -0.5 * variance + 0.75 * variance * variance - 2.0 / 3.0 * self.skewness / (codes * codes)
    }

    /// The same for -p ln p.
    fn entropy_bias(&self, codes: f64) -> f64 {
        let variance = (self.error / self.mean).powi(2);
        self.mean * (-0.5 * variance + 0.25 * variance * variance - self.skewness / (3.0 * codes * codes))
    }
}

impl Marginal {
    /// The marginal from log probabilities `[rows, codes]` and the truth's probabilities `[rows]`, for a condition that
    /// counts `mass`.
    ///
    /// # Panics
    /// When there are no codes or rows.
    pub fn new(log_probabilities: &[f32], truth: &[f64], mass: f64) -> Self {
        let codes = log_probabilities.len() / truth.len();
        let n = codes as f64;
        let mut probabilities = vec![0.0f32; codes];
        // By code: what is valid, the entropy, the slope of the gap, the cross-entropy with the marginal.
        let mut by_code = vec![[0.0f64; 4]; codes];
        let (mut rows, mut differences) = (Vec::with_capacity(truth.len()), Vec::with_capacity(truth.len()));
        let (mut nll_gap, mut entropy) = (0.0, 0.0);
        for (logs, truth) in log_probabilities.chunks_exact(codes).zip(truth) {
            exponentials(&mut probabilities, logs);
            let mean_of = |part: &[f32]| part.iter().map(|p| f64::from(*p)).sum::<f64>() / part.len() as f64;
            let mean = mean_of(&probabilities);
            let moments = Moments::of(&probabilities, mean);
            let log_mean = if mean > 0.0 { mean.ln() } else { 0.0 };
            let slope = if *truth > 0.0 { -truth / mean } else { 0.0 };
            for ([valid, entropy, slopes, cross], (p, log)) in by_code.iter_mut().zip(probabilities.iter().zip(logs)) {
                let p = f64::from(*p);
                *valid += p;
                *entropy -= p * f64::from(*log);
                *slopes += slope * p;
                *cross -= p * log_mean;
            }
            if *truth > 0.0 {
                nll_gap += truth * (truth.ln() - mean.ln() + moments.log_bias(n));
            }
            if mean > 0.0 {
                entropy += entropy_term(mean) - moments.entropy_bias(n);
            }
            let (first, second) = probabilities.split_at(codes / 2);
            let first = if first.is_empty() { mean } else { mean_of(first) };
            let (first, second) = (first - truth, mean_of(second) - truth);
            let variance = 2.0 * moments.error * moments.error;
            differences.push(Difference { first, second, variance, noise: variance.sqrt(), scale: 1.0 });
            rows.push(Estimate { value: mean, error: moments.error });
        }
        Difference::share_noise(&mut differences, truth);
        let failed = |[valid, ..]: &[f64; 4]| (1.0 - valid).max(0.0);
        let invalid_mass = Estimate::over(by_code.iter().map(failed));
        let log_invalid = if invalid_mass.value > 0.0 { invalid_mass.value.ln() } else { 0.0 };
        if invalid_mass.value > 0.0 {
            entropy += entropy_term(invalid_mass.value) + 0.5 * invalid_mass.error.powi(2) / invalid_mass.value;
        }
        let entropy_of = |code: &[f64; 4]| code[1] + entropy_term(failed(code));
        let entropy_given_z = Estimate::over(by_code.iter().map(entropy_of));
        // Each code's divergence from the marginal: their mean is the plug-in mutual information.
        let divergence = |code: &[f64; 4]| code[3] - failed(code) * log_invalid - entropy_of(code);
        Self {
            mass,
            nll_gap: Estimate { value: nll_gap, error: Estimate::over(by_code.iter().map(|code| code[2])).error },
            prior_mi: Estimate {
                // One code, as without z, is all that there is: its entropy differs from the marginal's by rounding.
                value: if codes > 1 { (entropy - entropy_given_z.value).max(0.0) } else { 0.0 },
                error: Estimate::over(by_code.iter().map(divergence)).error,
            },
            distance: Distance::new(differences, invalid_mass.value),
            rows,
            invalid_mass,
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
    pub(super) fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        Self { value: mean, error: standard_error(values.map(|value| (value - mean).powi(2)).sum(), n) }
    }

    /// The weighted mean of independent estimates.
    pub(super) fn weighted(parts: impl Iterator<Item = (f64, Self)> + Clone) -> Self {
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
    /// Total variation between truth and marginal, noise removed.
    pub tv: Estimate,
    /// [`Marginal::prior_mi`].
    pub prior_mi: Estimate,
    /// [`Marginal::entropy_given_z`].
    pub entropy_given_z: Estimate,
    /// The highest invalid mass of a condition.
    pub worst_invalid_mass: Estimate,
    /// That condition's place among them.
    pub worst: usize,
}

impl MarginalSummary {
    /// One of the figures.
    pub fn of_figure(&self, figure: Figure) -> Estimate {
        match figure {
            Figure::InvalidMass => self.invalid_mass,
            Figure::NllGap => self.nll_gap,
            Figure::Tv => self.tv,
            Figure::PriorMi => self.prior_mi,
            Figure::EntropyGivenZ => self.entropy_given_z,
        }
    }

    /// The summary of some conditions; none without any.
    pub fn of(marginals: &[&Marginal], weighting: Weighting) -> Option<Self> {
        Self::with_shares(marginals, weighting, &vec![1.0; marginals.len()])
    }

    /// The same where each condition stands for so many.
    pub fn with_shares(marginals: &[&Marginal], weighting: Weighting, shares: &[f64]) -> Option<Self> {
        let weight = |(marginal, share): (&&Marginal, &f64)| match weighting {
            Weighting::ByRow => marginal.mass * share,
            Weighting::ByCondition => *share,
        };
        let weights: Vec<f64> = marginals.iter().zip(shares).map(weight).collect();
        let mean = |figure: fn(&Marginal) -> Estimate| {
            Estimate::weighted(weights.iter().zip(marginals).map(|(weight, marginal)| (*weight, figure(marginal))))
        };
        let by_invalid = |(_, a): &(usize, &&Marginal), (_, b): &(usize, &&Marginal)| {
            a.invalid_mass.value.total_cmp(&b.invalid_mass.value)
        };
        let (worst, marginal) = marginals.iter().enumerate().max_by(by_invalid)?;
        Some(Self {
            invalid_mass: mean(|marginal| marginal.invalid_mass),
            nll_gap: mean(|marginal| marginal.nll_gap),
            tv: mean_distance(weights.iter().zip(marginals).map(|(weight, marginal)| (*weight, marginal.distance))),
            prior_mi: mean(|marginal| marginal.prior_mi),
            entropy_given_z: mean(|marginal| marginal.entropy_given_z),
            worst_invalid_mass: marginal.invalid_mass,
            worst,
        })
    }
}

/// The weighted mean of the total variations of conditions, each of which was measured apart.
pub fn mean_distance(parts: impl Iterator<Item = (f64, Distance)>) -> Estimate {
    /// Groups of conditions in the jackknife.
    const GROUPS: usize = 64;
    let mut groups = vec![(0.0, Distance::default()); GROUPS];
    for (place, (weight, distance)) in parts.enumerate() {
        let group = &mut groups[place % GROUPS];
        *group = (group.0 + weight, group.1.plus(&distance, weight));
    }
    groups.retain(|(weight, _)| *weight > 0.0);
    let over = |left_out: Option<usize>| {
        let kept = groups.iter().enumerate().filter(|(group, _)| Some(*group) != left_out).map(|(_, group)| group);
        let (weight, sums) =
            kept.fold((0.0, Distance::default()), |(weight, sums), group| (weight + group.0, sums.plus(&group.1, 1.0)));
        // Few draws may come to a little more than all.
        (sums.total() / weight).min(1.0)
    };
    Estimate { value: over(None), error: jackknife(&groups, |group| over(Some(group))) }
}

/// The marginals of these conditions of a truth, each from `codes` codes of a stream of its own; none where the progress
/// asked for an end.
pub fn marginals(
    model: &Model,
    truth: &Truth,
    conditions: &[usize],
    codes: usize,
    (seed, threads): (u64, usize),
    progress: Progress<'_>,
) -> Option<Vec<Marginal>> {
    let codes = codes_of(model, codes);
    let work = |decoder: &mut Decoder<'_>, group: &usize, _: Stop<'_>| {
        let (rows, z) = (truth.rows(*group), codes_for(model, truth, *group, codes, seed));
        let log_probabilities = decoder.log_probabilities(&rows, codes, &z);
        Marginal::new(&log_probabilities, truth.probabilities(*group), truth.mass(*group))
    };
    in_parallel(threads, conditions, || Decoder::new(model), work, progress)
}

/// How many codes are different: without z every one is the same.
pub(super) fn codes_of(model: &Model, asked: usize) -> usize {
    if model.layout.latent == 0 { 1 } else { asked.max(1) }
}

/// The codes that a condition's marginal is averaged over, `[codes, latent]`: they depend on the seed alone.
pub(super) fn codes_for(model: &Model, truth: &Truth, group: usize, codes: usize, seed: u64) -> Vec<f32> {
    let index = stream_index(truth.schema(), truth.condition(group));
    normal(&mut stream(seed, Purpose::Marginal, index), codes * model.layout.latent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// Log probabilities `[rows, codes]` of codes of which each gives row i with probability `table[code][i]`.
    fn logs(table: &[Vec<f64>]) -> Vec<f32> {
        let of_row = |row: usize| table.iter().map(move |code| code[row].ln().max(-1e4) as f32);
        (0..table[0].len()).flat_map(of_row).collect()
    }

    /// Codes that choose one of `rows` groups at random, with a probability of `sharp` for the row of their own and the
    /// rest shared evenly among the others, times 1 - `invalid`.
    fn mixture(codes: usize, rows: usize, sharp: f64, invalid: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut random = stream(seed, Purpose::Marginal, 0);
        let other = (1.0 - sharp) / (rows as f64 - 1.0);
        let code = |own: usize| (0..rows).map(|row| (1.0 - invalid) * if row == own { sharp } else { other }).collect();
        (0..codes).map(|_| code(random.random_range(0..rows))).collect()
    }

    fn summary(marginals: &[Marginal]) -> MarginalSummary {
        MarginalSummary::of(&marginals.iter().collect::<Vec<_>>(), Weighting::ByCondition).unwrap()
    }

    #[test]
    fn a_perfect_model_has_no_gap_distance_or_failures() {
        let marginal = Marginal::new(&logs(&vec![vec![0.25; 4]; 8]), &[0.25; 4], 4.0);
        for figure in [marginal.invalid_mass, marginal.nll_gap, marginal.prior_mi] {
            assert!(figure.value.abs() < 1e-6 && figure.error < 1e-6, "{marginal:?}");
        }
        assert!((marginal.entropy_given_z.value - 4f64.ln()).abs() < 1e-6 && marginal.distance.total() < 1e-6);
        // One code is enough for a model without z.
        let one = Marginal::new(&logs(&[vec![0.5, 0.1, 0.1, 0.1]]), &[0.25; 4], 4.0);
        assert!((one.distance.total() - 0.45).abs() < 1e-6 && (one.invalid_mass.value - 0.2).abs() < 1e-6);
        assert_eq!(one.prior_mi, Estimate::default());
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
        for codes in [128, 256, 4096] {
            // Many conditions: what is left of a bias shows in their mean.
            let measured: Vec<Marginal> = (0..300)
                .map(|seed| Marginal::new(&logs(&mixture(codes, rows, sharp, invalid, seed)), &truth, 1.0))
                .collect();
            let found = summary(&measured);
            let close = |figure: Estimate, exact: f64| {
                assert!((figure.value - exact).abs() < 3.0 * figure.error + 2e-4, "{codes}: {figure:?} {exact}");
            };
            close(found.invalid_mass, invalid);
            close(found.nll_gap, exact_gap);
            close(found.prior_mi, exact_mi);
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
    fn the_second_order_of_the_logarithms_bias_is_removed_too() {
        // A row that 1 code of 25 gives, 5 of 128 on average: the first order alone is off by 1 / 12 x 5^2 = .003.
        let (rows, codes) = (25, 128);
        let measured: Vec<Marginal> = (0..2000)
            .map(|seed| Marginal::new(&logs(&mixture(codes, rows, 0.9, 0.0, seed)), &vec![0.04; rows], 1.0))
            .collect();
        let gap = summary(&measured).nll_gap;
        assert!(gap.value.abs() < 3.0 * gap.error + 1e-3, "{gap:?}");
    }

    #[test]
    fn noise_is_removed_from_the_total_variation_and_error_is_not() {
        // Half of the rows are twice as likely as they should be: tv 1/4 with a truth of 3/2, 1/2.
        let (rows, codes) = (8, 512);
        let truth: Vec<f64> = (0..rows).map(|row| if row % 2 == 0 { 1.5 } else { 0.5 } / rows as f64).collect();
        let uniform = vec![1.0 / rows as f64; rows];
        let tv = |truth: &[f64]| {
            let measured: Vec<Marginal> =
                (0..200).map(|seed| Marginal::new(&logs(&mixture(codes, rows, 0.95, 0.0, seed)), truth, 1.0)).collect();
            let raw = |marginal: &Marginal| {
                let rows = marginal.rows.iter().zip(truth);
                0.5 * rows.map(|(row, truth)| (row.value - truth).abs()).sum::<f64>()
            };
            (summary(&measured).tv, measured.iter().map(raw).sum::<f64>() / 200.0)
        };
        let ((off, _), (none, raw)) = (tv(&truth), tv(&uniform));
        assert!((off.value - 0.25).abs() < 0.005 && off.error < 0.005, "{off:?}");
        assert!(raw > 0.04 && none.value < 0.012, "{raw} {none:?}");
    }
}
