//! Total variation from probabilities that are measured with noise.
//!
//! Noise makes the mean of |p - q| too large, and the difference from what noise alone would show is no distance: noise
//! and error add up in squares. So every probability is measured twice, from either half of the codes or draws. One
//! half says roughly how large an error is, the other one, whose noise is independent, measures the errors of that
//! size: their mean and their mean square, both without bias. Within a size errors are taken as normal about their mean
//! (an empirical Bayes estimate, Robbins 1956), whose mean absolute value is known in closed form.

/// A measured probability less the true one.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// From the first half of the codes or draws.
    pub first: f64,
    /// From the second half.
    pub second: f64,
    /// Variance of the noise of a half, without bias.
    pub variance: f64,
    /// Its standard deviation, as sure as can be: errors are told apart by size in units of it.
    pub noise: f64,
}

/// Errors in units of a half's noise, above which they are told apart by size.
const SIZES: [f64; 4] = [2.0, 3.0, 4.0, 6.0];

/// Sums over differences from which the total variation follows; those of several conditions add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distance {
    /// Of each size: count, sum, sum of squares less the noise, each twice over, once by either half.
    sizes: [[f64; 3]; SIZES.len() + 1],
    /// Sum of squares of the differences from both halves together, less the noise.
    squares: f64,
    /// What is known to lie outside of the support.
    outside: f64,
}

impl Distance {
    /// The distance of one condition: the differences of its rows, and the mass outside of them.
    pub fn new(differences: impl IntoIterator<Item = Difference>, outside: f64) -> Self {
        let mut sums = Self { outside, ..Self::default() };
        for Difference { first, second, variance, noise } in differences {
            let mean = 0.5 * (first + second);
            sums.squares += mean * mean - 0.5 * variance;
            for (by, measured) in [(first, second), (second, first)] {
                let size = SIZES.iter().filter(|size| by.abs() > **size * noise).count();
                let signed = if by < 0.0 { -measured } else { measured };
                let of_size = &mut sums.sizes[size];
                for (sum, term) in of_size.iter_mut().zip([0.5, 0.5 * signed, 0.5 * (measured * measured - variance)]) {
                    *sum += term;
                }
            }
        }
        sums
    }

    /// Adds the sums of another condition, which counts so much.
    #[must_use]
    pub fn plus(mut self, other: &Self, weight: f64) -> Self {
        for (sums, others) in self.sizes.iter_mut().zip(&other.sizes) {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += weight * other);
        }
        self.squares += weight * other.squares;
        self.outside += weight * other.outside;
        self
    }

    /// The total variation, summed over conditions by their weights.
    pub fn total(&self) -> f64 {
        // Most errors are small as a rule. Both halves together know their mean square best.
        let large: f64 = self.sizes[1..].iter().map(|[.., squares]| squares).sum();
        let mut sizes = self.sizes;
        sizes[0][2] = self.squares - large;
        let absolute = |[count, signed, squares]: &[f64; 3]| {
            let square = (squares / count).max(0.0);
            let mean = (signed / count).max(0.0);
            // Where noise leaves less of the squares than of the mean, the mean is known better.
            count * mean_absolute(mean, (square - mean * mean).max(0.0).sqrt())
        };
        // Of the largest errors the sign is beyond doubt.
        let largest = sizes[SIZES.len()][1];
        let sum: f64 = sizes[..SIZES.len()].iter().filter(|[count, ..]| *count > 0.0).map(absolute).sum();
        0.5 * (sum + largest + self.outside)
    }
}

/// The mean of |x| for x normal with this mean, not below 0, and standard deviation.
fn mean_absolute(mean: f64, spread: f64) -> f64 {
    if spread <= 0.0 {
        return mean;
    }
    let ratio = mean / spread;
    let density = (-0.5 * ratio * ratio).exp() * (2.0 / std::f64::consts::PI).sqrt();
    spread * density + mean * error_function(ratio / std::f64::consts::SQRT_2)
}

