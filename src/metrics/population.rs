//! What generated rows amount to: rows of their condition, of another one, or of none.

use std::collections::HashMap;
use std::ops::Deref;

use crate::task::{Schema, Truth};

/// A truth, and which given values each generated row is found with.
#[derive(Clone, Debug)]
pub struct Population {
    truth: Truth,
    // For each generated row the given values of the conditions that have it, as bits: all columns' values in a row.
    given: HashMap<Box<[u16]>, Box<[u64]>>,
    // Each given column's first bit.
    offsets: Vec<usize>,
}

/// What a generated row amounts to under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A row of the condition: its rank.
    Pass(usize),
    /// A row of other conditions.
    Fail(Met<'a>),
    /// A row of no condition.
    Invalid,
}

/// The given values that a generated row is found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met<'a> {
    bits: &'a [u64],
    offsets: &'a [usize],
}

impl Met<'_> {
    /// Whether some condition with this value of a given column has the row.
    pub fn has(self, column: usize, value: u16) -> bool {
        let bit = self.offsets[column] + usize::from(value);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1
    }
}

impl Deref for Population {
    type Target = Truth;

    fn deref(&self) -> &Truth {
        &self.truth
    }
}

impl Population {
    /// Looks up every row of a truth: tens of milliseconds for the 146,462 dates.
    pub fn new(truth: Truth) -> Self {
        let mut bits = 0;
        let offsets: Vec<usize> = truth.schema().given.iter().map(|column| (bits, bits += column.size()).0).collect();
        let mut given: HashMap<Box<[u16]>, Box<[u64]>> = HashMap::with_capacity(truth.groups().rows().len());
        for group in 0..truth.len() {
            for generated in truth.generated(group) {
                if !given.contains_key(generated) {
                    given.insert(generated.into(), vec![0; bits.div_ceil(64)].into());
                }
                let Some(met) = given.get_mut(generated) else { continue };
                for (offset, value) in offsets.iter().zip(truth.condition(group)) {
                    let bit = offset + usize::from(*value);
                    met[bit / 64] |= 1 << (bit % 64);
                }
            }
        }
        Self { truth, given, offsets }
    }

    /// What generated values amount to under a condition.
    pub fn outcome(&self, group: usize, generated: &[u16]) -> Outcome<'_> {
        match (self.truth.rank(group, generated), self.given.get(generated)) {
            (Some(rank), _) => Outcome::Pass(rank),
            (None, Some(bits)) => Outcome::Fail(Met { bits, offsets: &self.offsets }),
            (None, None) => Outcome::Invalid,
        }
    }
}

/// A number for a condition that depends on its values alone: what its random streams are told apart by, whichever
/// conditions a truth has. Of dates it is the dense index of the condition.
pub fn stream_index(schema: &Schema, given: &[u16]) -> u64 {
    let sizes = schema.given.iter().map(|column| column.size() as u64);
    given.iter().zip(sizes).fold(0u64, |index, (value, size)| index.wrapping_mul(size).wrapping_add(u64::from(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates::{self, Condition, Date, DateTokens, ValidDates};
    use crate::task::{Column, Kind, Rows};

    #[test]
    fn every_combination_of_tokens_amounts_to_what_the_calendar_says() {
        let valid = ValidDates::new();
        let population = Population::new(dates::truth(&valid));
        let condition = Condition::of(Date::new(3, 12, 1962).unwrap());
        let group = population.find(&condition.row()).unwrap();
        assert_eq!(stream_index(population.schema(), &condition.row()), condition.index() as u64);
        for index in (0..DateTokens::COUNT).step_by(7) {
            let indices = [index / 3720, index / 310 % 12, index / 31 % 10, index % 31];
            let tokens = DateTokens::from_indices(indices).unwrap();
            match (valid.outcome(condition, tokens), population.outcome(group, &tokens.row())) {
                (dates::Outcome::Pass(rank), Outcome::Pass(found)) => assert_eq!(rank, found),
                (dates::Outcome::Fail(other), Outcome::Fail(met)) => {
                    let same = condition.row().iter().zip(other.row()).map(|(a, b)| *a == b).collect::<Vec<_>>();
                    let found: Vec<bool> = (0..4).map(|column| met.has(column, condition.row()[column])).collect();
                    assert_eq!(found, same);
                }
                (dates::Outcome::NoDate, Outcome::Invalid) => (),
                (expected, found) => panic!("{tokens}: {expected:?} {found:?}"),
            }
        }
    }

    #[test]
    fn a_row_of_several_conditions_is_right_in_a_column_if_one_of_them_has_its_value() {
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        let schema = Schema::new(vec![column("a", 70), column("b", 2)], vec![column("y", 3)]);
        let mut rows = Rows::new(3);
        [[0, 0, 1], [69, 1, 1], [0, 1, 2]].iter().for_each(|row| rows.push(row));
        let population = Population::new(Truth::new(schema, &rows, None, Kind::Exact));
        let group = population.find(&[0, 1]).unwrap();
        assert_eq!(population.outcome(group, &[2]), Outcome::Pass(0));
        assert_eq!(population.outcome(group, &[0]), Outcome::Invalid);
        let Outcome::Fail(met) = population.outcome(group, &[1]) else { panic!("it is a row of other conditions") };
        assert!(met.has(0, 0) && met.has(0, 69) && !met.has(0, 5) && met.has(1, 1));
    }
}
