//! The truth about a task: for every condition its rows with their probabilities.

use std::ops::Range;

use super::{Groups, Rows, Schema};

/// What the rows of a truth are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole population: a row that is not among them is invalid.
    Exact,
    /// Observations: validity and coverage are against what was observed.
    Sample,
}

/// For every condition its rows with their probabilities, uniform or not.
///
/// Conditions are numbered in the order of their given values, and each condition's rows are in the order of their
/// generated values: the first column counts most.
#[derive(Clone, Debug)]
pub struct Truth {
    schema: Schema,
    kind: Kind,
    groups: Groups,
    // Weight of each condition: p(c) up to a constant.
    masses: Vec<f64>,
    // H(y | c) of each condition, nats.
    entropies: Vec<f64>,
    // How often each row was given.
    times: Vec<u32>,
}

impl Truth {
    /// The truth of these rows, each with a weight, its p(c, y) up to a constant; without weights all count 1. Rows come
    /// in any order. Weights of equal rows are added, and rows of weight 0 are left out.
    ///
    /// # Panics
    /// When rows have not the schema's columns or values, or weights are negative or fewer or more than rows.
    pub fn new(schema: Schema, rows: &Rows, weights: Option<&[f64]>, kind: Kind) -> Self {
        let width = schema.width();
        assert!(rows.is_empty() || rows.width() == width, "rows of other columns");
        assert!(weights.is_none_or(|weights| weights.len() == rows.len()), "one weight for each row");
        let sizes: Vec<usize> = schema.sizes().collect();
        let inside = |row: &[u16]| row.iter().zip(&sizes).all(|(value, size)| usize::from(*value) < *size);
        assert!(rows.iter().all(inside), "a value that its column has not");
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let before = |a: u32, b: u32| rows.row(a as usize) < rows.row(b as usize);
        if !order.is_sorted_by(|a, b| before(*a, *b)) {
            order.sort_unstable_by_key(|row| rows.row(*row as usize));
        }
        let (mut sorted, mut joint) = (Rows::new(width), Vec::<f64>::with_capacity(order.len()));
        let mut times = Vec::<u32>::with_capacity(order.len());
        for row in order.into_iter().map(|row| row as usize) {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            assert!(weight >= 0.0 && weight.is_finite(), "a weight of {weight}");
            let values = rows.row(row);
            match (joint.last_mut(), times.last_mut()) {
                _ if weight == 0.0 => (),
                (Some(last), Some(times)) if sorted.row(sorted.len() - 1) == values => {
                    *last += weight;
                    *times += 1;
                }
                _ => {
                    sorted.push(values);
                    joint.push(weight);
                    times.push(1);
                }
            }
        }
        let groups = Groups::weighted(sorted, schema.given.len(), joint.clone());
        let masses = (0..groups.len()).map(|group| joint[groups.range(group)].iter().sum()).collect();
        Self::of_groups(groups, masses, times, schema, kind)
    }

    fn of_groups(groups: Groups, masses: Vec<f64>, times: Vec<u32>, schema: Schema, kind: Kind) -> Self {
        let entropy = |group| {
            let rows: &[f64] = groups.probabilities(group);
            let even = rows.iter().all(|p| *p == rows[0]);
            if even { (rows.len() as f64).ln() } else { rows.iter().map(|p| -p * p.ln()).sum() }
        };
        let entropies = (0..groups.len()).map(entropy).collect();
        Self { schema, kind, groups, masses, entropies, times }
    }

    /// The columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether the rows are the whole population.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of conditions that have rows.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are no conditions at all.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All rows, condition by condition.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Whether every condition's rows have the same probability.
    pub fn is_uniform(&self) -> bool {
        self.groups.is_uniform()
    }

    /// Given values of a condition.
    pub fn condition(&self, group: usize) -> &[u16] {
        &self.groups.rows().row(self.groups.range(group).start)[..self.schema.given.len()]
    }

    /// The condition of these given values; none where no row has them.
    pub fn find(&self, given: &[u16]) -> Option<usize> {
        search(self.len(), |group| self.condition(group).cmp(given))
    }

    /// Number of a condition's rows.
    pub fn count(&self, group: usize) -> usize {
        self.groups.range(group).len()
    }

    /// Where a condition's rows stand among all.
    pub fn range(&self, group: usize) -> Range<usize> {
        self.groups.range(group)
    }

    /// Observations of each row: its weight where the weights of all are whole numbers, which count them, else how often it
    /// was given.
    pub fn observations(&self) -> Vec<u64> {
        let weights =
            || (0..self.len()).flat_map(|group| (0..self.count(group)).map(move |rank| self.weight(group, rank)));
        match weights().all(|weight| (weight - weight.round()).abs() < 1e-6) {
            true => weights().map(|weight| weight.round() as u64).collect(),
            false => self.times.iter().map(|times| u64::from(*times)).collect(),
        }
    }

    /// Generated values of a condition's rows, in order of rank.
    pub fn generated(&self, group: usize) -> impl ExactSizeIterator<Item = &[u16]> {
        self.groups.range(group).map(|row| self.generated_row(row))
    }

    fn generated_row(&self, row: usize) -> &[u16] {
        &self.groups.rows().row(row)[self.schema.given.len()..]
    }

