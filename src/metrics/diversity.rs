//! How a condition's samples spread over its rows, against what a perfect sampler would show.

/// Share of the rows generated at least once, 0..=1.
pub fn coverage(counts: &[u64]) -> f64 {
    if counts.is_empty() { 0.0 } else { distinct(counts) as f64 / counts.len() as f64 }
}

/// Number of rows generated at least once.
pub fn distinct(counts: &[u64]) -> usize {
    counts.iter().filter(|count| **count > 0).count()
}

/// Passing samples that repeat an earlier one: samples less the distinct dates among them.
pub fn duplicates(counts: &[u64]) -> u64 {
    counts.iter().sum::<u64>() - distinct(counts) as u64
}

/// Entropy of the sample frequencies over a condition's rows (Shannon's) in units of that of the truth, `floor`. Failing
/// samples don't count; 1 where the truth leaves no choice, 0 without a passing sample.
pub fn entropy(counts: &[u64], floor: f64) -> f64 {
    match counts.iter().sum::<u64>() {
        0 => 0.0,
        _ if floor <= 0.0 => 1.0,
        _ => shannon(counts) / floor,
    }
}

/// Shannon's entropy of frequencies, nats: the plug-in estimate.
pub fn shannon(counts: &[u64]) -> f64 {
    let samples = counts.iter().sum::<u64>() as f64;
    let term = |count: &u64| match *count as f64 / samples {
        0.0 => 0.0,
        p => -p * p.ln(),
    };
    if samples == 0.0 { 0.0 } else { counts.iter().map(term).sum() }
}

/// Entropy to be expected of so many draws from rows of these probabilities, in units of that of the truth, `floor`.
///
/// Each count k is binomial(samples, p), so the mean of H is ln samples - sum E[k ln k] / samples, summed over the
/// binomial's probabilities; terms that add less than one part in 10^12 are left out.
pub fn expected_entropy(probabilities: &[f64], floor: f64, samples: u64) -> f64 {
    if samples == 0 || floor <= 0.0 {
        return if samples == 0 { 0.0 } else { 1.0 };
    }
    let n = samples as f64;
    (n.ln() - sum_over(probabilities, |p| mean_k_log_k(p, samples)) / n) / floor
}

/// E[k ln k] of k binomial(samples, p).
fn mean_k_log_k(p: f64, samples: u64) -> f64 {
    let n = samples as f64;
    if p >= 1.0 {
        return n * n.ln();
    }
    let mut log_probability = n * (1.0 - p).ln(); // of k = 0
    let mut mean = 0.0;
    for k in 1..=samples {
        let count = k as f64;
        log_probability += ((n - count + 1.0) / count).ln() + (p / (1.0 - p)).ln();
        let term = log_probability.exp() * count * count.ln();
        mean += term;
        if count > n * p && term < 1e-12 * mean {
            break;
        }
    }
    mean
}

/// The sum of a function over rows; neighbours of equal probability are computed once.
fn sum_over(probabilities: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    probabilities.chunk_by(|a, b| a == b).map(|equal| equal.len() as f64 * of(equal[0])).sum()
}

/// Coverage to be expected of so many draws from rows of these probabilities: the mean of 1 - (1 - p)^samples.
pub fn expected_coverage(probabilities: &[f64], samples: u64) -> f64 {
    let covered = sum_over(probabilities, |p| 1.0 - (1.0 - p).powf(samples as f64));
    if probabilities.is_empty() { 0.0 } else { covered / probabilities.len() as f64 }
}

/// Coverage to be expected of `draws` of these samples, chosen at random: rarefaction (Hurlbert 1971), the mean of
/// 1 - C(samples - count, draws) / C(samples, draws). No more draws than samples count.
pub fn rarefied_coverage(counts: &[u64], samples: u64, draws: u64) -> f64 {
    let draws = draws.min(samples);
    let missed = |count: u64| -> f64 {
        (0..draws).map(|draw| (samples - count).saturating_sub(draw) as f64 / (samples - draw) as f64).product()
    };
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let covered: f64 = sorted.chunk_by(|a, b| a == b).map(|equal| equal.len() as f64 * (1.0 - missed(equal[0]))).sum();
    if counts.is_empty() { 0.0 } else { covered / counts.len() as f64 }
}

