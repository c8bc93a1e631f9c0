//! Scores of any generator's rows against a truth: validity, distances within conditions, coverage, and the usual
//! similarities of columns.

mod closest;
mod columns;
mod detection;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::task::{Kind, Rows, Truth};

pub use closest::{Closest, Distances};
pub use columns::{ColumnScore, Similarities};
pub use detection::Detection;

/// The index of a value that the truth does not have.
pub const UNSEEN: u16 = u16::MAX;

/// What generated rows are worth, figures over all rows or over conditions by their mass.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// Generated rows.
    pub rows: usize,
    /// Conditions of the truth.
    pub conditions: usize,
    /// Those that some generated row has.
    pub conditions_met: usize,
    /// Share of the rows that are rows of their condition.
    pub validity: f64,
    /// Share of the rows with a value that the truth does not have.
    pub unseen_values: f64,
    /// Share of the rows with given values that the truth does not have together.
    pub unknown_conditions: f64,
    /// Total variation from p(y given c), mean over the conditions met by their mass.
    pub conditional_tv: f64,
    /// What a perfect sampler of as many rows shows in its place; of a sample, the mean over all ways to exchange generated
    /// rows for its own, as in a permutation test: each is as likely where both have one distribution.
    pub conditional_tv_noise: f64,
    /// The distance without the noise, in quadrature.
    pub conditional_tv_denoised: f64,
    /// Share of a condition's rows that were generated, mean over the conditions met by their mass.
    pub coverage: f64,
    /// What a perfect sampler of as many rows covers.
    pub expected_coverage: f64,
    /// Similarities of columns and pairs of columns.
    #[serde(flatten)]
    pub similarities: Similarities,
    /// Distances to the closest row of the truth.
    pub closest: Closest,
    /// Whether a classifier tells the rows from real ones; none where very few have conditions of the truth.
    pub detection: Option<Detection>,
}

impl Score {
    /// Scores rows of the truth's columns; [`UNSEEN`] stands for a value that it does not have. None without rows.
    pub fn of(truth: &Truth, generated: &Rows) -> Option<Self> {
        let (count, given) = (generated.len(), truth.schema().given.len());
        if count == 0 || truth.is_empty() {
            return None;
        }
        // For each condition how often each of its rows was generated, and each that is none of them.
        let mut counts: Vec<Vec<u64>> = vec![Vec::new(); truth.len()];
        let mut strays: Vec<BTreeMap<&[u16], u64>> = vec![BTreeMap::new(); truth.len()];
        let (mut unseen, mut unknown, mut valid) = (0, 0, 0);
        for row in generated.iter() {
            unseen += usize::from(row.contains(&UNSEEN));
            let Some(group) = truth.find(&row[..given]) else {
                unknown += 1;
                continue;
            };
            let counts = &mut counts[group];
            counts.resize(truth.count(group), 0);
            match truth.rank(group, &row[given..]) {
                Some(rank) => {
                    counts[rank] += 1;
                    valid += 1;
                }
                None => *strays[group].entry(&row[given..]).or_default() += 1,
            }
        }
        let share = |part: usize| part as f64 / count as f64;
        let observed = if truth.kind() == Kind::Sample { truth.observations() } else { Vec::new() };
        let logs = LogFactorials::up_to(count + observed.iter().sum::<u64>() as usize);
        let mut means = Means::default();
        let met = (0..truth.len()).filter(|group| !counts[*group].is_empty());
        let met: Vec<usize> = met.collect();
        for group in &met {
            let drawn = Drawn {
                counts: &counts[*group],
                strays: strays[*group].values().copied().collect(),
                observed: observed.get(truth.range(*group)),
            };
            means.add(truth.mass(*group), drawn.figures(truth.probabilities(*group), &logs));
        }
        let [tv, noise, squares, coverage, expected_coverage] = means.means();
        Some(Self {
            rows: count,
            conditions: truth.len(),
            conditions_met: met.len(),
            validity: share(valid),
            unseen_values: share(unseen),
            unknown_conditions: share(unknown),
            conditional_tv: tv,
            conditional_tv_noise: noise,
            conditional_tv_denoised: tv * squares.max(0.0).sqrt(),
            coverage,
            expected_coverage,
            similarities: Similarities::of(truth, generated),
            closest: Closest::of(truth, generated),
            detection: Detection::of(truth, generated),
        })
    }
}

