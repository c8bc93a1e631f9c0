//! Counting what was generated for one condition: the ground on which the sampling metrics stand.

use super::distance::{Difference, Distance};
use super::population::{Outcome, Population};
use crate::task::Truth;

/// What was generated for one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The condition's number in the truth.
    pub group: usize,
    /// How often each of its rows was generated, in order of rank.
    pub counts: Vec<u64>,
    /// The same in every other sample, from the first on: two halves whose noise is independent.
    first: Vec<u64>,
    /// All samples.
    samples: u64,
    /// What failed, and why.
    pub failures: Failures,
}

/// Samples that are no row of their condition. One that misses several given columns counts for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Failed samples in all.
    pub total: u64,
    /// Rows of no condition.
    pub invalid: u64,
    /// By given column: rows of other conditions, none of which has the right value of it.
    pub missed: Vec<u64>,
}

impl Tally {
    /// Nothing generated yet for this condition.
    pub fn new(truth: &Truth, group: usize) -> Self {
        let (rows, columns) = (truth.count(group), truth.schema().given.len());
        let failures = Failures { missed: vec![0; columns], ..Failures::default() };
        Self { group, counts: vec![0; rows], first: vec![0; rows], samples: 0, failures }
    }

    /// What passed, all of it, by rank; the order of the samples is not known.
    pub fn of_counts(truth: &Truth, group: usize, counts: Vec<u64>) -> Self {
        Self { samples: counts.iter().sum(), counts, ..Self::new(truth, group) }
    }

    /// Counts generated values.
    pub fn add(&mut self, population: &Population, generated: &[u16]) {
        let condition = population.condition(self.group);
        match population.outcome(self.group, generated) {
            Outcome::Pass(rank) => {
                self.counts[rank] += 1;
                self.first[rank] += u64::from(self.samples.is_multiple_of(2));
            }
            Outcome::Fail(met) => {
                self.failures.total += 1;
                for (column, missed) in self.failures.missed.iter_mut().enumerate() {
                    *missed += u64::from(!met.has(column, condition[column]));
                }
            }
            Outcome::Invalid => self.failures.add_invalid(),
        }
        self.samples += 1;
    }

    /// Nothing generated yet for a condition of so many given columns that no row meets.
    pub fn of_nothing(columns: usize) -> Self {
        let failures = Failures { missed: vec![0; columns], ..Failures::default() };
        Self { group: usize::MAX, counts: Vec::new(), first: Vec::new(), samples: 0, failures }
    }

    /// Counts something from elsewhere that is no row at all.
    pub fn add_invalid(&mut self) {
        self.failures.add_invalid();
        self.samples += 1;
    }

    /// Counts a row from elsewhere that fails, with the given columns that it misses.
    pub fn add_failure(&mut self, missed: impl IntoIterator<Item = bool>) {
        self.failures.total += 1;
        self.failures.missed.iter_mut().zip(missed).for_each(|(count, missed)| *count += u64::from(missed));
        self.samples += 1;
    }

    /// Samples that pass: rows of the condition.
    pub fn passes(&self) -> u64 {
        self.samples - self.failures.total
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Share of the samples that pass, 0..=1; 0 without samples.
    pub fn pass_rate(&self) -> f64 {
        share(self.passes(), self.samples)
    }

    /// What the total variation from the truth follows from.
    pub fn distance(&self, truth: &Truth) -> Distance {
        let n = self.samples as f64;
        let halves = [self.samples.div_ceil(2) as f64, (self.samples / 2) as f64];
        let difference = |((count, first), p): ((&u64, &u64), &f64)| {
            let found = *count as f64 / n;
            if self.samples < 2 {
                return Difference { first: found - p, second: found - p, variance: 0.0, noise: 0.0, scale: 1.0 };
            }
            // Of a half; n / (n - 1) makes the estimate unbiased.
            let variance = |p: f64| p * (1.0 - p) * n / (n - 1.0) / (0.5 * n);
            Difference {
                first: *first as f64 / halves[0] - p,
                second: (*count - *first) as f64 / halves[1] - p,
                variance: variance(found),
                // A row that was never drawn has no noise, by its counts.
                noise: variance(found.max(*p)).sqrt(),
                scale: 1.0,
            }
        };
        let rows = self.counts.iter().zip(&self.first).zip(truth.probabilities(self.group));
        Distance::new(rows.map(difference), share(self.failures.total, self.samples))
    }
}

impl Failures {
    fn add_invalid(&mut self) {
        self.total += 1;
        self.invalid += 1;
    }

    /// Adds another count to this one.
    pub fn merge(&mut self, other: &Failures) {
        self.total += other.total;
        self.invalid += other.invalid;
        self.missed.resize(self.missed.len().max(other.missed.len()), 0);
        self.missed.iter_mut().zip(&other.missed).for_each(|(missed, other)| *missed += other);
    }

    /// Share of so many samples that are right in each given column alone: rows of some condition with its value.
    pub fn pass_by_column(&self, samples: u64) -> Vec<f64> {
        self.missed.iter().map(|missed| share(samples - self.invalid - missed, samples)).collect()
    }
}

/// `part / whole`, 0 where there is nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates::{self, Condition, Date, DateTokens, ValidDates};

    #[test]
    fn passes_and_every_kind_of_failure_are_told_apart() {
        let population = Population::new(dates::truth(&ValidDates::new()));
        let condition = Condition::of(Date::new(3, 12, 1962).unwrap());
        let mut tally = Tally::new(&population, population.find(&condition.row()).unwrap());
        let mut add = |indices| tally.add(&population, &DateTokens::from_indices(indices).unwrap().row());
        add([16, 11, 2, 2]); // 3-12-1962, a Monday
        add([16, 11, 2, 2]);
        add([16, 11, 2, 3]); // 4-12-1962, a Tuesday
        add([16, 1, 2, 29]); // 30-2-1962
        add([12, 1, 0, 2]); // 3-2-1920, a Tuesday of a leap year in another month and decade
        assert_eq!((tally.passes(), tally.samples()), (2, 5));
        let expected = Failures { total: 3, invalid: 1, missed: vec![2, 1, 1, 1] };
        assert_eq!(tally.failures, expected);
        assert_eq!(tally.pass_rate(), 0.4);
        assert_eq!(tally.failures.pass_by_column(5), [0.4, 0.6, 0.6, 0.6]);
        tally.add_invalid();
        assert_eq!((tally.samples(), tally.failures.invalid), (6, 2));
    }
}