    /// A condition's rows, given and generated values, in order of rank.
    pub fn rows(&self, group: usize) -> Rows {
        let mut rows = Rows::new(self.schema.width());
        rows.extend(self.groups.rows(), self.groups.range(group));
        rows
    }

    /// The rank of generated values among a condition's rows; none where the condition has no such row: invalid.
    pub fn rank(&self, group: usize, generated: &[u16]) -> Option<usize> {
        let range = self.groups.range(group);
        search(range.len(), |rank| self.generated_row(range.start + rank).cmp(generated))
    }

    /// p(y | c) of a condition's rows, in order of rank.
    pub fn probabilities(&self, group: usize) -> &[f64] {
        self.groups.probabilities(group)
    }

    /// A condition's weight: p(c) up to a constant; its number of rows where rows have no weights.
    pub fn mass(&self, group: usize) -> f64 {
        self.masses[group]
    }

    /// H(y | c), nats: what no model's negative log-likelihood can be below.
    pub fn entropy(&self, group: usize) -> f64 {
        self.entropies[group]
    }

    /// Mean H(y | c) over conditions by their weights, nats; NaN without conditions.
    pub fn mean_entropy(&self) -> f64 {
        let parts = self.masses.iter().zip(&self.entropies);
        parts.map(|(mass, entropy)| mass * entropy).sum::<f64>() / self.masses.iter().sum::<f64>()
    }

    /// p(c, y) of a row up to a constant, by its place among all.
    pub fn weight(&self, group: usize, rank: usize) -> f64 {
        self.masses[group] * self.probabilities(group)[rank]
    }

    /// The truth of some of the conditions, in rising order.
    pub fn subset(&self, groups: &[usize]) -> Self {
        let (mut rows, mut probabilities, mut times) = (Rows::new(self.schema.width()), Vec::new(), Vec::new());
        for group in groups {
            rows.extend(self.groups.rows(), self.range(*group));
            probabilities.extend(self.probabilities(*group));
            times.extend_from_slice(&self.times[self.range(*group)]);
        }
        let part = Groups::weighted(rows, self.schema.given.len(), probabilities);
        let masses = groups.iter().map(|group| self.masses[*group]).collect();
        Self::of_groups(part, masses, times, self.schema.clone(), self.kind)
    }
}

/// Binary search over `0..len`.
fn search(len: usize, compare: impl Fn(usize) -> std::cmp::Ordering) -> Option<usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(middle) {
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Column;

    fn schema() -> Schema {
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        Schema::new(vec![column("a", 3)], vec![column("x", 2), column("y", 3)])
    }

    fn rows(values: &[[u16; 3]]) -> Rows {
        let mut rows = Rows::new(3);
        values.iter().for_each(|row| rows.push(row));
        rows
    }

    #[test]
    fn weights_become_probabilities_within_a_condition_and_masses_of_conditions() {
        let all = rows(&[[2, 1, 0], [0, 1, 2], [0, 0, 1], [2, 1, 0], [0, 1, 1], [2, 0, 0]]);
        let truth = Truth::new(schema(), &all, Some(&[1.0, 1.0, 3.0, 2.0, 0.0, 3.0]), Kind::Sample);
        assert_eq!((truth.len(), truth.kind(), truth.is_uniform()), (2, Kind::Sample, false));
        assert_eq!((truth.condition(0), truth.condition(1)), (&[0][..], &[2][..]));
        assert_eq!((truth.find(&[2]), truth.find(&[1])), (Some(1), None));
        assert_eq!((truth.mass(0), truth.mass(1)), (4.0, 6.0));
        assert_eq!((truth.probabilities(0), truth.probabilities(1)), (&[0.75, 0.25][..], &[0.5, 0.5][..]));
        assert_eq!((truth.rank(0, &[1, 2]), truth.rank(0, &[1, 1]), truth.rank(1, &[1, 0])), (Some(1), None, Some(1)));
        assert_eq!((truth.weight(0, 1), truth.count(1)), (1.0, 2));
        let uneven = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((truth.entropy(0) - uneven).abs() < 1e-15 && truth.entropy(1) == 2f64.ln());
        assert!((truth.mean_entropy() - (0.4 * uneven + 0.6 * 2f64.ln())).abs() < 1e-15);
        let part = truth.subset(&[1]);
        assert_eq!((part.len(), part.mass(0), part.is_uniform()), (1, 6.0, true));
        assert_eq!((part.rows(0), part.find(&[2])), (truth.rows(1), Some(0)));
    }

    #[test]
    fn rows_without_weights_are_uniform_and_masses_count_them() {
        let truth = Truth::new(schema(), &rows(&[[1, 0, 0], [1, 0, 1], [1, 1, 2], [2, 0, 0]]), None, Kind::Exact);
        assert!(truth.is_uniform());
        assert_eq!((truth.mass(0), truth.entropy(0), truth.entropy(1)), (3.0, 3f64.ln(), 0.0));
        assert_eq!(truth.generated(0).collect::<Vec<_>>(), [&[0, 0][..], &[0, 1], &[1, 2]]);
        let none = Truth::new(schema(), &Rows::new(3), None, Kind::Exact);
        assert!(none.is_empty() && none.find(&[1]).is_none() && none.mean_entropy().is_nan());
    }
}
