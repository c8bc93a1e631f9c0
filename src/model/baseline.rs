//! Models that are counted and not trained: what a network must beat to earn its place.
//!
//! Both estimate p(y | c) from the training rows with the same given values, smoothed towards what all training rows have:
//! p = (n + alpha b) / (N + alpha), for n of N observations, a base law b and `smoothing` alpha. That is additive
//! smoothing with a Dirichlet prior (MacKay and Peto 1995, A hierarchical Dirichlet language model). The base law of a
//! column is its distribution over all training rows, itself smoothed towards the uniform one; that of a row is the
//! product over its columns.

use std::borrow::Cow;

use super::config::{ModelConfig, ModelKind};
use crate::task::{Kind, Truth};

/// Smoothed counts of training rows, or of their columns.
#[derive(Debug)]
pub struct Baseline<'a> {
    kind: ModelKind,
    smoothing: f64,
    train: &'a Truth,
    /// Observations that a unit of weight stands for.
    scale: f64,
    /// p(value) of each generated column over all training rows.
    columns: Vec<Vec<f64>>,
}

/// p(y | c) of one condition.
#[derive(Debug)]
pub struct Law<'a> {
    baseline: &'a Baseline<'a>,
    /// The condition among those of the training rows.
    group: Option<usize>,
    /// p(value) of each generated column: the base law of counts, the law itself of independent columns.
    columns: Cow<'a, [Vec<f64>]>,
}

impl<'a> Baseline<'a> {
    /// Counts training rows. Those of a sample count as often as they were observed. Rows of an exact truth have
    /// probabilities; all together they count as many observations as there are rows.
    pub fn new(config: &ModelConfig, train: &'a Truth) -> Self {
        let mass: f64 = (0..train.len()).map(|group| train.mass(group)).sum();
        let scale = if train.kind() == Kind::Exact { train.groups().rows().len() as f64 / mass } else { 1.0 };
        let mut counts = zeros(train);
        (0..train.len()).for_each(|group| count(train, group, scale, &mut counts));
        let smoothing = config.smoothing;
        let columns = counts.into_iter().map(|counts| {
            let even = 1.0 / counts.len() as f64;
            counts.iter().map(|n| (n + smoothing * even) / (mass * scale + smoothing)).collect()
        });
        Self { kind: config.kind, smoothing, columns: columns.collect(), train, scale }
    }

    /// The law of the condition of these given values, whether training rows have it or not.
    pub fn law(&'a self, given: &[u16]) -> Law<'a> {
        let group = self.train.find(given);
        let columns = match group {
            Some(group) if self.kind == ModelKind::Columns => {
                let (mut counts, total) = (zeros(self.train), self.total(group));
                count(self.train, group, self.scale, &mut counts);
                for (counts, base) in counts.iter_mut().zip(&self.columns) {
                    counts.iter_mut().zip(base).for_each(|(n, base)| *n = self.smoothed(*n, total, *base));
                }
                Cow::Owned(counts)
            }
            _ => Cow::Borrowed(self.columns.as_slice()),
        };
        Law { baseline: self, group, columns }
    }

    fn smoothed(&self, n: f64, total: f64, base: f64) -> f64 {
        (n + self.smoothing * base) / (total + self.smoothing)
    }

    /// Observations of a condition.
    fn total(&self, group: usize) -> f64 {
        self.train.mass(group) * self.scale
    }
}

impl Law<'_> {
    /// ln p(y | c) of generated values, nats.
    pub fn log_probability(&self, generated: &[u16]) -> f64 {
        let product: f64 =
            self.columns.iter().zip(generated).map(|(column, value)| column[usize::from(*value)].ln()).sum();
        let Baseline { kind, smoothing, train, scale, .. } = self.baseline;
        match self.group {
            Some(group) if *kind == ModelKind::Counts => {
                let total = self.baseline.total(group);
                match train.rank(group, generated) {
                    Some(rank) => self.baseline.smoothed(train.weight(group, rank) * scale, total, product.exp()).ln(),
                    // The product of very many columns is too small for a number that is no logarithm.
                    None => product + (smoothing / (total + smoothing)).ln(),
                }
            }
            _ => product,
        }
    }

    /// The most likely generated values; the first of several.
    pub fn most_likely(&self) -> Vec<u16> {
        let largest = |column: &Vec<f64>| {
            let of = |best: usize, value: usize| if column[value] > column[best] { value } else { best };
            (0..column.len()).fold(0, of) as u16
        };
        let base: Vec<u16> = self.columns.iter().map(largest).collect();
        let Some(group) = self.group.filter(|_| self.baseline.kind == ModelKind::Counts) else { return base };
        // Of the rows that no training row of the condition is, the base law's choice is the most likely one.
        let mut best = (self.log_probability(&base), base.as_slice());
        for row in self.baseline.train.generated(group) {
            let log = self.log_probability(row);
            if log > best.0 {
                best = (log, row);
            }
        }
        best.1.to_vec()
    }
}

