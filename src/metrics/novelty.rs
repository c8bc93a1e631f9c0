//! Which samples were trained on: a model that copies its training rows is told from one that found the rule.

use super::tally::{Tally, share};
use crate::task::{Rows, Truth};

/// The rows that a model was trained on.
#[derive(Clone, Debug)]
pub struct Trained {
    /// By condition, in order of rank.
    rows: Vec<Vec<bool>>,
}

impl Trained {
    /// Training rows, given and generated columns; what is no row of the truth is left out.
    pub fn new(truth: &Truth, train: &Rows) -> Self {
        let mut rows: Vec<Vec<bool>> = (0..truth.len()).map(|group| vec![false; truth.count(group)]).collect();
        for row in train.iter() {
            let (given, generated) = row.split_at(truth.schema().given.len());
            let group = truth.find(given);
            if let Some((group, rank)) = group.and_then(|group| Some((group, truth.rank(group, generated)?))) {
                rows[group][rank] = true;
            }
        }
        Self { rows }
    }

    /// Whether each of a condition's rows was trained on, in order of rank.
    pub fn of(&self, group: usize) -> &[bool] {
        &self.rows[group]
    }

    /// Whether no row of a condition was trained on.
    pub fn is_held_out(&self, group: usize) -> bool {
        !self.of(group).contains(&true)
    }

    /// Share of the samples, 0..=1, that are a training row of their condition. A perfect sampler shows the share of the
    /// condition's rows that were trained on; above it, a model prefers what it has seen.
    pub fn copied(&self, tally: &Tally) -> f64 {
        let trained = tally.counts.iter().zip(self.of(tally.group)).filter(|(_, trained)| **trained);
        share(trained.map(|(count, _)| count).sum(), tally.samples())
    }

    /// Share of a condition's mass, 0..=1, that was trained on: what [`Trained::copied`] is for a perfect sampler.
    pub fn share(&self, truth: &Truth, group: usize) -> f64 {
        let trained = truth.probabilities(group).iter().zip(self.of(group)).filter(|(_, trained)| **trained);
        trained.map(|(p, _)| p).sum()
    }

    /// Share of the condition's held-out rows generated at least once, 0..=1; none where all were trained on.
    pub fn held_out_coverage(&self, tally: &Tally) -> Option<f64> {
        let held_out = || tally.counts.iter().zip(self.of(tally.group)).filter(|(_, trained)| !**trained);
        let found = held_out().filter(|(count, _)| **count > 0).count() as u64;
        let all = held_out().count() as u64;
        (all > 0).then(|| share(found, all))
    }
}

#[cfg(test)]
mod tests {
    use super::super::population::Population;
    use super::*;
    use crate::task::dates::{self, Condition, Date, Holdout, Split, ValidDates};

    fn setting(holdout: Holdout) -> (Population, Split, Trained, usize) {
        let valid = ValidDates::new();
        let split = Split::new(&valid, holdout, 0.3, 1).unwrap();
        let population = Population::new(dates::truth(&valid));
        let trained = Trained::new(&population, &dates::rows(&split.train));
        let group = population.find(&Condition::of(Date::new(3, 12, 1962).unwrap()).row()).unwrap();
        (population, split, trained, group)
    }

    #[test]
    fn a_copy_of_the_training_set_holds_nothing_else() {
        let (population, split, trained, group) = setting(Holdout::Dates);
        let mut tally = Tally::new(&population, group);
        let rows = dates::rows(&split.train);
        let of_condition = rows.iter().filter(|row| row[..4] == *population.condition(group));
        of_condition.for_each(|row| tally.add(&population, &row[4..]));
        assert_eq!((trained.copied(&tally), trained.held_out_coverage(&tally)), (1.0, Some(0.0)));
    }

    #[test]
    fn a_perfect_sampler_copies_by_chance_only() {
        let (population, _, trained, group) = setting(Holdout::Dates);
        let mut tally = Tally::new(&population, group);
        population.generated(group).for_each(|row| tally.add(&population, row));
        assert!((trained.copied(&tally) - trained.share(&population, group)).abs() < 1e-12);
        assert!(trained.copied(&tally) > 0.4 && trained.copied(&tally) < 0.95);
        assert_eq!(trained.held_out_coverage(&tally), Some(1.0));
    }

    #[test]
    fn useless_samples_copy_nothing_and_whole_conditions_have_no_held_out_rows() {
        let (population, _, trained, group) = setting(Holdout::Dates);
        let mut tally = Tally::new(&population, group);
        tally.add_invalid();
        assert_eq!((trained.copied(&tally), trained.held_out_coverage(&tally)), (0.0, Some(0.0)));
        let (population, split, trained, _) = setting(Holdout::Conditions);
        let [seen, held_out] = [split.seen[0], split.held_out[0]].map(|c| population.find(&c.row()).unwrap());
        assert_eq!(trained.held_out_coverage(&Tally::new(&population, seen)), None);
        assert_eq!((trained.share(&population, held_out), trained.is_held_out(held_out)), (0.0, true));
        assert!(!trained.is_held_out(seen));
    }
}
