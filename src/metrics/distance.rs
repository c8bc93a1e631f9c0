//! Total variation from probabilities that are measured with noise.
//!
//! Noise makes the mean of |p - q| too large, and the difference from what noise alone would show is no distance: noise
//! and error add up in squares. So every probability is measured twice, from either half of the codes or draws. One
//! half says roughly how large the errors of a condition are, and how large that of a row; the other one, whose noise is
//! independent, measures the errors of such conditions and rows: their mean and their mean square, both without bias. Within
//! such a class errors are taken as normal about their mean (an empirical Bayes estimate, Robbins 1956), whose mean absolute
//! value is known in closed form.
//!
//! Of a marginal, a row's own estimate of its noise goes with its error: a row that few codes give seems to have little of both.
//! So the noise of a condition is shared out among its rows as p (1 - p) of the truth, as for draws, and errors count in units
//! of the root of that, in which all rows have the same noise ([`Difference::share_noise`]).

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
    /// In units of which the errors of rows are alike.
    pub scale: f64,
}

impl Difference {
    /// Shares the noise of a condition out among its rows by their true probabilities.
    pub fn share_noise(condition: &mut [Self], truth: &[f64]) {
        // Of a row that is certain draws would have no noise at all, codes have.
        let shape = |p: &f64| (p * (1.0 - p).max(0.01)).max(f64::MIN_POSITIVE);
        let total: f64 = condition.iter().map(|row| row.variance).sum();
        let variance = total / truth.iter().map(shape).sum::<f64>();
        for (row, p) in condition.iter_mut().zip(truth) {
            row.scale = shape(p).sqrt();
            row.variance = variance * shape(p);
            row.noise = row.variance.sqrt();
        }
    }
}

/// Errors in units of a half's noise, above which they are told apart by size.
const SIZES: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 6.0];
/// Mean squares of a condition's errors in units of the noise's, above which conditions are told apart.
const RATIOS: [f64; 7] = [1.5, 2.0, 3.0, 5.0, 9.0, 20.0, 50.0];

/// Sums over the rows of a size, of conditions of a ratio: scales, signed errors, and squares less the noise over the scale.
type Class = [f64; 3];

/// Sums over differences from which the total variation follows; those of several conditions add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distance {
    /// Each twice over, once by either half.
    classes: [[Class; SIZES.len() + 1]; RATIOS.len() + 1],
    /// Sum of squares of the differences from both halves together, less the noise.
    squares: f64,
    /// What is known to lie outside of the support.
    outside: f64,
}

impl Distance {
    /// The distance of one condition: the differences of its rows, and the mass outside of them.
    pub fn new(differences: impl IntoIterator<Item = Difference>, outside: f64) -> Self {
        let differences: Vec<Difference> = differences.into_iter().collect();
        let squares =
            |of: fn(&Difference) -> f64| differences.iter().map(|row| of(row).powi(2) / row.scale).sum::<f64>();
        let noise = squares(|row| row.noise);
        let ratios = [squares(|row| row.first) / noise, squares(|row| row.second) / noise];
        let mut sums = Self { outside, ..Self::default() };
        for Difference { first, second, variance, noise, scale } in differences {
            let mean = 0.5 * (first + second);
            sums.squares += (mean * mean - 0.5 * variance) / scale;
            for (by, measured, ratio) in [(first, second, ratios[0]), (second, first, ratios[1])] {
                let class = RATIOS.iter().filter(|least| ratio > **least).count();
                let size = SIZES.iter().filter(|size| by.abs() > **size * noise).count();
                let signed = if by < 0.0 { -measured } else { measured };
                let terms = [scale, signed, (measured * measured - variance) / scale];
                sums.classes[class][size].iter_mut().zip(terms).for_each(|(sum, term)| *sum += 0.5 * term);
            }
        }
        sums
    }