/// Rows that were generated for a condition.
struct Drawn<'a> {
    /// How often each row of the condition was.
    counts: &'a [u64],
    /// How often each other row was.
    strays: Vec<u64>,
    /// How often each row of the condition was observed, where the truth is a sample.
    observed: Option<&'a [u64]>,
}

impl Drawn<'_> {
    /// Total variation, its noise, the share of the squared distance that is no noise, coverage and its expectation.
    fn figures(&self, probabilities: &[f64], logs: &LogFactorials) -> [f64; 5] {
        let strays: u64 = self.strays.iter().sum();
        let draws = self.counts.iter().sum::<u64>() + strays;
        let n = draws as f64;
        let shares = self.counts.iter().map(|count| *count as f64 / n);
        let distance: f64 = shares.zip(probabilities).map(|(share, p)| (share - p).abs()).sum();
        let tv = 0.5 * (distance + strays as f64 / n);
        let noise = match self.observed {
            None => probabilities.iter().map(|p| logs.mean_deviation(draws, *p) / n).sum::<f64>(),
            Some(observed) => {
                let all = observed.iter().sum();
                let both = self.counts.iter().zip(observed).map(|(count, observed)| count + observed);
                both.chain(self.strays.iter().copied()).map(|both| logs.exchanged(draws, all, both)).sum()
            }
        };
        let noise = 0.5 * noise;
        let left = if tv > 0.0 { 1.0 - (noise / tv).powi(2) } else { 0.0 };
        let found = self.counts.iter().filter(|count| **count > 0).count() as f64;
        let expected: f64 = probabilities.iter().map(|p| 1.0 - (1.0 - p).powf(n)).sum();
        let rows = self.counts.len() as f64;
        [tv, noise, left, found / rows, expected / rows]
    }
}

/// Weighted sums.
#[derive(Default)]
struct Means {
    weight: f64,
    sums: [f64; 5],
}

impl Means {
    fn add(&mut self, weight: f64, values: [f64; 5]) {
        self.weight += weight;
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
    }

    /// The means; NaN without any values. The third is of squares: of the means of the first two.
    fn means(&self) -> [f64; 5] {
        let mut means = self.sums.map(|sum| sum / self.weight);
        means[2] = if means[0] > 0.0 { 1.0 - (means[1] / means[0]).powi(2) } else { 0.0 };
        means
    }
}

/// Logarithms of factorials.
struct LogFactorials(Vec<f64>);

impl LogFactorials {
    fn up_to(largest: usize) -> Self {
        let mut logs = vec![0.0; largest + 1];
        (1..=largest).for_each(|number| logs[number] = logs[number - 1] + (number as f64).ln());
        Self(logs)
    }

    /// E|X - n p| of a binomial X of n draws (de Moivre 1730; Diaconis and Zabell 1991).
    fn mean_deviation(&self, draws: u64, p: f64) -> f64 {
        if p <= 0.0 || p >= 1.0 {
            return 0.0;
        }
        let n = draws as usize;
        let k = ((n as f64 * p).floor() as usize + 1).min(n);
        let log_choose = self.0[n] - self.0[k] - self.0[n - k];
        2.0 * k as f64 * (log_choose + k as f64 * p.ln() + (n - k + 1) as f64 * (1.0 - p).ln()).exp()
    }

