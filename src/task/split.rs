//! Seeded splits of any truth into training, validation and sealed data: by condition, by classes of conditions that
//! share values, or by row.

use std::collections::BTreeMap;

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

/// What is kept from training, and how it is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitOptions {
    /// What is kept together. Of a sample it is always single observations.
    pub held: Holdout,
    /// The given columns that conditions of a structured split share; empty: all but the first.
    pub by: Vec<String>,
    /// Share for validation.
    pub held_out: f64,
    /// Share of the rest that is sealed: no experiment reads it but a release's final measurement.
    pub sealed: f64,
    /// Seed.
    pub seed: u64,
}

impl SplitOptions {
    /// A share of the conditions for validation, chosen by a seed, and nothing sealed.
    pub fn of_conditions(held_out: f64, seed: u64) -> Self {
        Self { held: Holdout::Conditions, by: Vec::new(), held_out, sealed: 0.0, seed }
    }
}

/// Training and test data.
#[derive(Clone, Debug)]
pub struct Split {
    /// What is trained on.
    pub train: Part,
    /// What is held out for validation: recipes are chosen by it.
    pub test: Part,
    /// Conditions of the whole truth that no training row has but validation rows have, in order.
    pub held_out: Vec<usize>,
    /// Conditions that training rows have.
    pub seen: Vec<usize>,
    /// The other conditions: sealed ones.
    pub sealed: Vec<usize>,
}

/// The most observations that a split by row tells apart; of more, equal ones are held out together.
const MOST_OBSERVATIONS: u64 = 10_000_000;

/// What is kept together, and of which part it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Train,
    Validation,
    Sealed,
}

impl Split {
    /// Splits a truth. Whatever is sealed, the same is held out for validation. Where the share of an exact truth's conditions
    /// comes to none of them, nothing is held out, and the test data are those that are trained on.
    ///
    /// # Errors
    /// When the shares leave no training or no validation data, or a structured split names no given column.
    pub fn of(truth: &Truth, options: &SplitOptions) -> Result<Self, SplitError> {
        if !(0.001..=0.9).contains(&options.held_out) || !(0.0..=0.9).contains(&options.sealed) {
            return Err(SplitError::Share(options.held_out));
        }
        let weights: Vec<f64> = (0..truth.len())
            .flat_map(|group| (0..truth.count(group)).map(move |rank| truth.weight(group, rank)))
            .collect();
        let [train, test, sealed] = weights_by_side(truth, &weights, options)?;
        let (train, mut test) = (Part::new(truth, &train), Part::new(truth, &test));
        let none_is_held = truth.kind() == Kind::Exact && held_count(truth.len(), options) == 0;
        if test.rows.is_empty() && none_is_held && options.held == Holdout::Conditions {
            test = train.clone();
        }
        if train.rows.is_empty() || test.rows.is_empty() {
            let count = truth.observations().iter().sum();
            return Err(SplitError::Few { share: options.held_out, count });
        }
        let (mut seen, mut held_out, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        for group in 0..truth.len() {
            let has = |part: &Part| part.truth.find(truth.condition(group)).is_some();
            let is_sealed = || truth.range(group).any(|row| sealed[row] > 0.0);
            let side = match (has(&train), has(&test)) {
                (true, _) => &mut seen,
                // A condition whose rows are held out for both is looked at no earlier than the sealed rows.
                (false, true) if !is_sealed() => &mut held_out,
                _ => &mut hidden,
            };
            side.push(group);
        }
        Ok(Self { train, test, held_out, seen, sealed: hidden })
    }
}

/// The weight of each row for training, validation and sealed.
fn weights_by_side(truth: &Truth, weights: &[f64], options: &SplitOptions) -> Result<[Vec<f64>; 3], SplitError> {
    if truth.kind() == Kind::Sample {
        let observations = truth.observations();
        let total: u64 = observations.iter().sum();
        if total <= MOST_OBSERVATIONS {
            let mut chosen = sides(total as usize, options).into_iter();
            let mut by_side = [(); 3].map(|()| vec![0.0; weights.len()]);
            for (row, (times, weight)) in observations.into_iter().zip(weights).enumerate() {
                // What lies beside a whole number is how it was written.
                let each = if (weight - times as f64).abs() < 1e-6 { 1.0 } else { weight / times as f64 };
                chosen.by_ref().take(times as usize).for_each(|side| by_side[side as usize][row] += each);
            }
            return Ok(by_side);
        }
    }
    let by_condition =
        |sides: &[Side]| (0..truth.len()).flat_map(|group| vec![sides[group]; truth.count(group)]).collect();
    let by_row: Vec<Side> = match options.held {
        Holdout::Conditions if truth.kind() == Kind::Exact => by_condition(&sides(truth.len(), options)),
        Holdout::Structured if truth.kind() == Kind::Exact => {
            let classes = classes(truth, &options.by)?;
            let of_class = sides(classes.iter().max().map_or(0, |last| last + 1), options);
            by_condition(&classes.iter().map(|class| of_class[*class]).collect::<Vec<_>>())
        }
        _ => sides(weights.len(), options),
    };
    Ok([Side::Train, Side::Validation, Side::Sealed].map(|side| {
        weights.iter().zip(&by_row).map(|(weight, of_row)| if *of_row == side { *weight } else { 0.0 }).collect()
    }))
}

/// The side of each of so many things that are kept together.
fn sides(count: usize, options: &SplitOptions) -> Vec<Side> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut stream(options.seed, Purpose::Split, 0));
    let mut sides = vec![Side::Train; count];
    let (held, rest) = order.split_at_mut(held_count(count, options));
    held.iter().for_each(|place| sides[*place] = Side::Validation);
    rest.sort_unstable();
    // A stream of its own: what is held out for validation does not depend on what is sealed.
    rest.shuffle(&mut stream(options.seed, Purpose::Split, 1));
    let sealed = (rest.len() as f64 * options.sealed).round() as usize;
    rest[..sealed].iter().for_each(|place| sides[*place] = Side::Sealed);
    sides
}

