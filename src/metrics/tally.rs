//! Counting what was generated for one condition: the ground on which the sampling metrics stand.

use crate::dates::{Condition, Date, DateTokens, Mismatch, Outcome, ValidDates};

/// What was generated for one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The condition.
    pub condition: Condition,
    /// How often each valid date was generated, in order of time.
    pub counts: Vec<u64>,
    /// What failed, and why.
    pub failures: Failures,
}

/// Samples that are no valid date of their condition. One that misses several fields counts for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Failed samples in all.
    pub total: u64,
    /// No such day, out of range, or no date at all.
    pub no_date: u64,
    /// On another weekday.
    pub weekday: u64,
    /// In another month.
    pub month: u64,
    /// Of another leap-year flag.
    pub leap: u64,
    /// In another decade.
    pub decade: u64,
}

impl Tally {
    /// Nothing generated yet for this condition.
    pub fn new(valid: &ValidDates, condition: Condition) -> Self {
        Self { condition, counts: vec![0; valid.of(condition).len()], failures: Failures::default() }
    }

    /// Counts generated tokens.
    pub fn add(&mut self, valid: &ValidDates, tokens: DateTokens) {
        match valid.outcome(self.condition, tokens) {
            Outcome::Pass(rank) => self.counts[rank] += 1,
            Outcome::Fail(met) => self.failures.add_mismatch(self.condition.differences(met)),
            Outcome::NoDate => self.failures.add_no_date(),
        }
    }

    /// Counts a date from elsewhere, or the lack of one.
    pub fn add_date(&mut self, valid: &ValidDates, date: Option<Date>) {
        match date {
            Some(date) => self.add(valid, DateTokens::of(date)),
            None => self.failures.add_no_date(),
        }
    }

    /// Samples that pass: existing dates in range that meet all four conditions.
    pub fn passes(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.passes() + self.failures.total
    }

    /// Share of the samples that pass, 0..=1; 0 without samples.
    pub fn pass_rate(&self) -> f64 {
        share(self.passes(), self.samples())
    }
}

impl Failures {
    /// Counts a date that misses these fields.
    pub fn add_mismatch(&mut self, miss: Mismatch) {
        self.total += 1;
        self.weekday += u64::from(miss.weekday);
        self.month += u64::from(miss.month);
        self.leap += u64::from(miss.leap);
        self.decade += u64::from(miss.decade);
    }

    /// Counts something that is no date.
    pub fn add_no_date(&mut self) {
        self.total += 1;
        self.no_date += 1;
    }

    /// Adds another count to this one.
    pub fn merge(&mut self, other: Failures) {
        self.total += other.total;
        self.no_date += other.no_date;
        self.weekday += other.weekday;
        self.month += other.month;
        self.leap += other.leap;
        self.decade += other.decade;
    }

    /// Share of so many samples that are dates and meet the weekday, the month, the leap-year flag and
    /// the decade, each taken alone.
    pub fn pass_by_field(self, samples: u64) -> [f64; 4] {
        let met = |missed: u64| share(samples - self.no_date - missed, samples);
        [self.weekday, self.month, self.leap, self.decade].map(met)
    }
}

/// `part / whole`, 0 where there is nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_and_every_kind_of_failure_are_told_apart() {
        let valid = ValidDates::new();
        let condition = Condition::of(Date::new(3, 12, 1962).unwrap());
        let mut tally = Tally::new(&valid, condition);
        let tokens = |decade, month, digit, day| DateTokens::from_indices([decade, month, digit, day]).unwrap();
        tally.add(&valid, tokens(16, 11, 2, 2)); // 3-12-1962, a Monday
        tally.add(&valid, tokens(16, 11, 2, 2));
        tally.add(&valid, tokens(16, 11, 2, 3)); // 4-12-1962, a Tuesday
        tally.add(&valid, tokens(16, 1, 2, 29)); // 30-2-1962
        tally.add(&valid, tokens(12, 1, 0, 2)); // 3-2-1920, a Tuesday of a leap year in another month and decade
        assert_eq!((tally.passes(), tally.samples()), (2, 5));
        let expected = Failures { total: 3, no_date: 1, weekday: 2, month: 1, leap: 1, decade: 1 };
        assert_eq!(tally.failures, expected);
        assert_eq!(tally.pass_rate(), 0.4);
        assert_eq!(tally.failures.pass_by_field(5), [0.4, 0.6, 0.6, 0.6]);
    }
}