    /// Adds the sums of another condition, which counts so much.
    #[must_use]
    pub fn plus(mut self, other: &Self, weight: f64) -> Self {
        let others = other.classes.as_flattened().as_flattened();
        let sums = self.classes.as_flattened_mut().as_flattened_mut();
        sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += weight * other);
        self.squares += weight * other.squares;
        self.outside += weight * other.outside;
        self
    }

    /// The total variation, summed over conditions by their weights.
    pub fn total(&self) -> f64 {
        // Most errors are small as a rule. Both halves together know their mean square best.
        let mut classes = self.classes;
        classes[0][0][2] = 0.0;
        classes[0][0][2] = self.squares - classes.as_flattened().iter().map(|[.., squares]| squares).sum::<f64>();
        let absolute = |[count, signed, squares]: &Class| {
            let square = (squares / count).max(0.0);
            let mean = (signed / count).max(0.0);
            // Where noise leaves less of the squares than of the mean, the mean is known better.
            count * mean_absolute(mean, (square - mean * mean).max(0.0).sqrt())
        };
        let of_ratio = |sizes: &[Class; SIZES.len() + 1]| {
            let (small, largest) = sizes.split_at(SIZES.len());
            // Of the largest errors the sign is beyond doubt.
            let signed: f64 = largest.iter().map(|[_, signed, _]| signed).sum();
            signed + small.iter().filter(|[count, ..]| *count > 0.0).map(absolute).sum::<f64>()
        };
        0.5 * (classes.iter().map(of_ratio).sum::<f64>() + self.outside)
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
    use rand::RngExt;

    use super::*;
    use crate::random::{Cumulative, Purpose, normal, stream};

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
            scale: 1.0,
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
        let exact = [0.3, -0.3].map(|d| Difference { first: d, second: d, variance: 0.0, noise: 0.0, scale: 1.0 });
        assert!((Distance::new(exact, 0.1).total() - 0.35).abs() < 1e-7);
        assert!(measured(&vec![0.0; n]) < 0.1 * 0.8 * n as f64);
    }

    /// A condition's truth, and a model's law: rows are off by 8 % each, and every other one by more where `off` says so.
    fn condition(random: &mut impl RngExt, halving: bool, off: bool) -> [Vec<f64>; 2] {
        let rows = random.random_range(4..38);
        let shares: Vec<f64> = (0..rows).map(|row| if halving { 0.5f64.powi(row) } else { 1.0 }).collect();
        let more = |row: usize| if off && row.is_multiple_of(2) { 2.5 } else { 1.0 };
        let errors = normal(&mut stream(random.random(), Purpose::Weights, 1), shares.len());
        let weigh = |(row, (share, error)): (usize, (&f64, &f32))| share * more(row) * (0.08 * f64::from(*error)).exp();
        let model = shares.iter().zip(&errors).enumerate().map(weigh).collect();
        [shares, model].map(|law: Vec<f64>| {
            let total: f64 = law.iter().sum();
            law.iter().map(|share| share / total).collect()
        })
    }

    #[test]
    fn errors_below_the_noise_are_found_whatever_the_conditions() {
        // Of 4 to 37 rows, equally likely ones, or each half as likely as the one before; a tenth of conditions far off.
        for (halving, wrong) in [(false, 0.0), (true, 0.0), (false, 0.1)] {
            let mut random = stream(5, Purpose::Weights, 0);
            let conditions: Vec<_> = (0..3000)
                .map(|_| {
                    let off = random.random::<f64>() < wrong;
                    condition(&mut random, halving, off)
                })
                .collect();
            let exact: f64 =
                conditions.iter().map(|[p, q]| 0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>()).sum();
            for draws in [256, 1024] {
                let half = f64::from(draws / 2);
                let mut sum = Distance::default();
                for [truth, model] in &conditions {
                    let choose = Cumulative::new(model);
                    let mut counts = vec![[0.0; 2]; truth.len()];
                    (0..draws).for_each(|draw| counts[choose.draw(&mut random)][usize::from(draw < draws / 2)] += 1.0);
                    let difference = |([first, second], truth): (&[f64; 2], &f64)| {
                        let found = 0.5 * (first + second) / half;
                        let variance = 2.0 * found * (1.0 - found) / (2.0 * half - 1.0);
                        let (first, second) = (first / half - truth, second / half - truth);
                        Difference { first, second, variance, noise: variance.sqrt(), scale: 1.0 }
                    };
                    let mut rows: Vec<Difference> = counts.iter().zip(truth).map(difference).collect();
                    Difference::share_noise(&mut rows, truth);
                    sum = sum.plus(&Distance::new(rows, 0.0), 1.0);
                }
                let found = sum.total();
                assert!((found / exact - 1.0).abs() < 0.15, "{halving} {wrong} {draws}: {found} {exact}");
            }
        }
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
