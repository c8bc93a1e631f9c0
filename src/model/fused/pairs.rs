//! Conditions with dates as plain indices, and which of them share what comes before a field.

use tch::Tensor;
use tch::kind::Element;

use crate::dates::{CONDITION_FIELDS, DATE_FIELDS};

/// A condition and a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    pub condition: [usize; 4],
    pub date: [usize; 4],
}

impl Pair {
    /// Rows of the encoder's table.
    pub fn encoder_rows(&self) -> [usize; 8] {
        let mut rows = [0; 8];
        let mut start = 0;
        let indices = self.condition.iter().chain(&self.date);
        let sizes = CONDITION_FIELDS.iter().chain(&DATE_FIELDS);
        for (row, (index, size)) in rows.iter_mut().zip(indices.zip(sizes)) {
            *row = start + index;
            start += size;
        }
        rows
    }

    /// Rows of the trunk's condition table.
    pub fn condition_rows(&self) -> [usize; 4] {
        let rows = self.encoder_rows();
        [rows[0], rows[1], rows[2], rows[3]]
    }

    /// Rows of the trunk's prefix table; those of the fields before a field come first.
    pub fn prefix_rows(&self) -> [usize; 3] {
        [self.date[0], DATE_FIELDS[0] + self.date[1], DATE_FIELDS[0] + DATE_FIELDS[1] + self.date[2]]
    }

    /// Whether a field's head is given the same for both.
    fn same_before(&self, other: &Self, field: usize) -> bool {
        self.condition == other.condition && self.date[..field] == other.date[..field]
    }
}

/// Copies a tensor's numbers out.
pub fn read<T: Element + Copy + Default>(tensor: &Tensor, into: &mut Vec<T>) {
    into.resize(tensor.numel(), T::default());
    tensor.copy_data(into, tensor.numel());
}

/// Condition `[n, 4]` and date `[n, 4]` as pairs.
pub fn read_pairs(condition: &Tensor, date: &Tensor, into: &mut Vec<Pair>) {
    let (mut conditions, mut dates) = (Vec::<i64>::new(), Vec::<i64>::new());
    read(condition, &mut conditions);
    read(date, &mut dates);
    into.clear();
    let rows = conditions.as_chunks::<4>().0.iter().zip(dates.as_chunks::<4>().0);
    into.extend(rows.map(|(condition, date)| Pair {
        condition: condition.map(|index| index as usize),
        date: date.map(|index| index as usize),
    }));
}

/// Where rows after the batch's own come from.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// They are the batch's pairs again.
    Again,
    /// So many at a time have one condition.
    Grouped(usize),
}

/// What a field's head is given, each different thing once.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// A pair for each.
    pub pairs: Vec<Pair>,
    /// Each row's place among them.
    pub picked: Vec<usize>,
}

impl Prefixes {
    /// Finds those of a field; the first `batch` rows are taken as they are.
    pub fn find(&mut self, pairs: &[Pair], batch: usize, origin: Origin, field: usize) {
        self.pairs.clear();
        self.picked.clear();
        self.pairs.extend(&pairs[..batch]);
        self.picked.extend(0..batch);
        match origin {
            Origin::Again => self.picked.extend(0..pairs.len() - batch),
            Origin::Grouped(size) => {
                for group in pairs[batch..].chunks(size) {
                    let first = self.pairs.len();
                    for pair in group {
                        let known = self.pairs[first..].iter().position(|known| known.same_before(pair, field));
                        self.picked.push(first + known.unwrap_or(self.pairs.len() - first));
                        if known.is_none() {
                            self.pairs.push(*pair);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_in_their_fields_blocks() {
        let last = Pair { condition: [6, 11, 1, 40], date: [40, 11, 9, 30] };
        assert_eq!(last.encoder_rows(), [6, 18, 20, 61, 102, 114, 124, 155]);
        assert_eq!((last.condition_rows(), last.prefix_rows()), ([6, 18, 20, 61], [40, 52, 62]));
    }

    #[test]
    fn pairs_that_agree_before_a_field_are_computed_once() {
        let pair = |condition, digit, day| Pair { condition: [condition, 0, 0, 0], date: [0, 0, digit, day] };
        let rows = [pair(0, 1, 1), pair(0, 1, 1), pair(1, 2, 3), pair(1, 2, 4), pair(1, 5, 3), pair(2, 2, 3)];
        let mut prefixes = Prefixes::default();
        prefixes.find(&rows, 2, Origin::Grouped(3), 0);
        assert_eq!(prefixes.picked, [0, 1, 2, 2, 2, 3]);
        prefixes.find(&rows, 2, Origin::Grouped(3), 3);
        assert_eq!(prefixes.picked, [0, 1, 2, 2, 3, 4]);
        assert_eq!(prefixes.pairs, [rows[0], rows[1], rows[2], rows[4], rows[5]]);
        prefixes.find(&rows, 3, Origin::Again, 3);
        assert_eq!((prefixes.picked.as_slice(), prefixes.pairs.len()), ([0, 1, 2, 0, 1, 2].as_slice(), 3));
    }
}
