//! What trials are trained and tested on.

use super::evaluation::TestData;
use super::order::Order;
use crate::metrics::Population;
use crate::random::{Cumulative, Purpose, stream};
use crate::task::{Groups, Kind, Notation, Part, Rows, Split};

/// The data of a split; several trials may share it.
#[derive(Debug)]
pub struct TrialData<'a> {
    pub(super) train: Rows,
    pub(super) train_groups: Groups,
    // Weights of training rows and of conditions.
    weights: Vec<f64>,
    masses: Vec<f64>,
    // Probabilities of training rows given their condition.
    shares: Vec<f64>,
    /// Mean entropy of training rows given their condition, by the conditions' masses and with each counted once, nats.
    entropies: Option<[f64; 2]>,
    pub(super) test: TestData<'a>,
    /// Rows on which a model of a sample is chosen, single observations; none of an exact truth.
    pub(super) validation: Option<Rows>,
}

/// Rows of the conditions that evaluations look at, at the most: all of the tasks that the program knows.
const MOST_MEASURED: usize = 200_000;
/// Conditions of a sample that evaluations look at, at the most: about as many as dates have.
const MOST_CONDITIONS: usize = 7000;
/// Test rows that losses are computed over, at the most, where they are drawn.
const MOST_TESTED: usize = 20_000;
/// Observations that a model is chosen on.
const MOST_VALIDATED: usize = 2000;

impl<'a> TrialData<'a> {
    /// The data of a split of a population.
    pub fn new(population: &'a Population, split: &Split) -> Self {
        let Split { train, test, held_out, seen, .. } = split;
        let masses = (0..train.truth.len()).map(|group| train.truth.mass(group)).collect();
        let given = train.truth.schema().given.len();
        let mass = |row: &[u16]| train.truth.find(&row[..given]).map_or(1.0, |group| train.truth.mass(group));
        let shares = train.rows.iter().zip(&train.weights).map(|(row, weight)| weight / mass(row)).collect();
        let measured: usize = seen.iter().chain(held_out).map(|group| population.count(*group)).sum();
        let most_conditions = if population.kind() == Kind::Sample { MOST_CONDITIONS } else { usize::MAX };
        let conditions = seen.len() + held_out.len();
        let stride = measured.div_ceil(MOST_MEASURED).max(conditions.div_ceil(most_conditions)).max(1);
        let thin = |groups: &[usize]| groups.iter().copied().step_by(stride).collect();
        let (rows, groups) = tested(test);
        let validation = (population.kind() == Kind::Sample).then(|| {
            let mut some = Rows::new(rows.width());
            some.extend(&rows, 0..rows.len().min(MOST_VALIDATED));
            some
        });
        Self {
            train: train.rows.clone(),
            train_groups: train.truth.groups().clone(),
            weights: train.weights.clone(),
            masses,
            shares,
            entropies: (population.kind() == Kind::Exact).then(|| {
                let truth = &train.truth;
                let sum: f64 = (0..truth.len()).map(|group| truth.entropy(group)).sum();
                [truth.mean_entropy(), sum / truth.len() as f64]
            }),
            test: TestData { population, train: thin(seen), validation: thin(held_out), rows, groups },
            validation,
        }
    }

    /// Whether the thresholds and limits of dates fit.
    pub(super) fn is_dates(&self) -> bool {
        self.test.population.schema().notation == Notation::Dates
    }

    /// H(row | condition) of the training rows as they are drawn, nats; none of a sample, whose rows do not tell it.
    pub(super) fn entropy(&self, balanced: bool) -> Option<f64> {
        let [by_mass, by_condition] = self.entropies?;
        Some(if balanced { by_condition } else { by_mass })
    }

    /// The order in which training rows come: by their probability, or by that given their condition alone.
    pub(super) fn row_order(&self, batch: usize, seed: u64, balanced: bool) -> Order {
        if balanced {
            return Order::weighted(&self.shares, batch, Purpose::Order, seed);
        }
        Order::weighted(&self.weights, batch, Purpose::Order, seed)
    }

    /// The order in which conditions come whose codes are paired.
    pub(super) fn condition_order(&self, batch: usize, seed: u64, balanced: bool) -> Order {
        match balanced || self.train_groups.is_uniform() {
            // Where rows are equally likely, conditions take turns.
            true => Order::of_each(self.masses.len(), batch, Purpose::Conditions, seed),
            false => Order::weighted(&self.masses, batch, Purpose::Conditions, seed),
        }
    }
}

/// The test rows: all of them, or some drawn by their weights where these differ.
fn tested(test: &Part) -> (Rows, Groups) {
    let groups = test.truth.groups().clone();
    let even = test.weights.iter().all(|weight| *weight == test.weights[0]);
    if even && (test.rows.len() <= MOST_TESTED || test.truth.schema().notation == Notation::Dates) {
        return (test.rows.clone(), groups);
    }
    let (choose, mut random) = (Cumulative::new(&test.weights), stream(0, Purpose::TestNoise, 2));
    let drawn: Vec<u32> = (0..MOST_TESTED.min(4 * test.rows.len())).map(|_| choose.draw(&mut random) as u32).collect();
    let mut rows = Rows::default();
    rows.gather(&test.rows, &drawn);
    // Conditions spread evenly over all, where there are very many.
    let stride = groups.len().div_ceil(MOST_VALIDATED).max(1);
    let some: Vec<usize> = (0..groups.len()).step_by(stride).collect();
    (rows, test.truth.subset(&some).groups().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{SplitOptions, Task};

    #[test]
    fn data_of_a_weighted_task_are_drawn_by_weight() {
        let population = Population::new(Task::named("weighted_dates").unwrap().truth);
        let split = Split::of(&population, &SplitOptions::of_conditions(0.1, 1)).unwrap();
        let data = TrialData::new(&population, &split);
        assert!(!data.is_dates() && data.validation.is_none());
        // Shares of a condition's rows add up to 1, so that balanced batches have each condition equally often.
        let sum: f64 = data.shares.iter().sum();
        assert!((sum - data.train_groups.len() as f64).abs() < 1e-6, "{sum}");
        let mut conditions = vec![0; population.len()];
        let mut order = data.row_order(50_000, 1, true);
        for row in order.rows(0) {
            conditions[population.find(&data.train.row(*row as usize)[..4]).unwrap()] += 1;
        }
        let expected = 50_000.0 / data.train_groups.len() as f64;
        let excess: f64 = split.seen.iter().map(|group| (f64::from(conditions[*group]) - expected).powi(2)).sum();
        let dispersion = excess / (split.seen.len() as f64 * expected);
        assert!((0.9..1.1).contains(&dispersion), "{dispersion}");
        // Half of the mass of a condition is on its first row.
        let first =
            data.test.rows.iter().filter(|row| {
                population.find(&row[..4]).and_then(|group| population.rank(group, &row[4..])) == Some(0)
            });
        let share = first.count() as f64 / data.test.rows.len() as f64;
        assert!((share - 0.5).abs() < 0.02, "{share}");
    }
}
