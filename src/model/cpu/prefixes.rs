//! Which rows share what a column's head sees: it is computed once for each such prefix.

use std::collections::HashMap;

use crate::task::Rows;

/// Where rows after the batch's own come from.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// They are the batch's rows again, in its order and as often as there is room.
    Again,
    /// So many at a time have one condition.
    Grouped(usize),
}

/// What a column's head is given, each different thing once.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// A row for each; columns from the head's own on are arbitrary.
    pub rows: Rows,
    /// Each row's place among them.
    pub picked: Vec<usize>,
}

impl Prefixes {
    /// Finds those of a head that sees the first `seen` columns; the first `batch` rows are taken as they are.
    pub fn find(&mut self, rows: &Rows, batch: usize, origin: Origin, seen: usize) {
        self.start(rows.width());
        self.rows.extend(rows, 0..batch);
        self.picked.extend(0..batch);
        match origin {
            Origin::Again => self.picked.extend((batch..rows.len()).map(|row| row % batch)),
            Origin::Grouped(size) => {
                for start in (batch..rows.len()).step_by(size) {
                    let first = self.rows.len();
                    for row in start..rows.len().min(start + size) {
                        let row = rows.row(row);
                        let known = (first..self.rows.len()).find(|known| self.rows.row(*known)[..seen] == row[..seen]);
                        self.picked.push(known.unwrap_or(self.rows.len()));
                        if known.is_none() {
                            self.rows.push(row);
                        }
                    }
                }
            }
        }
    }

    /// Begins with conditions alone, of rows `[n, width]` whose first `given` columns count.
    pub fn of_conditions<'a>(&mut self, conditions: impl Iterator<Item = &'a [u16]>, width: usize) {
        self.start(width);
        let mut known = HashMap::new();
        let mut last: Option<(&[u16], usize)> = None;
        let mut row = vec![0; width];
        for condition in conditions {
            let next = self.rows.len();
            // Equal conditions mostly come together.
            let place = match last {
                Some((before, place)) if before == condition => place,
                _ => *known.entry(condition).or_insert(next),
            };
            last = Some((condition, place));
            if place == next {
                row[..condition.len()].copy_from_slice(condition);
                self.rows.push(&row);
            }
            self.picked.push(place);
        }
    }

    /// Tells prefixes apart by the value of one more column, which has `size` values.
    pub fn split(&mut self, column: usize, values: &[u16], size: usize) {
        let mut places = vec![usize::MAX; self.rows.len() * size];
        let mut longer = Rows::new(self.rows.width());
        let mut row = vec![0; self.rows.width()];
        for (prefix, value) in self.picked.iter_mut().zip(values) {
            let place = &mut places[*prefix * size + usize::from(*value)];
            if *place == usize::MAX {
                *place = longer.len();
                row.copy_from_slice(self.rows.row(*prefix));
                row[column] = *value;
                longer.push(&row);
            }
            *prefix = *place;
        }
        self.rows = longer;
    }

    fn start(&mut self, width: usize) {
        self.picked.clear();
        if self.rows.width() == width { self.rows.clear() } else { self.rows = Rows::new(width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[[u16; 4]]) -> Rows {
        let mut all = Rows::new(4);
        rows.iter().for_each(|row| all.push(row));
        all
    }

    #[test]
    fn rows_that_agree_before_a_column_are_computed_once() {
        // One given column, three generated ones.
        let row = |condition, digit, day| [condition, 0, digit, day];
        let all = [row(0, 1, 1), row(0, 1, 1), row(1, 2, 3), row(1, 2, 4), row(1, 5, 3), row(2, 2, 3)];
        let mut prefixes = Prefixes::default();
        prefixes.find(&rows(&all), 2, Origin::Grouped(3), 1);
        assert_eq!(prefixes.picked, [0, 1, 2, 2, 2, 3]);
        prefixes.find(&rows(&all), 2, Origin::Grouped(3), 3);
        assert_eq!(prefixes.picked, [0, 1, 2, 2, 3, 4]);
        assert_eq!(prefixes.rows, rows(&[all[0], all[1], all[2], all[4], all[5]]));
        prefixes.find(&rows(&all), 3, Origin::Again, 3);
        assert_eq!((prefixes.picked.as_slice(), prefixes.rows.len()), ([0, 1, 2, 0, 1, 2].as_slice(), 3));
    }

    #[test]
    fn conditions_grow_into_prefixes_in_order_of_appearance() {
        let mut prefixes = Prefixes::default();
        let conditions: [&[u16]; 4] = [&[7], &[3], &[7], &[7]];
        prefixes.of_conditions(conditions.into_iter(), 4);
        assert_eq!(
            (prefixes.rows.clone(), prefixes.picked.as_slice()),
            (rows(&[[7, 0, 0, 0], [3, 0, 0, 0]]), [0, 1, 0, 0].as_slice())
        );
        prefixes.split(1, &[5, 5, 5, 6], 10);
        assert_eq!(prefixes.rows, rows(&[[7, 5, 0, 0], [3, 5, 0, 0], [7, 6, 0, 0]]));
        assert_eq!(prefixes.picked, [0, 1, 0, 2]);
    }
}
