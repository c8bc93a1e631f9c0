//! Seeded splits of any truth into training and test data: by condition or by row.

use rand::seq::SliceRandom;

use super::dates::{Holdout, SplitError};
use super::{Kind, Notation, Rows, Truth, dates};
use crate::random::{Purpose, stream};

/// One side of a split.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its rows by condition. Probabilities are those within the part.
    pub truth: Truth,
    /// The same rows in the order in which training numbers them: of dates that of time.
    pub rows: Rows,
    /// Weights of these, p(c, y) up to a constant.
    pub weights: Vec<f64>,
}

/// Training and test data.
#[derive(Clone, Debug)]
pub struct Split {
    /// What is trained on.
    pub train: Part,
    /// What is held out.
    pub test: Part,
    /// Conditions of the whole truth that no training row has, in order.
    pub held_out: Vec<usize>,
    /// The other conditions.
    pub seen: Vec<usize>,
}

/// The most observations that a split by row tells apart; of more, equal ones are held out together.
const MOST_OBSERVATIONS: f64 = 1e7;

impl Split {
    /// Holds out a share of the conditions or of the rows. Of a sample it is always single observations.
    ///
    /// # Errors
    /// When the share leaves no training or no test data.
    pub fn of(truth: &Truth, held: Holdout, share: f64, seed: u64) -> Result<Self, SplitError> {
        let refused = || SplitError(share);
        if !(0.001..=0.9).contains(&share) {
            return Err(refused());
        }
        let mut random = stream(seed, Purpose::Split, 0);
        let mut is_test = |count: usize| {
            let mut order: Vec<usize> = (0..count).collect();
            order.shuffle(&mut random);
            let mut chosen = vec![false; count];
            let held = (count as f64 * share).round() as usize;
            order.iter().take(held).for_each(|index| chosen[*index] = true);
            chosen
        };
        let weights: Vec<f64> = (0..truth.len())
            .flat_map(|group| (0..truth.count(group)).map(move |rank| truth.weight(group, rank)))
            .collect();
        let held_out = Self::held_out_weights(truth, held, &weights, &mut is_test);
        // What rounding leaves is nothing.
        let rest = |(all, held): (&f64, &f64)| if all - held > 1e-6 * all { all - held } else { 0.0 };
        let rest: Vec<f64> = weights.iter().zip(&held_out).map(rest).collect();
        let (train, test) = (Part::new(truth, &rest), Part::new(truth, &held_out));
        if train.rows.is_empty() || test.rows.is_empty() {
            return Err(refused());
        }
        let is_seen = |group: &usize| train.truth.find(truth.condition(*group)).is_some();
        let (seen, held_out) = (0..truth.len()).partition(is_seen);
        Ok(Self { train, test, held_out, seen })
    }

    /// How much of each row's weight is held out.
    fn held_out_weights(
        truth: &Truth,
        held: Holdout,
        weights: &[f64],
        is_test: &mut impl FnMut(usize) -> Vec<bool>,
    ) -> Vec<f64> {
        let whole = |weight: &f64| (weight - weight.round()).abs() < 1e-6;
        let total: f64 = weights.iter().sum();
        if truth.kind() == Kind::Sample && total <= MOST_OBSERVATIONS && weights.iter().all(whole) {
            let counts: Vec<usize> = weights.iter().map(|weight| weight.round() as usize).collect();
            let mut chosen = is_test(counts.iter().sum()).into_iter();
            let held = |count: &usize| chosen.by_ref().take(*count).filter(|chosen| *chosen).count() as f64;
            return counts.iter().map(held).collect();
        }
        let by_row: Vec<bool> = match held {
            Holdout::Conditions if truth.kind() == Kind::Exact => {
                let chosen = is_test(truth.len());
                (0..truth.len()).flat_map(|group| vec![chosen[group]; truth.count(group)]).collect()
            }
            _ => is_test(weights.len()),
        };
        weights.iter().zip(by_row).map(|(weight, chosen)| if chosen { *weight } else { 0.0 }).collect()
    }
}