/// How many of so many things are held out for validation.
fn held_count(count: usize, options: &SplitOptions) -> usize {
    (count as f64 * options.held_out).round() as usize
}

/// The class of each condition: conditions of one class have the same values of these given columns.
fn classes(truth: &Truth, by: &[String]) -> Result<Vec<usize>, SplitError> {
    let given = &truth.schema().given;
    let column = |name: &String| {
        let known = || given.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let place = given.iter().position(|column| column.name == *name);
        place.ok_or_else(|| SplitError::Column { name: name.clone(), known: known() })
    };
    let columns = match by {
        [] => (1..given.len()).collect(),
        by => by.iter().map(column).collect::<Result<Vec<usize>, _>>()?,
    };
    let mut known: BTreeMap<Vec<u16>, usize> = BTreeMap::new();
    let class = |group: usize| {
        let condition = truth.condition(group);
        let next = known.len();
        *known.entry(columns.iter().map(|column| condition[*column]).collect()).or_insert(next)
    };
    Ok((0..truth.len()).map(class).collect())
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
            let (before, after) = (
                dates::Split::new(&valid, held, 0.1, 3).unwrap(),
                Split::of(&truth, &SplitOptions { held, ..SplitOptions::of_conditions(0.1, 3) }).unwrap(),
            );
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
        let split = Split::of(&truth, &SplitOptions::of_conditions(0.1, 1)).unwrap();
        assert_eq!((split.held_out.len(), split.seen.len()), (680, 6124));
        let group = split.held_out[5];
        let same = split.test.truth.find(truth.condition(group)).unwrap();
        assert!((split.test.truth.mass(same) - truth.mass(group)).abs() < 1e-9);
        assert!(split.train.truth.find(truth.condition(group)).is_none());
    }

    #[test]
    fn sealed_conditions_are_in_no_other_part_and_leave_validation_as_it_was() {
        let truth = Task::named("dates").unwrap().truth;
        let options = SplitOptions::of_conditions(0.1, 1);
        let (open, sealed) = (
            Split::of(&truth, &options).unwrap(),
            Split::of(&truth, &SplitOptions { sealed: 0.1, ..options.clone() }).unwrap(),
        );
        assert_eq!((&open.held_out, open.sealed.len()), (&sealed.held_out, 0));
        assert_eq!((sealed.held_out.len(), sealed.sealed.len(), sealed.seen.len()), (680, 612, 5512));
        for group in &sealed.sealed {
            let condition = truth.condition(*group);
            assert!(sealed.train.truth.find(condition).is_none() && sealed.test.truth.find(condition).is_none());
        }
        let other = Split::of(&truth, &SplitOptions { seed: 2, sealed: 0.1, ..options.clone() }).unwrap();
        assert_ne!(other.sealed, sealed.sealed);
        assert!(Split::of(&truth, &SplitOptions { sealed: 0.95, ..options }).is_err());
    }

    #[test]
    fn a_structured_split_holds_out_whole_classes_of_conditions() {
        let truth = Task::named("dates").unwrap().truth;
        let options = SplitOptions { held: Holdout::Structured, ..SplitOptions::of_conditions(0.1, 1) };
        let split = Split::of(&truth, &options).unwrap();
        // Whatever its weekday: all conditions of a month, leap flag and decade are held out, or none.
        let class = |group: &usize| truth.condition(*group)[1..].to_vec();
        let held: std::collections::BTreeSet<_> = split.held_out.iter().map(class).collect();
        assert!(!split.seen.iter().any(|group| held.contains(&class(group))));
        assert_eq!((held.len(), split.held_out.len()), (97, 679));
        // Whole decades, some of them sealed.
        let by = vec!["decade".to_owned()];
        let split = Split::of(&truth, &SplitOptions { by, sealed: 0.2, ..options.clone() }).unwrap();
        let decades = |groups: &[usize]| {
            groups.iter().map(|group| truth.condition(*group)[3]).collect::<std::collections::BTreeSet<u16>>().len()
        };
        assert_eq!([&split.seen, &split.held_out, &split.sealed].map(|groups| decades(groups)), [30, 4, 7]);
        let error =
            Split::of(&truth, &SplitOptions { by: vec!["year".to_owned()], ..options }).unwrap_err().to_string();
        assert!(error.contains("\"year\"") && error.contains("weekday, month, leap, decade"), "{error}");
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
        let split = Split::of(&sample(&[600.0, 300.0, 100.0]), &SplitOptions::of_conditions(0.1, 1)).unwrap();
        let total = |part: &Part| part.weights.iter().sum::<f64>();
        assert_eq!((total(&split.train), total(&split.test)), (900.0, 100.0));
        assert!(split.held_out.is_empty() && split.test.truth.len() == 2);
        assert!((split.train.truth.probabilities(0)[0] - 2.0 / 3.0).abs() < 0.03);
        let error = Split::of(&sample(&[1.0, 0.0, 0.0]), &SplitOptions::of_conditions(0.1, 1)).unwrap_err();
        assert!(error.to_string().contains("a share of 0.1 of 1 observation"), "{error}");
        assert!(Split::of(&sample(&[1.0; 3]), &SplitOptions::of_conditions(f64::NAN, 1)).is_err());
    }

    #[test]
    fn observations_are_held_out_whatever_the_scale_of_their_weights() {
        let column = |name| Column::new(name, (0..2).map(|value: usize| value.to_string()));
        let split = |scale: f64| {
            let mut rows = Rows::new(2);
            let mut weights = Vec::new();
            for number in 0..1000u16 {
                rows.push(&[number % 2, number / 2 % 2]);
                weights.push(scale * f64::from(1 + number % 3));
            }
            let schema = Schema::new(vec![column("a")], vec![column("y")]);
            let truth = Truth::new(schema, &rows, Some(&weights), Kind::Sample);
            (Split::of(&truth, &SplitOptions::of_conditions(0.1, 1)).unwrap(), weights.iter().sum::<f64>())
        };
        for scale in [0.5, 1.0, 1.1] {
            let (split, total) = split(scale);
            let share = |part: &Part| part.weights.iter().sum::<f64>() / total;
            assert!((share(&split.test) - 0.1).abs() < 0.01 && (share(&split.train) - 0.9).abs() < 0.01, "{scale}");
            assert_eq!((split.train.rows.len(), split.test.rows.len()), (4, 4), "{scale}");
        }
    }

    #[test]
    fn of_too_few_conditions_for_the_share_none_is_held_out() {
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        let truth = |conditions: u16| {
            let mut rows = Rows::new(2);
            (0..conditions).for_each(|given| [0, 1].iter().for_each(|value| rows.push(&[given, *value])));
            let schema = Schema::new(vec![column("a", 9)], vec![column("y", 2)]);
            Truth::new(schema, &rows, None, Kind::Exact)
        };
        let few = Split::of(&truth(4), &SplitOptions::of_conditions(0.1, 1)).unwrap();
        assert_eq!((few.seen.len(), few.held_out.len(), few.test.rows.len()), (4, 0, 8));
        let more = Split::of(&truth(5), &SplitOptions::of_conditions(0.1, 1)).unwrap();
        assert_eq!((more.seen.len(), more.held_out.len(), more.test.rows.len()), (4, 1, 2));
    }
}
