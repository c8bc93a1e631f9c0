//! How far generated rows are from the closest row of the truth: a copy has distance 0.

use serde::Serialize;

use crate::task::{Rows, Truth};

/// Numbers of columns in which a generated row and the closest row of the truth differ.
#[derive(Clone, Debug, Serialize)]
pub struct Closest {
    /// Share of the rows that are a row of the truth.
    pub copies: f64,
    /// Mean distance.
    pub mean: f64,
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
        let (real, width) = (truth.groups().rows(), truth.schema().width());
        let affordable = (BUDGET / (real.len() * width).max(1)).max(20);
        let count = generated.len().min(MOST_ROWS).min(affordable);
        let row = |place: usize| generated.row(place * generated.len() / count);
        let distance = |row: &[u16]| {
            let apart = |other: &[u16]| row.iter().zip(other).filter(|(a, b)| a != b).count();
            real.iter().map(apart).min().unwrap_or(width)
        };
        let mut distances: Vec<usize> = (0..count).map(|place| distance(row(place))).collect();
        distances.sort_unstable();
        let copies = distances.iter().filter(|distance| **distance == 0).count();
        Self {
            copies: copies as f64 / count as f64,
            mean: distances.iter().sum::<usize>() as f64 / count as f64,
            median: distances[count / 2],
            rows: count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Task;

    #[test]
    fn distances_count_columns_that_differ() {
        let truth = Task::named("permutations").unwrap().truth;
        let mut rows = Rows::new(11);
        rows.push(truth.groups().rows().row(5));
        let mut other = truth.groups().rows().row(7).to_vec();
        other[10] = super::super::UNSEEN;
        rows.push(&other);
        let closest = Closest::of(&truth, &rows);
        assert_eq!((closest.copies, closest.mean, closest.median, closest.rows), (0.5, 0.5, 1, 2));
    }
}