impl Part {
    /// Mean over the part's rows of H(y | c) of their conditions in the whole truth, nats: what no model's negative
    /// log-likelihood of them can be below. Each row counts by its weight.
    pub fn truth_entropy(&self, whole: &Truth) -> f64 {
        let group =
            |group| whole.find(self.truth.condition(group)).map_or(0.0, |whole_group| whole.entropy(whole_group));
        let parts = (0..self.truth.len()).map(|place| (self.truth.mass(place), group(place)));
        let (sum, mass) = parts.fold((0.0, 0.0), |(sum, all), (mass, entropy)| (sum + mass * entropy, all + mass));
        sum / mass
    }

    fn new(truth: &Truth, weights: &[f64]) -> Self {
        let all = truth.groups().rows();
        let mut kept: Vec<u32> = (0..all.len() as u32).filter(|row| weights[*row as usize] > 0.0).collect();
        let mut rows = Rows::default();
        rows.gather(all, &kept);
        let of = |kept: &[u32]| -> Vec<f64> { kept.iter().map(|row| weights[*row as usize]).collect() };
        let part = Truth::new(truth.schema().clone(), &rows, Some(&of(&kept)), truth.kind());
        if truth.schema().notation == Notation::Dates {
            kept.sort_by_key(|row| dates::time_key(all.row(*row as usize)));
            rows.gather(all, &kept);
        }
        Self { truth: part, rows, weights: of(&kept) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates::ValidDates;
    use crate::task::{Column, Schema, Task};

    #[test]
    fn dates_are_split_as_ever() {
        let valid = ValidDates::new();
        let truth = dates::truth(&valid);
        for held in [Holdout::Conditions, Holdout::Dates] {
            let (before, after) =
                (dates::Split::new(&valid, held, 0.1, 3).unwrap(), Split::of(&truth, held, 0.1, 3).unwrap());
            for (dates, part) in [(&before.train, &after.train), (&before.test, &after.test)] {
                assert_eq!(dates::rows(dates), part.rows);
                assert_eq!(dates::groups(dates).rows(), part.truth.groups().rows());
            }
            let conditions = |groups: &[usize]| groups.iter().map(|group| truth.condition(*group).to_vec()).collect();
            let rows = |conditions: &[dates::Condition]| conditions.iter().map(|c| c.row().to_vec()).collect();
            let (held_out, seen): (Vec<_>, Vec<_>) = (conditions(&after.held_out), conditions(&after.seen));
            assert_eq!((held_out, seen), (rows(&before.held_out), rows(&before.seen)));
        }
    }

    #[test]
    fn weights_and_conditions_are_shared_out_between_the_parts() {
        let truth = Task::named("weighted_dates").unwrap().truth;
        let split = Split::of(&truth, Holdout::Conditions, 0.1, 1).unwrap();
        assert_eq!((split.held_out.len(), split.seen.len()), (680, 6124));
        let group = split.held_out[5];
        let same = split.test.truth.find(truth.condition(group)).unwrap();
        assert!((split.test.truth.mass(same) - truth.mass(group)).abs() < 1e-9);
        assert!(split.train.truth.find(truth.condition(group)).is_none());
    }

    #[test]
    fn a_sample_holds_out_observations_of_rows_that_stay() {
        let column = |name| Column::new(name, (0..2).map(|value: usize| value.to_string()));
        let mut rows = Rows::new(2);
        [[0, 0], [0, 1], [1, 0]].iter().for_each(|row| rows.push(row));
        let sample = |weights: &[f64]| {
            let schema = Schema::new(vec![column("a")], vec![column("y")]);
            Truth::new(schema, &rows, Some(weights), Kind::Sample)
        };
        let split = Split::of(&sample(&[600.0, 300.0, 100.0]), Holdout::Conditions, 0.1, 1).unwrap();
        let total = |part: &Part| part.weights.iter().sum::<f64>();
        assert_eq!((total(&split.train), total(&split.test)), (900.0, 100.0));
        assert!(split.held_out.is_empty() && split.test.truth.len() == 2);
        assert!((split.train.truth.probabilities(0)[0] - 2.0 / 3.0).abs() < 0.03);
        assert!(Split::of(&sample(&[1.0, 0.0, 0.0]), Holdout::Conditions, 0.1, 1).is_err());
        assert!(Split::of(&sample(&[1.0; 3]), Holdout::Conditions, f64::NAN, 1).is_err());
    }
}
