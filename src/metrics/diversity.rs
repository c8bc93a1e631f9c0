//! How a condition's samples spread over its valid dates, against what a perfect sampler would show.

/// Share of the valid dates generated at least once, 0..=1.
pub fn coverage(counts: &[u64]) -> f64 {
    if counts.is_empty() { 0.0 } else { distinct(counts) as f64 / counts.len() as f64 }
}

/// Number of valid dates generated at least once.
pub fn distinct(counts: &[u64]) -> usize {
    counts.iter().filter(|count| **count > 0).count()
}

/// Passing samples that repeat an earlier one: samples less the distinct dates among them.
pub fn duplicates(counts: &[u64]) -> u64 {
    counts.iter().sum::<u64>() - distinct(counts) as u64
}

/// Normalised entropy, 0..=1: Shannon's entropy of the sample frequencies over the valid dates, in units of
/// that of the uniform distribution on them, ln(number of dates). Failing samples don't count; 1 where
/// there is one date only, 0 without a passing sample.
pub fn entropy(counts: &[u64]) -> f64 {
    match (counts.len(), counts.iter().sum::<u64>()) {
        (_, 0) => 0.0,
        (1, _) => 1.0,
        (dates, _) => (shannon(counts) / (dates as f64).ln()).clamp(0.0, 1.0),
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

/// Normalised entropy to be expected of a uniform sampler over `dates` valid dates in `samples` draws.
///
/// Each count k is binomial(samples, 1/dates), so the mean of H is ln samples - dates E[k ln k] / samples, summed over
/// the binomial's probabilities; terms that add less than one part in 10^12 are left out.
pub fn expected_entropy(dates: usize, samples: u64) -> f64 {
    if samples == 0 || dates <= 1 {
        return if samples == 0 { 0.0 } else { 1.0 };
    }
    let (n, p) = (samples as f64, 1.0 / dates as f64);
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
    (n.ln() - dates as f64 * mean / n) / (dates as f64).ln()
}

/// Coverage to be expected of a uniform sampler over `dates` valid dates in `samples` draws:
/// 1 - (1 - 1/dates)^samples.
pub fn expected_coverage(dates: usize, samples: u64) -> f64 {
    if dates == 0 { 0.0 } else { 1.0 - (1.0 - 1.0 / dates as f64).powf(samples as f64) }
}

/// Total variation distance, 0..=1, between the sample frequencies and the uniform distribution on the
/// valid dates; `failures` samples lie outside them.
pub fn tv(counts: &[u64], failures: u64) -> f64 {
    let samples = counts.iter().sum::<u64>() + failures;
    if samples == 0 || counts.is_empty() {
        return 1.0;
    }
    let uniform = 1.0 / counts.len() as f64;
    let inside: f64 = counts.iter().map(|count| (*count as f64 / samples as f64 - uniform).abs()).sum();
    0.5 * (inside + failures as f64 / samples as f64)
}

/// Total variation distance to be expected of a uniform sampler from sampling noise alone.
///
/// Each count is binomial(samples, 1/dates); its mean absolute deviation has De Moivre's closed form
/// 2 v C(samples, v) p^v (1-p)^(samples-v+1) with v = floor(samples p) + 1 (Diaconis and Zabell 1991).
pub fn expected_tv(dates: usize, samples: u64) -> f64 {
    if samples == 0 {
        return 1.0;
    }
    if dates <= 1 {
        return 0.0;
    }
    let p = 1.0 / dates as f64;
    let v = (samples as f64 * p).floor() + 1.0;
    let log_choose: f64 = (0..v as u64).map(|i| ((samples - i) as f64 / (i + 1) as f64).ln()).sum();
    let log_deviation = (2.0 * v).ln() + log_choose + v * p.ln() + (samples as f64 - v + 1.0) * (1.0 - p).ln();
    0.5 * dates as f64 * log_deviation.exp() / samples as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    #[test]
    fn coverage_counts_dates_seen() {
        assert_eq!(coverage(&[3, 0, 1, 0]), 0.5);
        assert_eq!(coverage(&[]), 0.0);
        assert_eq!(expected_coverage(1, 1), 1.0);
        assert_eq!(expected_coverage(4, 1), 0.25);
        assert_eq!(expected_coverage(2, 3), 0.875);
    }

    #[test]
    fn distinct_dates_and_repeats_make_up_the_passing_samples() {
        assert_eq!((distinct(&[3, 0, 1, 0]), duplicates(&[3, 0, 1, 0])), (2, 2));
        assert_eq!((distinct(&[0, 0]), duplicates(&[0, 0])), (0, 0));
    }

    #[test]
    fn entropy_is_1_for_uniform_and_0_for_one_date() {
        assert!((entropy(&[5, 5, 5, 5]) - 1.0).abs() < 1e-12);
        assert_eq!(entropy(&[8, 0, 0, 0]), 0.0);
        // Two of four dates: ln 2 / ln 4.
        assert!((entropy(&[3, 3, 0, 0]) - 0.5).abs() < 1e-12);
        assert_eq!((entropy(&[4]), entropy(&[0]), entropy(&[0, 0])), (1.0, 0.0, 0.0));
        assert!((shannon(&[1, 3]) - (0.25 * 4f64.ln() + 0.75 * (4.0 / 3.0f64).ln())).abs() < 1e-12);
    }

    #[test]
    fn expected_entropy_is_the_mean_over_all_outcomes() {
        // Two draws over two dates: both dates half of the time, else one.
        assert!((expected_entropy(2, 2) - 0.5).abs() < 1e-12);
        assert!(expected_entropy(5, 1).abs() < 1e-12);
        assert_eq!((expected_entropy(1, 9), expected_entropy(3, 0)), (1.0, 0.0));
        // Miller and Madow 1955: about (dates - 1) / (2 samples) nats below the maximum.
        assert!((expected_entropy(20, 10_000) - (1.0 - 19.0 / 20_000.0 / 20f64.ln())).abs() < 1e-6);
    }

    #[test]
    fn tv_is_0_for_uniform_and_1_for_all_wrong() {
        assert_eq!(tv(&[5, 5, 5, 5], 0), 0.0);
        assert_eq!(tv(&[0, 0], 7), 1.0);
        // All on one of four: 1 - 1/4.
        assert_eq!(tv(&[8, 0, 0, 0], 0), 0.75);
        // Half of the samples fail, the rest are uniform.
        assert_eq!(tv(&[1, 1], 2), 0.5);
        assert_eq!(tv(&[0, 0], 0), 1.0);
    }

    #[test]
    fn expected_tv_is_the_mean_over_all_outcomes() {
        // One draw over n dates always gives 1 - 1/n; two draws over two dates: 1/2 or 0, each half the time.
        assert!((expected_tv(5, 1) - 0.8).abs() < 1e-12);
        assert!((expected_tv(2, 2) - 0.25).abs() < 1e-12);
        assert_eq!(expected_tv(1, 10), 0.0);
    }

    #[test]
    fn a_uniform_sampler_shows_the_expected_coverage_tv_and_entropy() {
        let mut random = stream(1, Purpose::Samples, 0);
        let (dates, samples, rounds) = (22, 60, 4000);
        let (mut mean_coverage, mut mean_tv, mut mean_entropy) = (0.0, 0.0, 0.0);
        for _ in 0..rounds {
            let mut counts = vec![0; dates];
            (0..samples).for_each(|_| counts[random.random_range(0..dates)] += 1);
            mean_coverage += coverage(&counts) / f64::from(rounds);
            mean_tv += tv(&counts, 0) / f64::from(rounds);
            mean_entropy += entropy(&counts) / f64::from(rounds);
        }
        assert!((mean_coverage - expected_coverage(dates, samples)).abs() < 0.003, "{mean_coverage}");
        assert!((mean_tv - expected_tv(dates, samples)).abs() < 0.003, "{mean_tv}");
        assert!((mean_entropy - expected_entropy(dates, samples)).abs() < 0.003, "{mean_entropy}");
    }
}
