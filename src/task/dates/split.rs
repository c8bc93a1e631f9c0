//! Seeded splits into training and test data: by condition (default) or by date.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::calendar::Date;
use super::condition::Condition;
use super::valid::ValidDates;
use crate::random::{Purpose, stream};

/// What is held out of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holdout {
    /// Whole conditions: no date of a held-out condition is trained on.
    #[default]
    Conditions,
    /// Whole classes of conditions, which share values of some given columns.
    Structured,
    /// Single dates, whatever their condition.
    #[serde(alias = "rows")]
    Dates,
}

/// Training and test dates.
#[derive(Clone, Debug)]
pub struct Split {
    /// Dates to train on, in order of time.
    pub train: Vec<Date>,
    /// Dates held out, in order of time.
    pub test: Vec<Date>,
    /// Conditions that no training date has, in order of index.
    pub held_out: Vec<Condition>,
    /// Conditions that some training date has, in order of index.
    pub seen: Vec<Condition>,
}

/// Why data can't be split.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// A share that leaves one side empty.
    #[error(
        "data.held_out: holding out a share of {0} leaves no training or no validation data; choose another share from 0.001 to 0.9, or give more data"
    )]
    Share(f64),
    /// Too few observations for a share.
    #[error(
        "data.held_out: a share of {share} of {count} observation{s} leaves no training or no validation data; {remedy}",
        s = if *count == 1 { "" } else { "s" },
        remedy = if *count > 1 { "hold out 0.5, or give more data" } else { "give more data" }
    )]
    Few {
        /// The share.
        share: f64,
        /// Number of observations.
        count: u64,
    },
    /// A structured split by a column that is not given.
    #[error("data.split_by: {name:?} is not a given column; the given columns are {known}")]
    Column {
        /// As written.
        name: String,
        /// The given columns.
        known: String,
    },
}

impl Split {
    /// Holds out this share of the conditions or dates, chosen by the seed.
    ///
    /// # Errors
    /// When the share lies outside 0.001 to 0.9.
    pub fn new(valid: &ValidDates, held: Holdout, share: f64, seed: u64) -> Result<Self, SplitError> {
        if !(0.001..=0.9).contains(&share) {
            return Err(SplitError::Share(share));
        }
        let conditions = valid.conditions();
        let mut random = stream(seed, Purpose::Split, 0);
        let mut is_test = |count: usize| {
            let mut order: Vec<usize> = (0..count).collect();
            order.shuffle(&mut random);
            let mut chosen = vec![false; count];
            let held = (count as f64 * share).round() as usize;
            order.iter().take(held).for_each(|index| chosen[*index] = true);
            chosen
        };
        let (mut train, mut test) = (Vec::new(), Vec::new());
        let dates = || conditions.iter().flat_map(|condition| valid.of(*condition));
        match held {
            // Splits into classes are those of any truth: `task::Split`.
            Holdout::Conditions | Holdout::Structured => {
                for (condition, is_test) in conditions.iter().zip(is_test(conditions.len())) {
                    if is_test { &mut test } else { &mut train }.extend(valid.of(*condition));
                }
            }
            Holdout::Dates => {
                for (date, is_test) in dates().zip(is_test(dates().count())) {
                    if is_test { &mut test } else { &mut train }.push(*date);
                }
            }
        }
        train.sort_unstable();
        test.sort_unstable();
        let mut trained = vec![false; Condition::COUNT];
        train.iter().for_each(|date| trained[Condition::of(*date).index()] = true);
        let (seen, held_out) = conditions.into_iter().partition(|condition| trained[condition.index()]);
        Ok(Self { train, test, held_out, seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_training_date_has_a_held_out_condition() {
        let valid = ValidDates::new();
        let split = Split::new(&valid, Holdout::Conditions, 0.1, 1).unwrap();
        assert_eq!(split.held_out.len(), 680);
        assert_eq!(split.seen.len() + split.held_out.len(), 6804);
        assert_eq!(split.train.len() + split.test.len(), 146_462);
        let held: std::collections::HashSet<_> = split.held_out.iter().collect();
        assert!(split.train.iter().all(|date| !held.contains(&Condition::of(*date))));
        assert!(split.test.iter().all(|date| held.contains(&Condition::of(*date))));
    }

    #[test]
    fn the_seed_decides_and_repeats() {
        let valid = ValidDates::new();
        for held in [Holdout::Conditions, Holdout::Dates] {
            let split = |seed| Split::new(&valid, held, 0.1, seed).unwrap().test;
            assert_eq!(split(1), split(1));
            assert_ne!(split(1), split(2));
        }
    }

    #[test]
    fn a_split_by_date_holds_out_dates_of_seen_conditions() {
        let valid = ValidDates::new();
        let split = Split::new(&valid, Holdout::Dates, 0.1, 1).unwrap();
        assert_eq!(split.test.len(), 14_646);
        assert!(split.held_out.len() < 10, "{}", split.held_out.len());
        assert!(Split::new(&valid, Holdout::Dates, 0.0, 1).is_err());
        assert!(Split::new(&valid, Holdout::Dates, f64::NAN, 1).is_err());
    }
}