    /// E|X / drawn - (both - X) / observed| where `drawn` of all rows are taken at random and X of them are among `both`:
    /// the mean deviation of the hypergeometric distribution in closed form (Diaconis and Zabell 1991).
    fn exchanged(&self, drawn: u64, observed: u64, both: u64) -> f64 {
        let [n, m, all] = [drawn, both, drawn + observed].map(|number| number as usize);
        let k = (n as f64 * m as f64 / all as f64).floor() as usize + 1;
        if k > n.min(m) || n - k > all - m {
            return 0.0;
        }
        let choose = |of: usize, some: usize| self.0[of] - self.0[some] - self.0[of - some];
        let log_p = choose(m, k) + choose(all - m, n - k) - choose(all, n);
        let deviation = 2.0 * k as f64 * (all + k - m - n) as f64 / all as f64 * log_p.exp();
        deviation * (1.0 / drawn as f64 + 1.0 / observed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Cumulative, Purpose, stream};
    use crate::task::{Column, Schema};

    fn truth(kind: Kind, weights: &[f64]) -> Truth {
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        let mut rows = Rows::new(2);
        [[0, 0], [0, 1], [0, 2], [1, 2]].iter().for_each(|row| rows.push(row));
        Truth::new(Schema::new(vec![column("a", 3)], vec![column("y", 4)]), &rows, Some(weights), kind)
    }

    fn rows(values: &[[u16; 2]]) -> Rows {
        let mut rows = Rows::new(2);
        values.iter().for_each(|row| rows.push(row));
        rows
    }

    #[test]
    fn figures_of_a_few_rows_are_those_counted_by_hand() {
        let truth = truth(Kind::Exact, &[1.0, 1.0, 2.0, 4.0]);
        let generated = rows(&[[0, 0], [0, 0], [0, 3], [0, 2], [2, 0], [UNSEEN, 2], [1, UNSEEN], [1, 2]]);
        let score = Score::of(&truth, &generated).unwrap();
        assert_eq!((score.validity, score.unseen_values, score.unknown_conditions), (4.0 / 8.0, 0.25, 0.25));
        assert_eq!((score.conditions, score.conditions_met), (2, 2));
        // Condition 0: shares 1/2, 0, 1/4 and 1/4 invalid against 1/4, 1/4, 1/2; condition 1: half of it invalid.
        assert!((score.conditional_tv - 0.5 * (0.5 + 0.5)).abs() < 1e-12, "{score:?}");
        assert!((score.coverage - 0.5 * (2.0 / 3.0 + 1.0)).abs() < 1e-12);
        assert!(Score::of(&truth, &Rows::new(2)).is_none());
    }

    #[test]
    fn a_perfect_sampler_shows_its_noise_and_no_more() {
        let truth = truth(Kind::Exact, &[1.0, 2.0, 3.0, 6.0]);
        let (choose, mut random) = (Cumulative::new(&[1.0, 2.0, 3.0, 6.0]), stream(1, Purpose::Samples, 0));
        let all = [[0, 0], [0, 1], [0, 2], [1, 2]];
        let (mut tv, mut noise) = (0.0, 0.0);
        for _ in 0..300 {
            let drawn: Vec<_> = (0..60).map(|_| all[choose.draw(&mut random)]).collect();
            let score = Score::of(&truth, &rows(&drawn)).unwrap();
            (tv, noise) = (tv + score.conditional_tv / 300.0, noise + score.conditional_tv_noise / 300.0);
            assert_eq!(score.validity, 1.0);
        }
        assert!((tv - noise).abs() < 0.004 && noise > 0.02, "{tv} {noise}");
        assert!((LogFactorials::up_to(4).mean_deviation(4, 0.5) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn of_a_sample_the_noise_is_what_two_samples_of_one_distribution_show() {
        let mut random = stream(1, Purpose::Samples, 1);
        // Many values and few rows; fewer generated rows than observations, and more.
        for (values, observed, generated) in [(24usize, 250, 3), (200, 1000, 20), (50, 500, 25), (300, 200, 2000)] {
            let choose = Cumulative::new(&(0..values).map(|value| 1.0 / (1 + value % 5) as f64).collect::<Vec<_>>());
            let mut draw = |count: usize| {
                let mut rows = Rows::new(2);
                (0..count).for_each(|_| rows.push(&[0, choose.draw(&mut random) as u16]));
                rows
            };
            let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
            let (mut tv, mut noise, mut squares) = (0.0, 0.0, 0.0);
            for _ in 0..200 {
                let schema = Schema::new(vec![column("a", 1)], vec![column("y", values)]);
                let truth = Truth::new(schema, &draw(observed), None, Kind::Sample);
                let score = Score::of(&truth, &draw(generated)).unwrap();
                assert!(score.conditional_tv_noise <= 1.0);
                let difference = score.conditional_tv - score.conditional_tv_noise;
                (tv, noise) = (tv + score.conditional_tv / 200.0, noise + score.conditional_tv_noise / 200.0);
                squares += difference * difference / 200.0;
            }
            let error = ((squares - (tv - noise).powi(2)) / 200.0).sqrt();
            assert!((tv - noise).abs() < 4.0 * error, "{values} {observed} {generated}: {tv} {noise} {error}");
        }
        // X is 0, 1 or 2 of 3 drawn ones among 2 of 5, with 1, 6 and 3 in 10.
        let expected =
            [(0.0, 0.1), (1.0, 0.6), (2.0, 0.3)].map(|(x, p): (f64, f64)| p * (x / 3.0 - (2.0 - x) / 2.0).abs());
        assert!((LogFactorials::up_to(5).exchanged(3, 2, 2) - expected.iter().sum::<f64>()).abs() < 1e-12);
    }
}