/// erf of a number not below 0, within 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
fn error_function(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let mut polynomial = 1.061_405_429;
    for coefficient in [-1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592] {
        polynomial = polynomial * t + coefficient;
    }
    1.0 - polynomial * t * (-x * x).exp()
}

/// The standard error of a figure that is computed from sums over conditions: the jackknife over groups of them (Tukey
/// 1958). `figure` is given the sums of all parts but one; NaN for fewer than two parts.
pub fn jackknife<T>(parts: &[T], figure: impl Fn(usize) -> f64) -> f64 {
    let n = parts.len() as f64;
    let without: Vec<f64> = (0..parts.len()).map(figure).collect();
    let mean = without.iter().sum::<f64>() / n;
    if n < 2.0 { f64::NAN } else { ((n - 1.0) / n * without.iter().map(|v| (v - mean).powi(2)).sum::<f64>()).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, normal, stream};

    /// The measured sum of |errors|, errors in units of the noise of both halves together.
    fn measured(errors: &[f64]) -> f64 {
        let mut random = stream(1, Purpose::Marginal, 0);
        let noise = normal(&mut random, 2 * errors.len());
        let half = std::f64::consts::SQRT_2;
        let difference = |(error, noise): (&f64, &[f32])| Difference {
            first: error + half * f64::from(noise[0]),
            second: error + half * f64::from(noise[1]),
            variance: 2.0,
            noise: half,
        };
        2.0 * Distance::new(errors.iter().zip(noise.chunks_exact(2)).map(difference), 0.0).total()
    }

    #[test]
    fn errors_are_found_however_they_are_distributed() {
        let n = 100_000;
        let shape: Vec<f64> = normal(&mut stream(2, Purpose::Marginal, 0), n).into_iter().map(f64::from).collect();
        // As the noise is, and smaller and larger.
        for spread in [0.3, 1.0, 5.0] {
            let errors: Vec<f64> = shape.iter().map(|x| spread * x).collect();
            let exact: f64 = errors.iter().map(|error| error.abs()).sum();
            let found = measured(&errors);
            assert!((found / exact - 1.0).abs() < 0.04, "{spread}: {found} {exact}");
        }
        // Few large ones among many that are right: scaling all differences by what noise leaves of their squares is
        // far off here.
        for (size, each) in [(20.0, 100), (10.0, 30), (50.0, 1000)] {
            let errors: Vec<f64> = (0..n).map(|place| if place % each == 0 { size } else { 0.0 }).collect();
            let exact = size * (n / each) as f64;
            let found = measured(&errors);
            assert!((found / exact - 1.0).abs() < 0.08 * n as f64 / exact + 0.03, "{size}: {found} {exact}");
        }
        // Without noise nothing is taken off, and without error little is left.
        let exact = [0.3, -0.3].map(|d| Difference { first: d, second: d, variance: 0.0, noise: 0.0 });
        assert!((Distance::new(exact, 0.1).total() - 0.35).abs() < 1e-7);
        assert!(measured(&vec![0.0; n]) < 0.1 * 0.8 * n as f64);
    }

    #[test]
    fn the_mean_of_absolute_values_is_that_of_the_folded_normal() {
        assert!((mean_absolute(0.0, 2.0) - 2.0 * (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-6);
        assert!((mean_absolute(9.0, 1.0) - 9.0).abs() < 1e-6 && mean_absolute(3.0, 0.0) == 3.0);
        // Leone, Nelson and Nottingham 1961: mean 1, spread 1.
        assert!((mean_absolute(1.0, 1.0) - 1.166_630).abs() < 1e-5);
    }

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        let values = [1.0f64, 4.0, 2.0, 7.0, 3.0];
        let error = jackknife(&values, |out| (values.iter().sum::<f64>() - values[out]) / 4.0);
        let mean = 3.4f64;
        let usual = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4.0 / 5.0).sqrt();
        assert!((error - usual).abs() < 1e-12);
    }
}
