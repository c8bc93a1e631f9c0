//! Rows of a table as value indices.

use std::ops::Range;

/// Rows of value indices, `[n, width]`, stored one after the other: given columns, then generated ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    width: usize,
    values: Vec<u16>,
}

impl Rows {
    /// No rows, of so many columns.
    pub fn new(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    /// Rows of these values, one after the other.
    ///
    /// # Panics
    /// When they don't make whole rows.
    pub fn of_values(width: usize, values: Vec<u16>) -> Self {
        assert!(values.len().is_multiple_of(width.max(1)), "values that don't make whole rows");
        Self { width, values }
    }

    /// Columns of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[u16] {
        &self.values[row * self.width..][..self.width]
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Appends a row.
    ///
    /// # Panics
    /// When it has another number of columns.
    pub fn push(&mut self, row: &[u16]) {
        assert_eq!(row.len(), self.width, "a row of another width");
        self.values.extend_from_slice(row);
    }

    /// Appends rows of the same width.
    ///
    /// # Panics
    /// When they have another number of columns.
    pub fn extend(&mut self, rows: &Rows, range: Range<usize>) {
        assert_eq!(rows.width, self.width, "rows of another width");
        self.values.extend_from_slice(&rows.values[range.start * self.width..range.end * self.width]);
    }

    /// Removes all rows; the memory stays.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Takes over the rows of these numbers from another table.
    pub fn gather(&mut self, from: &Rows, rows: &[u32]) {
        self.width = from.width;
        self.values.clear();
        rows.iter().for_each(|row| self.values.extend_from_slice(from.row(*row as usize)));
    }
}

/// Rows by condition with their probabilities: what codes from the prior are paired with, and what is averaged per
/// condition.
#[derive(Clone, Debug)]
pub struct Groups {
    rows: Rows,
    // Where each condition's rows begin, and the end of the last.
    starts: Vec<usize>,
    longest: usize,
    // p(y | c) of each row.
    probabilities: Vec<f64>,
    uniform: bool,
}

impl Groups {
    /// Rows that come condition by condition: neighbours with the same first `given` values form a group, within which
    /// all have the same probability.
    pub fn new(rows: Rows, given: usize) -> Self {
        let weights = vec![1.0; rows.len()];
        Self::weighted(rows, given, weights)
    }

    /// The same with a weight for each row, above 0; those of a group are scaled to add up to 1.
    pub fn weighted(rows: Rows, given: usize, weights: Vec<f64>) -> Self {
        let mut starts = Vec::new();
        for row in 0..rows.len() {
            if row == 0 || rows.row(row)[..given] != rows.row(row - 1)[..given] {
                starts.push(row);
            }
        }
        starts.push(rows.len());
        let longest = starts.windows(2).map(|bounds| bounds[1] - bounds[0]).max().unwrap_or(0);
        let (mut probabilities, mut uniform) = (weights, true);
        for pair in starts.windows(2) {
            let group = &mut probabilities[pair[0]..pair[1]];
            let even = group.iter().all(|weight| *weight == group[0]);
            let sum = if even { group.len() as f64 * group[0] } else { group.iter().sum() };
            let share = 1.0 / group.len() as f64;
            group.iter_mut().for_each(|weight| *weight = if even { share } else { *weight / sum });
            uniform &= even;
        }
        Self { rows, starts, longest, probabilities, uniform }
    }

    /// The most rows of a condition.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Number of conditions that have rows.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows, condition by condition.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Which rows a condition has.
    pub fn range(&self, group: usize) -> Range<usize> {
        self.starts[group]..self.starts[group + 1]
    }

    /// p(y | c) of a condition's rows.
    pub fn probabilities(&self, group: usize) -> &[f64] {
        &self.probabilities[self.range(group)]
    }

    /// Whether every condition's rows have the same probability.
    pub fn is_uniform(&self) -> bool {
        self.uniform
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[[u16; 3]]) -> Rows {
        let mut rows = Rows::new(3);
        values.iter().for_each(|row| rows.push(row));
        rows
    }

    #[test]
    fn neighbours_of_one_condition_form_a_group() {
        let groups = Groups::new(rows(&[[0, 1, 5], [0, 1, 6], [0, 2, 5], [3, 0, 1]]), 2);
        let ranges: Vec<_> = (0..groups.len()).map(|group| groups.range(group)).collect();
        assert_eq!((ranges.as_slice(), groups.longest()), (&[0..2, 2..3, 3..4][..], 2));
        assert!(Groups::new(Rows::new(3), 2).is_empty());
    }

    #[test]
    fn gathered_rows_are_those_asked_for_in_their_order() {
        let all = rows(&[[0, 1, 5], [0, 1, 6], [0, 2, 5]]);
        let mut some = Rows::default();
        some.gather(&all, &[2, 0, 2]);
        assert_eq!(some, rows(&[[0, 2, 5], [0, 1, 5], [0, 2, 5]]));
        some.extend(&all, 1..3);
        assert_eq!((some.len(), some.row(3)), (5, all.row(1)));
    }
}