/// A count of 0 for each value of each generated column.
fn zeros(train: &Truth) -> Vec<Vec<f64>> {
    train.schema().generated.iter().map(|column| vec![0.0; column.size()]).collect()
}

/// Adds the values of a condition's rows.
fn count(train: &Truth, group: usize, scale: f64, counts: &mut [Vec<f64>]) {
    for (rank, row) in train.generated(group).enumerate() {
        let weight = train.weight(group, rank) * scale;
        counts.iter_mut().zip(row).for_each(|(counts, value)| counts[usize::from(*value)] += weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Column, Rows, Schema};

    /// Given a of 3 values, generated x of 2 and y of 2. Under a = 0: (0, 0) three times and (1, 1) once; under a = 1:
    /// (0, 1) four times.
    fn train(kind: Kind, weights: [f64; 3]) -> Truth {
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        let mut rows = Rows::new(3);
        [[0, 0, 0], [0, 1, 1], [1, 0, 1]].iter().for_each(|row| rows.push(row));
        let schema = Schema::new(vec![column("a", 3)], vec![column("x", 2), column("y", 2)]);
        Truth::new(schema, &rows, Some(&weights), kind)
    }

    fn laws(kind: ModelKind, train: &Truth, smoothing: f64) -> Vec<Vec<f64>> {
        let baseline = Baseline::new(&ModelConfig { kind, smoothing, ..ModelConfig::default() }, train);
        let all = [[0, 0], [0, 1], [1, 0], [1, 1]];
        let of = |given: u16| all.iter().map(|row| baseline.law(&[given]).log_probability(row).exp()).collect();
        (0..3).map(of).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        let all = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(all && found.len() == expected.len(), "{found:?} {expected:?}");
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn counts_are_those_counted_by_hand() {
        let train = train(Kind::Sample, [3.0, 1.0, 4.0]);
        // x is 0 in 7 of 8 rows, y in 3: with one observation added, (7 + 1/2) / 9 and (3 + 1/2) / 9.
        let (x, y) = ([7.5 / 9.0, 1.5 / 9.0], [3.5 / 9.0, 5.5 / 9.0]);
        let base = [x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]];
        let found = laws(ModelKind::Counts, &train, 1.0);
        close(&found[0], &[(3.0 + base[0]) / 5.0, base[1] / 5.0, base[2] / 5.0, (1.0 + base[3]) / 5.0]);
        close(&found[1], &[base[0] / 5.0, (4.0 + base[1]) / 5.0, base[2] / 5.0, base[3] / 5.0]);
        // A condition without training rows has the base law.
        close(&found[2], &base);
    }

    #[test]
    fn independent_columns_are_those_counted_by_hand() {
        let train = train(Kind::Sample, [3.0, 1.0, 4.0]);
        let (x, y) = (7.5 / 9.0, 3.5 / 9.0);
        let found = laws(ModelKind::Columns, &train, 1.0);
        let [of_x, of_y] = [(3.0 + x) / 5.0, (3.0 + y) / 5.0];
        close(&found[0], &[of_x * of_y, of_x * (1.0 - of_y), (1.0 - of_x) * of_y, (1.0 - of_x) * (1.0 - of_y)]);
        close(&found[2], &[x * y, x * (1.0 - y), (1.0 - x) * y, (1.0 - x) * (1.0 - y)]);
    }

    #[test]
    fn probabilities_of_an_exact_truth_count_as_many_observations_as_there_are_rows() {
        let [few, many] = [[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]].map(|weights| train(Kind::Exact, weights));
        for kind in [ModelKind::Counts, ModelKind::Columns] {
            laws(kind, &few, 1.0).iter().zip(laws(kind, &many, 1.0)).for_each(|(a, b)| close(a, &b));
        }
    }

    #[test]
    fn the_most_likely_rows_are_found_among_training_rows_and_beside_them() {
        let most = |kind, weights, given: u16| {
            let train = train(Kind::Sample, weights);
            let config = ModelConfig { kind, smoothing: 10.0, ..ModelConfig::default() };
            let baseline = Baseline::new(&config, &train);
            baseline.law(&[given]).most_likely()
        };
        assert_eq!(most(ModelKind::Counts, [30.0, 1.0, 40.0], 0), [0, 0]);
        assert_eq!(most(ModelKind::Counts, [30.0, 1.0, 40.0], 2), [0, 1]);
        // In nearly all rows x is 0 and y is 1; no row of the condition's own two says so.
        assert_eq!(most(ModelKind::Counts, [1.0, 1.0, 40.0], 0), [0, 1]);
        // Its columns say so each: 1 of 2 for either value, and most of all rows.
        assert_eq!(most(ModelKind::Columns, [1.0, 1.0, 40.0], 0), [0, 1]);
        assert_eq!(most(ModelKind::Columns, [30.0, 1.0, 40.0], 0), [0, 0]);
    }
}
