//! How far generated rows are from the closest row of the truth: a copy has distance 0. Beside it, for a sample, how far
//! its own observations are from the closest other one: what rows show that copy nothing (Platzer and Reutterer 2021,
//! Holdout-based empirical assessment of mixed-type synthetic data).

use serde::Serialize;

use crate::task::{Kind, Rows, Truth};

/// Distances of generated rows, and of observations of a sample.
#[derive(Clone, Debug, Serialize)]
pub struct Closest {
    /// Those of generated rows.
    #[serde(flatten)]
    pub generated: Distances,
    /// Those of a sample's observations from the closest other one.
    pub holdout: Option<Distances>,
}

/// Numbers of columns in which rows and the closest row of the truth differ.
#[derive(Clone, Debug, Serialize)]
pub struct Distances {
    /// Share of the rows that are a row of the truth.
    pub copies: f64,
    /// Mean distance.
    pub mean: f64,
    /// Mean distance as a share of the columns (Hamming).
    pub mean_share: f64,
    /// Half of the rows are as close.
    pub median: usize,
    /// Rows that distances were computed for, spread evenly over all.
    pub rows: usize,
}

/// Values that are compared: a second or two.
const BUDGET: usize = 4_000_000_000;
/// Rows that distances are computed for, at most.
const MOST_ROWS: usize = 1000;

impl Closest {
    pub(super) fn of(truth: &Truth, generated: &Rows) -> Self {
        let real = truth.groups().rows();
        let whole = |group: usize| (0..truth.count(group)).map(move |rank| truth.weight(group, rank));
        let holdout = || {
            let counts: Vec<f64> = (0..truth.len()).flat_map(whole).collect();
            // A row that was observed twice has a copy of itself.
            let observed: Vec<usize> = counts
                .iter()
                .enumerate()
                .flat_map(|(row, count)| std::iter::repeat_n(row, (*count).clamp(1.0, 1e6) as usize))
                .collect();
            let nearest = |place: usize, most: usize| {
                let row = observed[place * observed.len() / most];
                match counts[row] > 1.0 {
                    true => 0,
                    false => distance(real, real.row(row), Some(row)),
                }
            };
            Distances::of(real, observed.len(), nearest)
        };
        let nearest = |place: usize, most: usize| distance(real, generated.row(place * generated.len() / most), None);
        Self {
            generated: Distances::of(real, generated.len(), nearest),
            holdout: (truth.kind() == Kind::Sample && real.len() > 1).then(holdout),
        }
    }
}

impl Distances {
    /// Of so many rows, or of some of them; `nearest` is given a row's place among how many.
    fn of(real: &Rows, rows: usize, nearest: impl Fn(usize, usize) -> usize) -> Self {
        let affordable = (BUDGET / (real.len() * real.width()).max(1)).max(20);
        let count = rows.min(MOST_ROWS).min(affordable);
        let mut distances: Vec<usize> = (0..count).map(|place| nearest(place, count)).collect();
        distances.sort_unstable();
        let copies = distances.iter().filter(|distance| **distance == 0).count();
        let mean = distances.iter().sum::<usize>() as f64 / count as f64;
        Self {
            copies: copies as f64 / count as f64,
            mean,
            mean_share: mean / real.width() as f64,
            median: distances[count / 2],
            rows: count,
        }
    }
}

/// The number of columns in which a row and the closest one differ, itself left out where it is one of them.
fn distance(real: &Rows, row: &[u16], itself: Option<usize>) -> usize {
    let apart = |other: &[u16]| row.iter().zip(other).filter(|(a, b)| a != b).count();
    let others = real.iter().enumerate().filter(|(place, _)| Some(*place) != itself);
    others.map(|(_, other)| apart(other)).min().unwrap_or(row.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Column, Schema, Task};

    #[test]
    fn distances_count_columns_that_differ() {
        let truth = Task::named("permutations").unwrap().truth;
        let mut rows = Rows::new(11);
        rows.push(truth.groups().rows().row(5));
        let mut other = truth.groups().rows().row(7).to_vec();
        other[10] = super::super::UNSEEN;
        rows.push(&other);
        let Closest { generated, holdout } = Closest::of(&truth, &rows);
        assert_eq!((generated.copies, generated.mean, generated.median, generated.rows), (0.5, 0.5, 1, 2));
        assert!((generated.mean_share - 0.5 / 11.0).abs() < 1e-12 && holdout.is_none());
    }

    #[test]
    fn observations_of_a_sample_are_compared_with_all_others() {
        let column = |name| Column::new(name, (0..3).map(|value: usize| value.to_string()));
        let mut rows = Rows::new(3);
        // Twice the same row, one that differs from it in one column, one that differs from the latter in two.
        [[0, 0, 0], [0, 0, 0], [0, 0, 1], [2, 2, 1]].iter().for_each(|row| rows.push(row));
        let schema = Schema::new(vec![column("a")], vec![column("x"), column("y")]);
        let truth = Truth::new(schema, &rows, None, Kind::Sample);
        let holdout = Closest::of(&truth, &rows).holdout.unwrap();
        assert_eq!((holdout.rows, holdout.copies, holdout.mean, holdout.median), (4, 0.5, 0.75, 1));
    }
}