/// Total variation distance, 0..=1, between the sample frequencies and rows of these probabilities, noise included;
/// `failures` samples lie outside of them.
pub fn tv(counts: &[u64], probabilities: &[f64], failures: u64) -> f64 {
    let samples = counts.iter().sum::<u64>() + failures;
    if samples == 0 || counts.is_empty() {
        return 1.0;
    }
    let differences = counts.iter().zip(probabilities).map(|(count, p)| (*count as f64 / samples as f64 - p).abs());
    0.5 * (differences.sum::<f64>() + failures as f64 / samples as f64)
}

/// Total variation distance to be expected of draws from the truth, from sampling noise alone.
///
/// Each count is binomial(samples, p); its mean absolute deviation has De Moivre's closed form
/// 2 v C(samples, v) p^v (1-p)^(samples-v+1) with v = floor(samples p) + 1 (Diaconis and Zabell 1991).
pub fn expected_tv(probabilities: &[f64], samples: u64) -> f64 {
    if samples == 0 {
        return 1.0;
    }
    let deviation = |p: f64| {
        if p >= 1.0 {
            return 0.0;
        }
        let v = (samples as f64 * p).floor() + 1.0;
        let log_choose: f64 = (0..v as u64).map(|i| ((samples - i) as f64 / (i + 1) as f64).ln()).sum();
        let log_deviation = (2.0 * v).ln() + log_choose + v * p.ln() + (samples as f64 - v + 1.0) * (1.0 - p).ln();
        log_deviation.exp()
    };
    0.5 * sum_over(probabilities, deviation) / samples as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    fn even(rows: usize) -> Vec<f64> {
        vec![1.0 / rows as f64; rows]
    }

    #[test]
    fn coverage_counts_rows_seen() {
        assert_eq!(coverage(&[3, 0, 1, 0]), 0.5);
        assert_eq!(coverage(&[]), 0.0);
        assert_eq!(expected_coverage(&[1.0], 1), 1.0);
        assert_eq!(expected_coverage(&even(4), 1), 0.25);
        assert_eq!(expected_coverage(&even(2), 3), 0.875);
        assert_eq!(expected_coverage(&[0.75, 0.25], 2), 0.5 * (0.9375 + 0.4375));
    }

    #[test]
    fn rarefied_coverage_is_that_of_fewer_draws() {
        // Of 3, 0, 1 one draw covers one row; all four cover two.
        assert!((rarefied_coverage(&[3, 0, 1], 4, 1) - 1.0 / 3.0).abs() < 1e-12);
        assert!((rarefied_coverage(&[3, 0, 1], 4, 4) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(rarefied_coverage(&[3, 0, 1], 4, 9), rarefied_coverage(&[3, 0, 1], 4, 4));
        // Two of four: {a, a} half of the time, else {a, c}. Failures take draws as well.
        assert!((rarefied_coverage(&[3, 0, 1], 4, 2) - (0.5 + 0.5 * 2.0) / 3.0).abs() < 1e-12);
        assert!((rarefied_coverage(&[1], 4, 2) - 0.5).abs() < 1e-12);
        // Draws of a perfect sampler show what is expected of one.
        let mut random = stream(3, Purpose::Samples, 0);
        let mut mean = 0.0;
        for _ in 0..500 {
            let mut counts = [0; 20];
            (0..100).for_each(|_| counts[random.random_range(0..20)] += 1);
            mean += rarefied_coverage(&counts, 100, 20) / 500.0;
        }
        assert!((mean - expected_coverage(&even(20), 20)).abs() < 0.003, "{mean}");
    }

    #[test]
    fn distinct_rows_and_repeats_make_up_the_passing_samples() {
        assert_eq!((distinct(&[3, 0, 1, 0]), duplicates(&[3, 0, 1, 0])), (2, 2));
        assert_eq!((distinct(&[0, 0]), duplicates(&[0, 0])), (0, 0));
    }

    #[test]
    fn entropy_is_1_for_the_truth_and_0_for_one_row() {
        assert!((entropy(&[5, 5, 5, 5], 4f64.ln()) - 1.0).abs() < 1e-12);
        assert_eq!(entropy(&[8, 0, 0, 0], 4f64.ln()), 0.0);
        // Two of four rows: ln 2 / ln 4.
        assert!((entropy(&[3, 3, 0, 0], 4f64.ln()) - 0.5).abs() < 1e-12);
        assert_eq!((entropy(&[4], 0.0), entropy(&[0], 0.0), entropy(&[0, 0], 1.0)), (1.0, 0.0, 0.0));
        assert!((shannon(&[1, 3]) - (0.25 * 4f64.ln() + 0.75 * (4.0 / 3.0f64).ln())).abs() < 1e-12);
    }

    #[test]
    fn expected_entropy_is_the_mean_over_all_outcomes() {
        // Two draws over two rows: both rows half of the time, else one.
        assert!((expected_entropy(&even(2), 2f64.ln(), 2) - 0.5).abs() < 1e-12);
        assert!(expected_entropy(&even(5), 5f64.ln(), 1).abs() < 1e-12);
        assert_eq!((expected_entropy(&[1.0], 0.0, 9), expected_entropy(&even(3), 3f64.ln(), 0)), (1.0, 0.0));
        // Two of 3/4, 1/4: both with probability 3/8.
        assert!((expected_entropy(&[0.75, 0.25], 1.0, 2) - 0.375 * 2f64.ln()).abs() < 1e-12);
        // Miller and Madow 1955: about (rows - 1) / (2 samples) nats below the maximum.
        let found = expected_entropy(&even(20), 20f64.ln(), 10_000);
        assert!((found - (1.0 - 19.0 / 20_000.0 / 20f64.ln())).abs() < 1e-6);
    }

    #[test]
    fn tv_is_0_for_the_truth_and_1_for_all_wrong() {
        assert_eq!(tv(&[5, 5, 5, 5], &even(4), 0), 0.0);
        assert_eq!(tv(&[3, 1], &[0.75, 0.25], 0), 0.0);
        assert_eq!(tv(&[0, 0], &even(2), 7), 1.0);
        // All on one of four: 1 - 1/4.
        assert_eq!(tv(&[8, 0, 0, 0], &even(4), 0), 0.75);
        // Half of the samples fail, the rest are uniform.
        assert_eq!(tv(&[1, 1], &even(2), 2), 0.5);
        assert_eq!(tv(&[0, 0], &even(2), 0), 1.0);
    }

    #[test]
    fn expected_tv_is_the_mean_over_all_outcomes() {
        // One draw over n rows always gives 1 - 1/n; two draws over two rows: 1/2 or 0, each half the time.
        assert!((expected_tv(&even(5), 1) - 0.8).abs() < 1e-12);
        assert!((expected_tv(&even(2), 2) - 0.25).abs() < 1e-12);
        assert_eq!(expected_tv(&[1.0], 10), 0.0);
        // One draw of 3/4, 1/4: 1/4 or 3/4.
        assert!((expected_tv(&[0.75, 0.25], 1) - (0.75 * 0.25 + 0.25 * 0.75)).abs() < 1e-12);
    }

    #[test]
    fn a_uniform_sampler_shows_the_expected_coverage_tv_and_entropy() {
        let mut random = stream(1, Purpose::Samples, 0);
        let (rows, samples, rounds) = (22, 60, 4000);
        let (truth, floor) = (even(rows), (rows as f64).ln());
        let (mut mean_coverage, mut mean_tv, mut mean_entropy) = (0.0, 0.0, 0.0);
        for _ in 0..rounds {
            let mut counts = vec![0; rows];
            (0..samples).for_each(|_| counts[random.random_range(0..rows)] += 1);
            mean_coverage += coverage(&counts) / f64::from(rounds);
            mean_tv += tv(&counts, &truth, 0) / f64::from(rounds);
            mean_entropy += entropy(&counts, floor) / f64::from(rounds);
        }
        assert!((mean_coverage - expected_coverage(&truth, samples)).abs() < 0.003, "{mean_coverage}");
        assert!((mean_tv - expected_tv(&truth, samples)).abs() < 0.003, "{mean_tv}");
        assert!((mean_entropy - expected_entropy(&truth, floor, samples)).abs() < 0.003, "{mean_entropy}");
    }
}
